"""Fixtures and hooks for all tests."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
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
"""The groups that take a minute or more, in the order in which workers begin them.

A group runs in one worker. If a long group began late, all other workers would wait for it.
"""

ALONE: Final = "tests/simulation/"
"""Where each test is given to a worker by itself, as it takes as long as a module elsewhere."""

COMPUTING: Final = ("tests/simulation/", "tests/unit/")
"""Where tests use a core all the time."""

LONGEST_ID: Final = 200
"""A parameter that is longer, in characters, is shortened in the test's name."""

# If rich is installed, structlog by default formats every local variable of every frame. Then the
# first traceback takes seconds, and blocks the test's event loop.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)

# Hypothesis fails examples that take long. On a busy machine that says nothing about our code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def certificates_are_read_once() -> Iterator[None]:
    """Load this machine's CA certificates once: each client of httpx would, for 20 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context)
        )
        yield


@pytest.fixture(scope="session", autouse=True)
def fork_servers_end() -> Iterator[None]:
    """End the fork servers that the tests of this worker have started."""
    yield
    FORKED.close()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Shorten long values in tests' names, as each report contains the name."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_ID:
        return f"{val[:40]!a} and so on, {len(val)}"
    return None


def pytest_collection(session: pytest.Session) -> None:
    """Switch the garbage collector off while tests are collected: loaded modules stay in use."""
    gc.disable()
    load_share(session.config)


def pytest_collection_finish() -> None:
    """Switch the garbage collector on, without the objects that the loaded modules have created.

    Garbage among them stays, too, 25 MB: to look for it takes each worker half a second.
    """
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """If several workers run the tests, group those of each module, and begin with long groups.

    What a module's tests share is then started once. And to schedule each test by itself would
    cost more than most of them cost.
    """
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        # The hooks of the folders ran before this one, and have put tests into their groups.
        if not item.nodeid.startswith(ALONE) and item.get_closest_marker("xdist_group") is None:
            module = item.nodeid.partition("::")[0].removeprefix("tests/").removesuffix(".py")
            item.add_marker(pytest.mark.xdist_group(module))
    items[:] = ordered(items)


def ordered(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The tests in the order in which workers begin them.

    Groups that take a minute or more come first. Of the others, some use a core all the time, and
    most wait for servers; both are mixed evenly. One after the other, all workers would wait first,
    and then all would need a core.
    """
    place: dict[str, float] = {group: number for number, group in enumerate(LONGEST_FIRST)}
    kinds: tuple[list[str], list[str]] = ([], [])
    for item in items:
        group = _group(item)
        if group not in place:
            place[group] = 0
            kinds[item.nodeid.startswith(COMPUTING)].append(group)
    for groups in kinds:
        for number, group in enumerate(groups):
            place[group] = len(LONGEST_FIRST) + (number + 0.5) / len(groups)
    return sorted(items, key=lambda item: (place[_group(item)], _group(item)))


def _group(item: pytest.Item) -> str:
    mark = item.get_closest_marker("xdist_group")
    return item.nodeid if mark is None else str(mark.args[0])
