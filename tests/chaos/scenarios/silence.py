"""The watermark stands still: event servers report it, clients poll, and recover by themselves."""

from __future__ import annotations

import asyncio
import time

import httpx

from deploy.processes.process import Process
from tests.chaos.runner import Field, NotInjectedError, Scenario

_DEGRADED_AFTER_S = 5.0
_NOTICED_WITHIN_S = _DEGRADED_AFTER_S + 4.0
"""The setting, a second between two watermarks of the relay, and a reserve."""


async def _noticed(ground: Field, since: float) -> str:
    """Check that both event servers are not ready, end streams and refuse new ones.

    Also, clients must poll. Returns a text about it.

    Raises:
        NotInjectedError: one of these was not seen.
    """
    byes = await _byes(ground)
    servers = [p for p in ground.site.stack.processes if p.name.startswith("events")]

    async def all_not_ready() -> bool:
        return all([await _status(server, "/readyz") == 503 for server in servers])

    await ground.until(all_not_ready, "both event servers are not ready")
    noticed = time.monotonic() - since
    if noticed > _NOTICED_WITHIN_S:
        raise NotInjectedError(f"they were not ready within {_NOTICED_WITHIN_S} s: {noticed:.1f} s")
    for server in servers:
        lag = await ground.site.metric(server, "yabam_events_watermark_lag_seconds")
        ready = await ground.site.metric(server, "yabam_events_ready_state")
        if lag < _DEGRADED_AFTER_S or ready:
            raise NotInjectedError(f"the metrics of {server.name} say so: {lag:.1f} s, {ready}")
        if (status := await _status(server, "/v1/stream?ticket=any")) != 503:
            raise NotInjectedError(f"{server.name} refuses streams by 503: {status}")

    async def all_poll() -> bool:
        return ground.crowd.modes()["polling"] == len(ground.crowd.watchers)

    polled = noticed + await ground.until(all_poll, "all clients poll")
    byes = await _byes(ground) - byes
    if not byes:
        raise NotInjectedError("clients were told by `bye: degraded`")
    return (
        f"not ready after {noticed:.1f} s, all clients polled by {polled:.1f} s, "
        f"{byes:.0f} told so by a bye"
    )


async def _byes(ground: Field) -> float:
    return await ground.site.metrics(
        "events", "yabam_events_streams_ended_total", 'reason="degraded"'
    )


async def _status(server: Process, path: str) -> int:
    async with httpx.AsyncClient(timeout=10) as http:
        return (await http.get(f"{server.health_url}{path}")).status_code


async def _both_relays(ground: Field) -> str:
    relays = [ground.site.process("relay"), ground.site.process("relay-2")]
    for relay in relays:
        relay.suspend()
    try:
        seen = await _noticed(ground, time.monotonic())
        await ground.last(5)
    finally:
        for relay in relays:
            relay.resume()
    return seen


async def _one_partition(ground: Field) -> str:
    # A lease that no relay holds or can get: its partition gets no records, the others go on.
    shard = ground.chance.randrange(4)
    ledger = ground.site.ledger
    await ledger.run(
        "UPDATE relay_leases SET owner = 'nobody', fence = fence + 1,"
        " expires_at = now() + interval '1 hour' WHERE shard = $1",
        shard,
    )
    try:
        seen = await _noticed(ground, time.monotonic())
        await ground.last(5)
    finally:
        await ledger.run("UPDATE relay_leases SET expires_at = now() WHERE shard = $1", shard)
    return f"partition {shard}: {seen}"


async def _stuck_consumers(ground: Field) -> str:
    wire = ground.site.events_kafka_wire
    wire.stall()
    try:
        seen = await _noticed(ground, time.monotonic())
        await ground.last(5)
    finally:
        wire.clear()
    return seen


async def _stuck_producers(ground: Field) -> str:
    wire = ground.site.kafka_wire
    wire.stall()
    try:
        seen = await _noticed(ground, time.monotonic())
        await ground.last(5)
    finally:
        wire.clear()
        await asyncio.sleep(0.1)
        wire.cut()
    return seen


SCENARIOS = [
    Scenario("relays-silent", "SIGSTOP of both relays until clients poll, and 5 s", _both_relays),
    Scenario("partition-silent", "one partition gets nothing, likewise", _one_partition),
    Scenario(
        "consumers-stuck",
        "Kafka's network stalls for the event servers, likewise",
        _stuck_consumers,
        needs_kafka=True,
    ),
    Scenario(
        "producers-stuck",
        "Kafka's network stalls for relays and ingest, likewise",
        _stuck_producers,
        needs_kafka=True,
    ),
]
