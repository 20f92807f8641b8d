"""Ends background tasks of a process that runs in the test's own, from inside and by an error."""

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
    """Kills the tasks of one process, and sees what it says of that.

    Args:
        client: asks the process; its headers have a token of role ops.
        monkeypatch: of the test.
    """

    def __init__(self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
        self._client = client
        self._monkeypatch = monkeypatch

    async def restarts(self) -> dict[str, float]:
        """How often each task was started again."""
        shown = await self._client.get("/metrics")
        assert shown.status_code == 200, shown.text
        return {name: float(count) for name, count in _RESTARTS.findall(shown.text)}

    async def until_ready(self) -> None:
        """Return once the process is ready."""
        answer = None
        try:
            async with asyncio.timeout(60):
                while (answer := await self._client.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"not ready: {answer and answer.text}")

    async def hold_each(self, tasks: Collection[str], essential: Collection[str]) -> None:
        """Each task that is killed is started again, counted, and named by `/readyz` if it matters.

        Args:
            tasks: the names of all, of which there may be neither more nor fewer.
            essential: of these the ones without which the process is not ready.
        """
        self._healthy_after(0.01)
        await self.until_ready()
        counted = await self.restarts()
        # That server says nothing while it is down: tests/unit/core_api/test_probes.py.
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
            # It runs: it can be killed once more.
            await self.kill(name)
            await self.until_ready()

    async def kill(self, name: str) -> None:
        """Let what the task waits for fail by a bug, until it is started again for that."""
        (task,) = [one for one in asyncio.all_tasks() if one.get_name() == name]
        before = (await self.restarts())[name]
        try:
            async with asyncio.timeout(60):
                # In the middle of a query a bug of the driver passes for a database that is away:
                # the task goes on, as it should, and is killed again.
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
        return  # it waits to be started again
    # What the innermost await waits for; a bug there is raised inside the task's loop.
    waits_for: Any = getattr(task, "_fut_waiter", None)
    while isinstance(waits_for, asyncio.Task):
        waits_for = getattr(waits_for, "_fut_waiter", None)
    if waits_for is not None and not waits_for.done():
        waits_for.set_exception(ZeroDivisionError("a bug"))
