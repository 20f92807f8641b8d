"""Lets background tasks of a server that runs in the test's process fail with an exception."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from typing import Any

import httpx
import pytest

from server_common import supervision
from server_common.ops.server import TASK as OPS_SERVER

_RESTARTS = re.compile(r'yabam_\w+_task_restarts_total\{task="([^"]+)"\} ([0-9.]+)')


class Killer:
    """Kills the tasks of one server, and checks what the server reports.

    Args:
        client: sends requests to the server; its headers have a token of the role ops.
        monkeypatch: pytest's fixture of the test.
    """

    def __init__(self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
        self._client = client
        self._monkeypatch = monkeypatch

    async def restarts(self) -> dict[str, float]:
        """How often each task was restarted, by the task's name."""
        shown = await self._client.get("/metrics")
        assert shown.status_code == 200, shown.text
        return {name: float(count) for name, count in _RESTARTS.findall(shown.text)}

    async def until_ready(self) -> None:
        """Wait until the server is ready."""
        answer = None
        try:
            async with asyncio.timeout(60):
                while (answer := await self._client.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"not ready: {answer and answer.text}")

    async def hold_each(self, tasks: Collection[str], essential: Collection[str]) -> None:
        """Kill each task, and check that it is restarted, counted, and reported by `/readyz`.

        Args:
            tasks: the names of all tasks; the server must have exactly these.
            essential: the tasks without which the server is not ready: only these are reported.
        """
        self._healthy_after(0.01)
        await self.until_ready()
        counted = await self.restarts()
        # Without its task this server cannot answer: tests/unit/core_api/test_probes.py tests it.
        assert set(counted) - {OPS_SERVER} == set(tasks)
        assert set(counted.values()) == {0.0}, "every series is there from the start"
        for name in sorted(tasks):
            self._healthy_after(3600)
            await self.kill(name)
            said = (await self._client.get("/readyz")).json() if name in essential else None
            if said is not None:
                assert f"the background task {name} fails: " in said["detail"]
            else:
                assert f"task {name} " not in (await self._client.get("/readyz")).text
            assert (await self._client.get("/healthz")).status_code == 200
            self._healthy_after(0.01)
            # Only a task that runs again can be killed again.
            await self.kill(name)
            await self.until_ready()

    async def kill(self, name: str) -> None:
        """Raise an exception where the task waits, until the task is restarted because of it."""
        (task,) = [one for one in asyncio.all_tasks() if one.get_name() == name]
        before = (await self.restarts())[name]
        try:
            async with asyncio.timeout(60):
                # During a query the task takes the exception for an unreachable database and goes
                # on, as it should. Then it is tried again.
                while (await self.restarts())[name] == before:
                    _raise_in(task)
                    await asyncio.sleep(0)
        except TimeoutError:
            pytest.fail(f"{name} is not started again: {task.get_stack()}")

    def _healthy_after(self, seconds: float) -> None:
        self._monkeypatch.setattr(supervision, "HEALTHY_AFTER_S", seconds)


def _raise_in(task: asyncio.Task[Any]) -> None:
    coroutine: Any = task.get_coro()
    if getattr(coroutine.cr_await, "__name__", "") == "sleep":
        return  # the task has failed, and its supervisor waits before it restarts it
    # The future that the innermost await waits for: its exception is raised inside the task.
    waits_for: Any = getattr(task, "_fut_waiter", None)
    while isinstance(waits_for, asyncio.Task):
        waits_for = getattr(waits_for, "_fut_waiter", None)
    if waits_for is not None and not waits_for.done():
        waits_for.set_exception(ZeroDivisionError("a bug"))
