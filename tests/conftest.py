"""What holds for all tests."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import cache
from typing import Final

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.forked import FORKED
from tests.loading import load_share
from tests.parts import core_process, postgres_server

__all__ = ["core_process", "postgres_server"]

LONGEST_FIRST: Final = (
    "kafka",
    "browser-terminal",
    "kafka-core_api",
    "kafka-mqtt",
    "kafka-load",
    "browser-pages",
    "kafka-devices",
    "kafka-event_server",
    "browser-ops",
    "attack",
    "through-nginx",
    "differential",
    "shared-state",
    "module-shell",
)
"""The groups that take a minute or more, in the order in which workers take them up.

A group runs in one worker. One that begins late is still running when all others have ended.
"""

LONGEST_ID: Final = 200
"""Characters of a parameter that stand in a test's name as they are."""

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


@pytest.fixture(scope="session", autouse=True)
def certificates_are_read_once() -> Iterator[None]:
    """A client of httpx reads all certificates of this machine, for 20 ms; tests make thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context)
        )
        yield


@pytest.fixture(scope="session", autouse=True)
def fork_servers_end() -> Iterator[None]:
    """Those that the tests of this worker have started."""
    yield
    FORKED.close()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a long value by its beginning: each report of a test takes its name along."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_ID:
        return f"{val[:40]!a} and so on, {len(val)}"
    return None


def pytest_collection(session: pytest.Session) -> None:
    """Collect no garbage while tests are collected: what is loaded stays, and there is much."""
    gc.disable()
    load_share(session.config)


def pytest_collection_finish() -> None:
    """Look for the garbage of tests among what they made alone, not in all that was loaded."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the long groups come first where workers share the tests."""
    if hasattr(config, "workerinput"):
        items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    mark = item.get_closest_marker("xdist_group")
    group = mark.args[0] if mark is not None else None
    return LONGEST_FIRST.index(group) if group in LONGEST_FIRST else len(LONGEST_FIRST)
