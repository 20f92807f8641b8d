"""The load test itself: starts clients, places orders, causes faults, and checks the results."""

from __future__ import annotations

import asyncio
import random
import resource
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.load.clients.compiled_process import compiled
from deploy.load.clients.messages import Begin
from deploy.load.clients.probe import probe
from deploy.load.clients.processes import ClientProcesses, processes_for
from deploy.load.clients.writer import Door, Writer
from deploy.load.measured.kafka_log import stored_steps
from deploy.load.measured.ledger import Ledger
from deploy.load.measured.proof import ProofVerdict, judge
from deploy.load.measured.timeline import Second, Tally, Timeline, TimelineMark
from deploy.load.measured.usage import Usage
from deploy.load.measured.way import Part, Times, parts
from deploy.load.plan import FaultName, LoadPlan, LoadTestError, channel_of
from deploy.load.site import Site, address_of

_SETTLE_S: Final = 90.0
_TOKEN_LIFETIME_S: Final = 86_400
_SHOWN_MODES: Final = ("live", "polling", "offline")
_SHOWN_COUNTS: Final = ("opened", "synced", "committed", "delivered")


@dataclass(frozen=True, slots=True)
class Fault:
    """The course of one fault; times in seconds since the test began."""

    name: FaultName
    began: float
    ended: float
    live_again: float | None
    """When all clients were live again; None: not before the end."""
    least_live: int


@dataclass(slots=True)
class LoadResult:
    """The results of a load test."""

    plan: LoadPlan
    timeline: Timeline
    tally: Tally
    verdict: ProofVerdict = field(default_factory=ProofVerdict)
    faults: list[Fault] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    """Thresholds that were exceeded."""
    cpu_s: dict[str, float] = field(default_factory=dict)
    """CPU seconds of each process over the run."""
    client_processes: int = 1
    """How many processes ran the clients."""
    way: list[Part] = field(default_factory=list)
    """How the time of a step outside of faults is divided; empty: Kafka could not be asked."""
    live_share: float = 0.0
    """The share of the time after the ramp in which clients were live, over all clients."""


class LoadTest:
    """One load test of a site.

    Args:
        plan: how many clients and orders, for how long, and with which faults.
        site: the system under load.
        say: called with a line of progress every second.
    """

    def __init__(self, plan: LoadPlan, site: Site, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._site = site
        self._say = say
        self._run = f"load-{secrets.token_hex(3)}-"
        self._began = time.monotonic()
        self._outcome = LoadResult(plan, Timeline(), Tally())
        self._tokens = token_keys({"local": site.keys.token}, "local")
        self._times = Times()
        self._clients: ClientProcesses
        self._sampling = asyncio.Lock()
        self._usage = Usage(site.pids, lambda: self._clients.pids)
        self._came = 0
        self._live_s = self._all_s = 0.0

    async def run(self) -> LoadResult:
        """Run the load test. Returns its result.

        Raises:
            LoadTestError: it could not be finished.
        """
        program = compiled(self._plan.out) if self._plan.compiled_clients else None
        self._clients = ClientProcesses(self._outcome.tally, self._times, program)
        files = _allow_files()
        writer = self._writer()
        work = asyncio.create_task(self._work(writer, processes_for(self._plan.clients, files)))
        others = [work, *map(asyncio.create_task, (self._watch(), self._probes()))]
        lost = self._clients.lost
        try:
            await asyncio.wait((work, lost), return_when=asyncio.FIRST_COMPLETED)
            (lost if lost.done() else work).result()
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            writer.stop()
            await self._clients.close()
        return self._outcome

    async def _work(self, writer: Writer, processes: int) -> None:
        await self._ramp(processes)
        faults = asyncio.create_task(self._break())
        try:
            await writer.place_for(self._plan.duration_s)
            await faults
        finally:
            faults.cancel()
        await writer.finish()
        await self._judge(writer)
        await self._divide()
        await self._finish()

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began

    # ── clients and orders ───────────────────────────────────────────────────

    def _writer(self) -> Writer:
        plan = self._plan
        names = [f"{self._run}{store}" for store in range(plan.stores)]
        tokens = {
            name: self._tokens.sign(
                Caller(f"door-{name}", "owner", frozenset({name})), _TOKEN_LIFETIME_S
            )
            for name in names
        }
        places = [
            (name, table) for store, name in enumerate(names) for table in plan.tables_of(store)
        ]
        door = Door(address_of(self._site.core_url), tokens, places)
        return Writer(
            door, plan.orders_per_s, self._times, self._outcome.tally,
            random.Random(plan.seed + 1), self._run, time.monotonic,
        )  # fmt: skip

    async def _ramp(self, processes: int) -> None:
        """Start all clients, evenly over the ramp; returns once all have been live."""
        plan = self._plan
        begin = Begin(
            core=address_of(self._site.core_url),
            source=None,
            token_key=self._site.keys.token,
            seed=plan.seed,
            prefix=self._run,
            clients=plan.clients,
            stores=plan.stores,
            first=0,
            step=1,
            began=time.monotonic(),
            ramp_s=plan.ramp_s,
        )
        self._outcome.client_processes = processes
        await self._clients.begin(begin, processes)
        deadline = time.monotonic() + plan.ramp_s + _SETTLE_S
        while self._modes()["live"] < plan.clients:
            self._refuse_failures()
            if time.monotonic() > deadline:
                raise LoadTestError(
                    f"only {self._modes()['live']} of {plan.clients} clients were live "
                    f"{_SETTLE_S:g} s after the ramp: see the logs of the servers"
                )
            await asyncio.sleep(0.05)
        self._came = plan.clients

    # ── measuring ────────────────────────────────────────────────────────────

    def _modes(self) -> Counter[str]:
        return self._clients.modes

    async def _watch(self) -> None:
        at = 0
        while True:
            at = max(at + 1, int(self._now))
            await asyncio.sleep(max(0.0, self._began + at - time.monotonic()))
            second = await self._take_second()
            if self._came:
                self._live_s += second.modes.get("live", 0)
                self._all_s += self._came
            self._say(_progress(second))

    async def _take_second(self) -> Second:
        # In a thread: it would block the event loop, and orders would be sent late.
        async with self._sampling:
            cpu, memory = await asyncio.to_thread(self._usage.sample)
        modes = self._modes()
        second = self._outcome.tally.take(self._now, modes, cpu, memory)
        self._outcome.timeline.seconds.append(second)
        return second

    async def _probes(self) -> None:
        urls = [url for url in (self._site.core_url, self._site.events_url) if url is not None]
        await asyncio.gather(*(probe(address_of(url), self._outcome.tally) for url in urls))

    # ── faults ───────────────────────────────────────────────────────────────

    async def _break(self) -> None:
        began = self._now
        for name, after in zip(self._plan.faults, self._plan.fault_times, strict=True):
            await asyncio.sleep(max(0.0, began + after - self._now))
            start = self._now
            self._outcome.timeline.marks.append(TimelineMark(start, name))
            if name == "cut-all":
                await self._clients.cut()
            else:
                begin, end = self._site.breaks(name)
                await asyncio.to_thread(begin)
                await asyncio.sleep(self._plan.fault_s)
                await asyncio.to_thread(end)
            ended = self._now
            await self._recover(name, start, ended)

    async def _recover(self, name: FaultName, start: float, ended: float) -> None:
        least = self._modes()["live"]
        again = None
        deadline = ended + _SETTLE_S
        while again is None and self._now < deadline:
            await asyncio.sleep(0.05)
            live = self._modes()["live"]
            least = min(least, live)
            # All clients must be live: a planned reconnect does not change that. If none was seen
            # offline, wait two seconds, as clients may notice the fault late.
            if live == self._came and (least < live or self._now > ended + 2):
                again = self._now
        self._outcome.faults.append(Fault(name, start, ended, again, least))

    def _refuse_failures(self) -> None:
        for channel, why in self._clients.gave_up:
            raise LoadTestError(f"a client gave up: {why} ({channel})")

    # ── results ──────────────────────────────────────────────────────────────

    async def _judge(self, writer: Writer) -> None:
        plan = self._plan
        ops = self._tokens.sign(Caller("load-test", "ops"), _TOKEN_LIFETIME_S)
        async with Ledger(self._site.core_url, ops) as ledger:
            channels = {channel_of(n, plan.stores, self._run) for n in range(plan.clients)}
            heads = await ledger.heads(sorted(channels))
            tracks = await self._clients.settled(heads, _SETTLE_S)
            logs = await ledger.logs(heads)
        verdict = judge(tracks, heads, logs, writer.written)
        for channel, why in self._clients.gave_up:
            verdict.gave_up += 1
            verdict.note(f"a client of {channel} gave up: {why}")
        self._outcome.verdict = verdict

    async def _divide(self) -> None:
        """Divide the time of a step into parts, with the times in Kafka's records."""
        if self._site.log is None:
            return
        troubled = [
            (self._began + one.began, self._began + (one.live_again or one.ended) + 1)
            for one in self._outcome.faults
        ]
        stored = await stored_steps(*self._site.log)
        unix_at_0 = time.time() - time.monotonic()
        self._outcome.way = parts(self._times, stored, unix_at_0, troubled)

    async def _finish(self) -> None:
        outcome, limits = self._outcome, self._plan.thresholds
        await self._take_second()
        outcome.cpu_s = self._usage.cpu_seconds()
        outcome.live_share = self._live_s / self._all_s if self._all_s else 0.0
        for kind, limit in (
            ("delivery", limits.delivery_p99_ms),
            ("command", limits.command_p99_ms),
        ):
            found = outcome.tally.whole(kind)
            if limit is not None and (not found or found[2] > limit):
                shown = f"{found[2]:,.0f} ms" if found else "none"
                outcome.missed.append(f"p99 of {kind}: {shown}, at most {limit:g} ms wanted")


def _progress(second: Second) -> str:
    counts, p99 = second.counts, second.delivery_ms
    modes = "  ".join(f"{mode} {second.modes.get(mode, 0):,}" for mode in _SHOWN_MODES)
    rates = "  ".join(f"{what} {counts.get(what, 0):,}/s" for what in _SHOWN_COUNTS)
    return f"{second.at:5.0f} s  {modes}  {rates}  p99 {f'{p99[2]:,.0f} ms' if p99 else '-'}"


def _allow_files() -> int:
    """Raise the limit of open files as far as allowed; child processes inherit it. Returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
