"""The attacked system as real processes, and a bystander that works with it during an attack."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import httpx
import psutil

from client_sdk import Change, OrderClient, OrderEvent, Reset, Settings
from deploy.local.stack import Stack
from deploy.processes.process import Process
from tests.integration.core_service import an_order, bearer, new_store, token

MIB: Final = 1 << 20
KAFKA_BUILD: Final = Path("build/kafka")
REQUEST_TIMEOUT_S: Final = 2.0
"""How long the attacked servers wait for a request: short, so that a test sees the end of it."""
SETTINGS: Final = {
    "YABAM_REQUEST_TIMEOUT_S": str(REQUEST_TIMEOUT_S),
    "YABAM_EVENTS_REQUEST_TIMEOUT_S": str(REQUEST_TIMEOUT_S),
    "YABAM_EVENTS_RING_BYTES": str(64 * MIB),
}
_PATIENCE_S: Final = 20.0
_QUIET: Final = Settings(sync_timeout=_PATIENCE_S, connect_timeout=_PATIENCE_S)

Figures = dict[str, float | int | str]


def allow_open_files() -> int:
    """Raise this process's limit of open files as far as allowed. Returns the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@dataclass
class Memory:
    """A process's resident memory in MiB during an attack."""

    process: Process
    before: float = 0.0
    peak: float = 0.0

    def look(self) -> float:
        """Measure it now."""
        now = psutil.Process(self.process.pid).memory_info().rss / MIB
        self.peak = max(self.peak, now)
        return now

    @property
    def growth(self) -> float:
        """By how much it grew at most."""
        return self.peak - self.before


@dataclass
class Bystander:
    """An owner and a producer of another store, who keep working. Each order must be pushed."""

    site: Site
    store: str = field(default_factory=new_store)
    pushed_s: list[float] = field(default_factory=list)
    synced_s: list[float] = field(default_factory=list)
    opened_s: list[float] = field(default_factory=list)
    polled: int = 0
    task: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether its work has ended, which only an error causes during an attack."""
        return self.task is not None and self.task.done()

    async def work(self, stop: asyncio.Event) -> None:
        """Work turn after turn until `stop`. Raises the error of a request that fails."""
        site, owner = self.site, bearer(token("owner", self.store))
        async with (
            httpx.AsyncClient(timeout=_PATIENCE_S) as http,
            OrderClient(
                site.stack.core_url, token("owner", self.store), [f"store:{self.store}"],
                settings=_QUIET,
            ) as client,
        ):  # fmt: skip
            events = client.events()
            assert isinstance(await anext(events), Reset)
            async with asyncio.timeout(_PATIENCE_S):
                await _until_live(client)
            while not (stop.is_set() and self.pushed_s):
                await self._order(http, owner, events)
                self.polled += client.status.mode == "polling"
                await self._sync_and_connect(http, owner)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.05)

    async def _order(
        self, http: httpx.AsyncClient, owner: dict[str, str], events: AsyncIterator[Change]
    ) -> None:
        began = time.perf_counter()
        # A table takes few open orders, and an attack may last long.
        order = an_order(self.store) | {"table_id": str(len(self.pushed_s))}
        placed = await http.post(f"{self.site.stack.core_url}/v1/orders", json=order, headers=owner)
        assert placed.status_code == 201, placed.text
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                change = await anext(events)
                if isinstance(change, OrderEvent) and change.order_id == placed.json()["id"]:
                    break
        self.pushed_s.append(time.perf_counter() - began)

    async def _sync_and_connect(self, http: httpx.AsyncClient, owner: dict[str, str]) -> None:
        began = time.perf_counter()
        url = f"{self.site.stack.core_url}/v1/sync?lastEventId=store:{self.store}@0"
        synced = await http.get(url, headers=owner)
        assert synced.status_code == 200, synced.text
        self.synced_s.append(time.perf_counter() - began)
        began = time.perf_counter()
        grant = synced.json()["stream"]
        async with http.stream("GET", grant["url"], params={"ticket": grant["ticket"]}) as stream:
            assert stream.status_code == 200, await stream.aread()
            await anext(stream.aiter_raw())
        self.opened_s.append(time.perf_counter() - began)


@dataclass
class Site:
    """The attacked system."""

    stack: Stack

    @classmethod
    def over(cls, stack: Stack) -> Self:
        """The site of a system that runs and is warm, so first requests are not counted."""
        allow_open_files()
        return cls(stack)

    @asynccontextmanager
    async def watched(
        self, figures: Figures, growth_mib: dict[Process, float]
    ) -> AsyncIterator[Bystander]:
        """Attack the system within the block, then check that it kept its promises.

        Args:
            figures: gets the measured numbers.
            growth_mib: by how much the memory of each of these processes may grow at most.
        """
        memories = [Memory(process) for process in growth_mib]
        stop = asyncio.Event()
        bystander = Bystander(self)
        working = bystander.task = asyncio.create_task(bystander.work(stop))
        async with asyncio.timeout(_PATIENCE_S):
            while not bystander.opened_s and not working.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for memory in memories:
            memory.before = memory.look()
        watching = asyncio.create_task(_keep_looking(memories))
        try:
            yield bystander
        finally:
            stop.set()
            try:
                await working  # raises the error that stopped the bystander
            finally:
                watching.cancel()
                for memory, bound in zip(memories, growth_mib.values(), strict=True):
                    name = memory.process.name
                    figures[f"{name}_mib_before"] = round(memory.before, 1)
                    figures[f"{name}_mib_peak"] = round(memory.peak, 1)
                    figures[f"{name}_mib_after"] = round(memory.look(), 1)
                    figures[f"{name}_mib_growth_allowed"] = bound
                figures |= _told(bystander, "_".join(process.name for process in growth_mib))
        assert bystander.polled == 0, "push failed for others"
        for memory, bound in zip(memories, growth_mib.values(), strict=True):
            assert memory.growth <= bound, f"{memory.process.name} grew by {memory.growth:.0f} MiB"
        for process in self.stack.processes:
            assert process.exit_status is None, f"{process.name} died:\n{process.log_tail()}"


def _told(bystander: Bystander, attacked: str) -> Figures:
    times = {"push": bystander.pushed_s, "sync": bystander.synced_s, "open": bystander.opened_s}
    told: Figures = {f"{attacked}_others_turns": len(bystander.opened_s)}
    for name, seconds in times.items():
        told[f"{attacked}_others_{name}_ms_max"] = round(1000 * max(seconds, default=0.0), 1)
    return told


async def _until_live(client: OrderClient) -> None:
    while client.status.mode != "live":  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def _keep_looking(memories: list[Memory]) -> None:
    while True:
        for memory in memories:
            memory.look()
        await asyncio.sleep(0.02)
