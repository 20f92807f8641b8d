"""What holds for all tests."""

from __future__ import annotations

import structlog
from hypothesis import HealthCheck, settings

from tests.parts import core_process, postgres_server

__all__ = ["core_process", "postgres_server"]

# With rich installed, structlog's own default draws every local variable of every frame: the first
# traceback takes seconds, in which the event loop of the test stands still.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)

# Hypothesis times each example, and the making of it: on a busy machine that says nothing of ours.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
