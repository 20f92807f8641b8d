"""The load test itself: clients come, orders flow, things break, and at the end all is compared."""

from __future__ import annotations

import asyncio
import random
import resource
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from client_sdk.contract.channel import parse_channel
from client_sdk.settings import Settings
from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.load.clients.follower import Follower, Person, World
from deploy.load.clients.probe import probe
from deploy.load.clients.writer import Door, Writer
from deploy.load.measured.ledger import Ledger
from deploy.load.measured.proof import Verdict, judge
from deploy.load.measured.timeline import Mark, Second, Tally, Timeline
from deploy.load.measured.usage import Usage
from deploy.load.plan import FaultName, LoadTestError, Plan
from deploy.load.site import Site, address_of

_SETTLE_S: Final = 90.0
_TOKEN_LIFETIME_S: Final = 86_400
_SPARE_FILES: Final = 1_000
_SHOWN_MODES: Final = ("live", "polling", "offline")
_SHOWN_COUNTS: Final = ("opened", "synced", "committed", "delivered")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as it went; times in seconds since the test began."""

    name: FaultName
    began: float
    ended: float
    live_again: float | None
    """When all clients were live again; None: not until the end."""
    least_live: int


@dataclass(slots=True)
class LoadResult:
    """All that a load test found."""

    plan: Plan
    timeline: Timeline
    tally: Tally
    verdict: Verdict = field(default_factory=Verdict)
    faults: list[Fault] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    """Thresholds that were not kept."""
    cpu_s: dict[str, float] = field(default_factory=dict)
    """CPU seconds of each process over the run."""
    live_share: float = 0.0
    """Of all client seconds after the ramp, the part that was live."""


class LoadTest:
    """One run against a site.

    Args:
        plan: what to do.
        site: what to do it to.
        say: is given a line of progress every second.
    """

    def __init__(self, plan: Plan, site: Site, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._site = site
        self._say = say
        self._run = f"load-{secrets.token_hex(3)}-"
        self._chance = random.Random(plan.seed)
        self._began = time.monotonic()
        self._outcome = LoadResult(plan, Timeline(), Tally())
        self._usage = Usage(site.pids)
        self._tokens = token_keys({"local": site.keys.token}, "local")
        self._sent_at: dict[tuple[str, int], float] = {}
        self._followers: list[Follower] = []
        self._came = 0
        self._live_s = self._all_s = 0.0

    async def run(self) -> LoadResult:
        """Do it all.

        Raises:
            LoadTestError: it could not be finished.
        """
        _allow_files(self._plan.clients)
        writer = self._writer()
        others = [asyncio.create_task(self._watch()), asyncio.create_task(self._probes())]
        try:
            await self._ramp()
            faults = asyncio.create_task(self._break())
            others.append(faults)
            await writer.place_for(self._plan.duration_s)
            await faults
            await writer.finish()
            await self._judge(writer)
            self._finish()
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            writer.stop()
            for follower in self._followers:
                follower.close()
        return self._outcome

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began

    # ── who takes part ───────────────────────────────────────────────────────

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
            door, plan.orders_per_s, self._sent_at, self._outcome.tally,
            random.Random(plan.seed + 1), self._run, time.monotonic,
        )  # fmt: skip

    async def _ramp(self) -> None:
        """All clients come, evenly over the ramp; returns once all have been live."""
        world = World(
            address_of(self._site.core_url), Settings(), self._chance.uniform,
            self._outcome.tally, self._sent_at, time.monotonic,
        )  # fmt: skip
        for number in range(self._plan.clients):
            due = self._began + self._plan.ramp_s * number / self._plan.clients
            if due > time.monotonic():
                await asyncio.sleep(due - time.monotonic())
            elif number % 50 == 0:
                await asyncio.sleep(0)
            follower = Follower(self._person(number), world)
            self._followers.append(follower)
            follower.start()
        deadline = time.monotonic() + _SETTLE_S
        while self._modes()["live"] < self._plan.clients:
            self._refuse_failures()
            if time.monotonic() > deadline:
                raise LoadTestError(
                    f"only {self._modes()['live']} of {self._plan.clients} clients were live "
                    f"{_SETTLE_S:g} s after the ramp: see the logs of the servers"
                )
            await asyncio.sleep(0.05)
        self._came = self._plan.clients

    def _person(self, number: int) -> Person:
        store, table = self._plan.channel_of(number, self._run)
        if table is None:
            channel, device = f"store:{store}", f"till-{number // self._plan.stores + 1}"
            caller = Caller(f"{device}@{store}", "owner", frozenset({store}))
        else:
            channel, device = f"table:{store}/{table}", None
            caller = Caller(f"guest-{number}", "table", table=parse_channel(channel))
        return Person(channel, self._tokens.sign(caller, _TOKEN_LIFETIME_S), device)

    # ── what is watched ──────────────────────────────────────────────────────

    def _modes(self) -> Counter[str]:
        return Counter(follower.mode for follower in self._followers)

    async def _watch(self) -> None:
        at = 0
        while True:
            at = max(at + 1, int(self._now))
            await asyncio.sleep(max(0.0, self._began + at - time.monotonic()))
            second = self._take_second()
            if self._came:
                self._live_s += second.modes.get("live", 0)
                self._all_s += self._came
            self._say(_progress(second))

    def _take_second(self) -> Second:
        modes = self._modes()
        cpu, memory = self._usage.sample()
        second = self._outcome.tally.take(self._now, modes, cpu, memory)
        self._outcome.timeline.seconds.append(second)
        return second

    async def _probes(self) -> None:
        urls = [url for url in (self._site.core_url, self._site.events_url) if url is not None]
        await asyncio.gather(*(probe(address_of(url), self._outcome.tally) for url in urls))

    # ── what is broken ───────────────────────────────────────────────────────

    async def _break(self) -> None:
        began = self._now
        for name, after in zip(self._plan.faults, self._plan.fault_times, strict=True):
            await asyncio.sleep(max(0.0, began + after - self._now))
            start = self._now
            self._outcome.timeline.marks.append(Mark(start, name))
            if name == "cut-all":
                for follower in self._followers:
                    follower.cut()
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
            # A planned reconnect is no fault, and keeps the client live; all must be.
            if live == self._came and (least < live or self._now > ended + 2):
                again = self._now
        self._outcome.faults.append(Fault(name, start, ended, again, least))

    def _refuse_failures(self) -> None:
        for follower in self._followers:
            if follower.mode == "failed":
                raise LoadTestError(f"a client gave up: {follower.cause}")

    # ── what came of it ──────────────────────────────────────────────────────

    async def _judge(self, writer: Writer) -> None:
        ops = self._tokens.sign(Caller("load-test", "ops"), _TOKEN_LIFETIME_S)
        async with Ledger(self._site.core_url, ops) as ledger:
            channels = sorted({follower.track.channel for follower in self._followers})
            heads = await ledger.heads(channels)
            await self._settled(heads)
            logs = await ledger.logs(heads)
        tracks = [follower.track for follower in self._followers]
        verdict = judge(tracks, heads, logs, writer.written.by_channel)
        for follower in self._followers:
            if follower.mode == "failed":
                verdict.gave_up += 1
                verdict.note(f"a client of {follower.track.channel} gave up: {follower.cause}")
        self._outcome.verdict = verdict

    async def _settled(self, heads: Mapping[str, int]) -> None:
        """Return once every client is at its channel's head, or has had time enough."""
        deadline = time.monotonic() + _SETTLE_S
        for track in [follower.track for follower in self._followers]:
            while track.seq < heads[track.channel] and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    def _finish(self) -> None:
        outcome, limits = self._outcome, self._plan.thresholds
        self._take_second()
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


def _allow_files(clients: int) -> None:
    """Each client holds two connections, and the servers that we start inherit the limit."""
    need = 2 * clients + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < need:
        raise LoadTestError(
            f"{clients:,} clients need {need:,} open files and this user may have {hard:,}: "
            f"raise the limit (ulimit -Hn {need}) or lower --clients"
        )
    if soft != resource.RLIM_INFINITY and soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
