"""Wrong clocks, and a database that goes back in time."""

from __future__ import annotations

import subprocess
from pathlib import Path

from deploy.local.postgres import binaries
from tests.chaos.runner import Field, Inject, NotInjectedError, NotPossibleError, Scenario
from tests.chaos.site import DATABASE, Site, aside

_MOST_LATE = 0.05
"""The share of clients whose ticket may have expired on a busy machine."""
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
        for offset in ("+5m", "-5m"):
            await aside(process.stop)
            process.start(
                {
                    "LD_PRELOAD": str(library),
                    "FAKETIME": offset,
                    # Seconds that only go forward do so on a machine with a wrong clock, too.
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                    "FAKETIME_NO_CACHE": "1",
                }
            )
            await ground.site.ready(process)
            seen.append(f"{offset}: {await _all_come_again(ground)}")
        await aside(process.stop)
        process.start()
        await ground.site.ready(process)
        return "; ".join(seen)

    return inject


async def _all_come_again(ground: Field) -> str:
    """What became of it when all clients had to sync and to connect anew."""
    site = ground.site
    before = await _refused_tickets(site)
    site.events_front.cut()
    await ground.last(12)
    await ground.all_in("live", within_s=40)
    refused = await _refused_tickets(site) - before
    if refused > len(ground.crowd.watchers) * _MOST_LATE:
        raise NotInjectedError(f"tickets are good whatever the clock: {refused:.0f} were refused")
    return f"all live again, {refused:.0f} tickets refused"


async def _refused_tickets(site: Site) -> float:
    return await site.metrics("events", "yabam_events_requests_refused_total", "ticket")


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
            f"clock-{kind}", f"the clock of one {kind} 5 min fast, then slow", _clock_off(kind)
        )
        for kind in ("core", "relay", "ingest", "events")
    ),
    Scenario(
        "restore", "the database restored from a backup, a new epoch", _restore, new_epoch=True
    ),
]
