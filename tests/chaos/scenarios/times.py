"""Wrong clocks, and a database that is restored to an earlier state."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx

from deploy.local.postgres import binaries
from tests.chaos.runner import Field, Inject, NotInjectedError, NotPossibleError, Scenario
from tests.chaos.scenarios.alarms import alarm_of, quick_alarms
from tests.chaos.site import DATABASE, Site, aside

_DEGRADED_AFTER_S = 5.0
_FAKETIME_PLACES = ("/usr/lib", "/usr/local/lib", "/opt")


def _faketime() -> Path:
    for place in _FAKETIME_PLACES:
        for found in Path(place).rglob("libfaketime.so.1"):
            return found
    raise NotPossibleError("libfaketime is missing; on Debian: apt-get install libfaketime")


def _clock_off(kind: str) -> Inject:
    async def inject(ground: Field) -> str:
        library = await aside(_faketime)
        process = ground.site.process(kind)
        seen = []
        for offset in ("+6m", "-6m"):
            await aside(process.stop)
            process.start(
                {
                    "LD_PRELOAD": str(library),
                    "FAKETIME": offset,
                    # On a machine with a wrong clock, the monotonic clock is still right.
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                    "FAKETIME_NO_CACHE": "1",
                }
            )
            await ground.site.ready(process)
            # Distribute the connections that went to the other Core meanwhile.
            ground.site.core_front.cut()
            await ground.last(8)
            seen.append(f"{offset}: {await _look(ground)}")
            if kind == "core":
                seen.append(await alarm_of(ground.site, process))
        await aside(process.stop)
        process.start()
        await ground.site.ready(process)
        return "; ".join(seen)

    async def inject_among_quick_alarms(ground: Field) -> str:
        async with quick_alarms(ground.site):
            return await inject(ground)

    return inject_among_quick_alarms if kind == "core" else inject


async def _look(ground: Field) -> str:
    """Check that tickets are valid and the watermark advances. Returns a text about it.

    Raises:
        NotInjectedError: a ticket is refused, or the watermark stands still.
    """
    site = ground.site
    for core in ("core", "core-2"):
        for events in ("events", "events-2"):
            status = await _status_of_stream(site, core, events)
            if status != 200:
                raise NotInjectedError(f"{events} takes a ticket of {core}: it answers {status}")
    for name in ("events", "events-2"):
        lag = await site.metric(site.process(name), "yabam_events_watermark_lag_seconds")
        if lag > _DEGRADED_AFTER_S:
            raise NotInjectedError(f"{name} is not degraded: its watermark lags by {lag:.0f} s")
    return f"tickets and watermarks hold, {dict(ground.crowd.modes())}"


async def _status_of_stream(site: Site, core: str, events: str) -> int:
    """The status of this event server's answer to a new ticket of this Core."""
    headers = {"authorization": f"Bearer {site.token('clock', 'owner', '*')}"}
    question = {"channel": "store:1"}
    async with httpx.AsyncClient(timeout=10) as http:
        while True:
            url = f"{site.process(core).health_url}/v1/sync"
            answer = (await http.get(url, params=question, headers=headers)).json()
            question |= {"lastEventId": answer["cursor"], "epoch": answer["epoch"]}
            if not answer["has_more"]:
                break
        stream = f"{site.process(events).health_url}/v1/stream"
        ticket = {"ticket": answer["stream"]["ticket"]}
        async with http.stream("GET", stream, params=ticket) as response:
            return response.status_code


async def _restore(ground: Field) -> str:
    site = ground.site
    backup = site.folder / "backup.sql"
    await aside(lambda: backup.write_bytes(_tool(site, "pg_dump", DATABASE)))
    before = await site.ledger.heads()
    await ground.last(6)
    after = await site.ledger.heads()
    for process in site.stack.processes:
        if not process.name.startswith("events"):
            await aside(process.kill)
    ground.load.forget()
    ground.editors.forget()
    await aside(
        lambda: _tool(
            site, "psql", "postgres", "-v", "ON_ERROR_STOP=1",
            "-c", f"DROP DATABASE {DATABASE} WITH (FORCE)",
            "-c", f"CREATE DATABASE {DATABASE}",
        )
    )  # fmt: skip
    await aside(lambda: _tool(site, "psql", DATABASE, "-v", "ON_ERROR_STOP=1", "-f", str(backup)))
    await aside(lambda: site.stack.run("new-epoch", ["db", "new-epoch"]))
    dead = [p for p in site.stack.processes if p.exit_status is not None]
    for process in dead:
        process.start()
    await site.ready(*dead)
    gone = sum(after.values()) - sum(before.values())
    return f"a backup older by {gone} events was restored under a new epoch"


def _tool(site: Site, name: str, database: str, *arguments: str) -> bytes:
    address = ["-h", "127.0.0.1", "-p", str(site.postgres.port), "-U", "postgres", "-d", database]
    return subprocess.run(
        [str(binaries() / name), *address, *arguments], check=True, capture_output=True
    ).stdout


SCENARIOS = [
    *(
        Scenario(
            f"clock-{kind}", f"the clock of one {kind} 6 min fast, then slow", _clock_off(kind)
        )
        for kind in ("core", "relay", "ingest", "events")
    ),
    Scenario(
        "restore", "the database restored from a backup, a new epoch", _restore, new_epoch=True
    ),
]
