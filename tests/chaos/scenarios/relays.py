"""Faults of relays at the worst moments: between publishing and deleting, after their lease."""

from __future__ import annotations

import asyncio
import re

from tests.chaos.proof import Ledger
from tests.chaos.runner import Field, NotInjectedError, Scenario
from tests.chaos.site import Site, aside, log_lines
from tests.chaos.wire import FaultProxy

_DUPLICATES = "yabam_events_duplicates_total"
# A prepared statement is sent once with its name and text; later only with its name.
_ANNOUNCED = re.compile(rb"(__asyncpg_stmt_[0-9a-f]+__)\x00[^\x00]*DELETE FROM outbox o\s+WHERE")


class DeleteWatch:
    """Holds relay-2's statement that deletes published rows, on its way to the database.

    The rows are in Kafka then, so the relay can be stopped between publishing and deleting. The
    relay must connect after this is set as the proxy's trap.

    Args:
        wire: the proxy between the relay and the database.
        ledger: tells which rows are of a store. An event of no store is in every partition, so it
            arrives more than once without any fault.
    """

    def __init__(self, wire: FaultProxy, ledger: Ledger) -> None:
        self.seen = asyncio.Event()
        self.go_on = asyncio.Event()
        self.armed = False
        self.passes = False
        """Whether the held statement is passed on to the database in the end."""
        self._wire = wire
        self._ledger = ledger
        self._names: set[bytes] = set()

    async def __call__(self, data: bytes) -> bool:
        """The trap of the proxy; see `Trap`."""
        announced = _ANNOUNCED.findall(data)
        self._names.update(announced)
        if announced or not self.armed or not any(name in data for name in self._names):
            return True
        if not await self._is_of_a_store(data) or not self.armed:
            return True
        self.armed = False
        self.seen.set()
        await self.go_on.wait()
        return self.passes

    async def _is_of_a_store(self, statement: bytes) -> bool:
        rows = await self._ledger.fetch(
            "SELECT int8send(id) FROM outbox WHERE store_id IS NOT NULL"
        )
        return any(isinstance(sent, bytes) and sent in statement for (sent,) in rows)

    async def hold(self) -> None:
        """Wait for the next such statement, and hold it."""
        self._wire.trap = self
        self._wire.cut()
        self.armed = True
        await self.seen.wait()


async def _kill_between(ground: Field) -> str:
    site, relay = ground.site, ground.site.process("relay-2")
    before = await site.metrics("events", _DUPLICATES)
    rounds = max(1, round(3 * ground.scale))
    for _ in range(rounds):
        watch = DeleteWatch(site.relay_2_database_wire, site.ledger)
        await _held(watch, ground)
        await aside(relay.kill)
        watch.go_on.set()
        site.relay_2_database_wire.clear()
        await ground.last(6)
        relay.start()
        await site.ready(relay)

    async def doubled() -> float:
        return await site.metrics("events", _DUPLICATES) - before

    async def each_came_twice() -> bool:
        return await doubled() >= rounds

    # The next owner of the shards publishes again the rows that the database still has.
    await ground.until(each_came_twice, "events reached Kafka twice")
    return f"{rounds} kills; the event servers dropped {await doubled():.0f} duplicates"


async def _pause_past_lease(ground: Field) -> str:
    site, relay = ground.site, ground.site.process("relay-2")
    watch = DeleteWatch(site.relay_2_database_wire, site.ledger)
    await _held(watch, ground)
    relay.suspend()

    async def taken_over() -> bool:
        return len(await owners(site)) == 1

    seconds = await ground.until(taken_over, "the other relay took all shards over")
    await ground.last(2)
    lost_before = len(log_lines(relay, "lease_lost"))
    watch.passes = True
    watch.go_on.set()  # its delete arrives only now, when it no longer owns the shard
    relay.resume()

    async def fenced() -> bool:
        return len(log_lines(relay, "lease_lost")) > lost_before

    await ground.until(fenced, "the woken relay noticed that its leases are gone")
    return f"its shards were taken over after {seconds:.1f} s; woken, it was fenced"


async def _held(watch: DeleteWatch, ground: Field) -> None:
    try:
        async with asyncio.timeout(60):
            await watch.hold()
    except TimeoutError as error:
        raise NotInjectedError("relay-2 deleted what it had published") from error


async def owners(site: Site) -> set[str]:
    """The relays that hold the leases of all shards; empty: a shard has no owner."""
    rows = await site.ledger.fetch("SELECT owner FROM relay_leases WHERE expires_at > now()")
    return {str(row[0]) for row in rows} if len(rows) == 4 else set()


SCENARIOS = [
    Scenario(
        "relay-between",
        "relay killed three times after Kafka's answer, before its delete",
        _kill_between,
    ),
    Scenario(
        "relay-past-lease",
        "relay frozen with its delete under way until its shards were taken over, then woken",
        _pause_past_lease,
    ),
]
