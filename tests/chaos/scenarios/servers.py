"""Servers are killed, frozen, restarted in turn, and all restarted at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from deploy.processes.process import Process
from tests.chaos.runner import Field, Inject, NotInjectedError, Scenario
from tests.chaos.scenarios.relays import owners
from tests.chaos.site import aside, log_lines

_KINDS = ("core", "relay", "ingest", "events")
_STOPS_WITHIN_S = 30.0
_NEXT_AFTER_S = 1.0
"""The pause of a deployment after each process that it has restarted."""
_WITHOUT_S = 3.0
"""How long all processes are without a server at least: so long that each finds out. `ground.last`
alone would be shorter where all faults are."""
_WAITING = ("waiting_for_database", "relay_waits", "ingest_waits", "kafka_lost")


def _all_of(ground: Field, kind: str) -> list[Process]:
    return [p for p in ground.site.stack.processes if p.name.partition("-")[0] == kind]


def _kill(kind: str) -> Inject:
    async def inject(ground: Field) -> str:
        victims = _all_of(ground, kind)
        ground.chance.shuffle(victims)
        for victim in victims:
            await aside(victim.kill)
            await ground.last(ground.chance.uniform(2, 6))
            victim.start()
            await ground.site.ready(victim)
        return f"{', '.join(victim.name for victim in victims)} killed and started again"

    return inject


def _freeze(kind: str) -> Inject:
    async def inject(ground: Field) -> str:
        victim = ground.chance.choice(_all_of(ground, kind))
        seconds = ground.chance.uniform(8, 14)
        start = time.monotonic()
        victim.suspend()
        await ground.last(seconds)
        seen = await _NOTICED[kind](ground)
        victim.resume()
        return f"{victim.name} frozen for {time.monotonic() - start:.0f} s{seen}"

    return inject


async def _others_took_over(ground: Field) -> str:
    async def taken_over() -> bool:
        return len(await owners(ground.site)) == 1

    await ground.until(taken_over, "the other relay took all shards over", 30)
    return ", its shards were taken over"


async def _clients_found_out(ground: Field) -> str:
    """Check that the clients of a frozen server get new events, although their connections are
    open."""
    within_s = min(40.0, ground.patience_s)
    if not await ground.crowd.level(ground.site.ledger, live=False, within_s=within_s):
        raise NotInjectedError("its clients found out and had all that was written")
    return ", its clients had everything before it woke"


async def _nobody_need_notice(_: Field) -> str:
    return ""


_NOTICED = {
    "core": _nobody_need_notice,
    "relay": _others_took_over,
    "ingest": _nobody_need_notice,
    "events": _clients_found_out,
}


async def _at_random(ground: Field) -> str:
    done = []
    for _ in range(8):
        victim = ground.chance.choice(list(ground.site.stack.processes))
        if ground.chance.random() < 0.5:
            await aside(victim.kill)
            await ground.last(ground.chance.uniform(0, 3))
            victim.start()
            done.append(f"{victim.name} killed")
        else:
            victim.suspend()
            await ground.last(ground.chance.uniform(1, 7))
            victim.resume()
            done.append(f"{victim.name} frozen")
        await ground.last(ground.chance.uniform(0, 2))
    await ground.site.ready(*ground.site.stack.processes)
    return ", ".join(done)


async def _no_event_servers(ground: Field) -> str:
    servers = _all_of(ground, "events")
    for server in servers:
        await aside(server.kill)
    await ground.last(120)
    modes = ground.crowd.modes()
    for server in servers:
        server.start()
    await ground.site.ready(*servers)
    if modes["polling"] < len(ground.crowd.watchers) * 0.9:
        raise NotInjectedError(f"clients poll: {dict(modes)}")
    return f"{modes['polling']} of {len(ground.crowd.watchers)} clients polled"


async def _rolling_restart(ground: Field) -> str:
    offline_before = ground.crowd.seconds["offline"]
    longest = 0.0
    for process in ground.site.stack.processes:
        start = time.monotonic()
        status = await aside(partial(process.stop, _STOPS_WITHIN_S))
        longest = max(longest, time.monotonic() - start)
        if status != 0:
            raise NotInjectedError(f"{process.name} ends with status 0: it was {status}")
        process.start()
        await ground.site.ready(process)
        await asyncio.sleep(_NEXT_AFTER_S)
    offline = ground.crowd.seconds["offline"] - offline_before
    return (
        f"each ended with status 0, the slowest after {longest:.1f} s; "
        f"clients were offline for {offline:.0f} client-seconds"
    )


async def _cold_start(ground: Field) -> str:
    site = ground.site
    processes = list(site.stack.processes)
    await asyncio.gather(*(aside(process.kill) for process in processes))
    servers = [site.postgres] + ([] if site.kafka is None else [site.kafka])
    await asyncio.gather(*(aside(server.stop) for server in servers))
    ground.chance.shuffle(processes)
    told = {process.name: _told(process) for process in processes}
    for process in processes:
        process.start()
    ground.chance.shuffle(servers)
    for server in servers:
        await asyncio.sleep(_WITHOUT_S)
        await ground.last(5)
        # Until the last server runs, no process has all that it needs, except Core, which needs
        # only the database.
        may = "core" if site.postgres.process.running else "nobody"
        waiting = [process for process in processes if not process.name.startswith(may)]
        early = [process.name for process in waiting if await aside(process.is_ready)]
        ended = [process.name for process in processes if not process.running]
        if early or ended:
            raise NotInjectedError(f"all wait: {early} were ready too early, {ended} ended")
        await aside(server.start)
    silent = [process.name for process in processes if _told(process) == told[process.name]]
    # An event server needs no database: with the embedded broker it waits only for watermarks.
    if site.kafka is not None and silent:
        raise NotInjectedError(f"all say what they wait for: {silent} did not")
    await site.ready(*processes)
    order = ", ".join(process.name for process in processes)
    return f"started as {order}; all waited, and said for what"


def _told(process: Process) -> int:
    """How many lines of the process's log say what it waits for."""
    return sum(len(log_lines(process, event)) for event in _WAITING)


def _named(make: Callable[[str], Inject], verb: str, injected: str) -> list[Scenario]:
    return [Scenario(f"{verb}-{kind}", injected.format(kind=kind), make(kind)) for kind in _KINDS]


SCENARIOS = [
    *_named(_kill, "kill", "SIGKILL of each {kind} in turn, started again after 2 to 6 s"),
    *_named(_freeze, "freeze", "SIGSTOP of one {kind} for 8 to 14 s, then SIGCONT"),
    Scenario("random", "eight kills and freezes of any process, by the seed", _at_random),
    Scenario("no-event-servers", "all event servers gone for 120 s", _no_event_servers),
    Scenario("cold-start", "all started in any order, before the servers they need", _cold_start),
    Scenario("rolling-restart", "SIGTERM and start of every process in turn", _rolling_restart),
]
