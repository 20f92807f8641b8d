"""The proof that nothing is lost: compares what handlers received with the database.

It uses no code under test: the log and the orders are read by SQL, the digest is computed here, and
each client's handler only records what it receives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

import asyncpg

OVER: Final = frozenset({"rejected", "paid", "cancelled"})


class Fact(NamedTuple):
    """One event: the event `seq` of its channel took this order to this version."""

    seq: int
    order_id: str
    version: int


class Standing(NamedTuple):
    """The current version and status of an order."""

    version: int
    status: str


@dataclass(slots=True)
class Verdict:
    """What is wrong; all counts are 0 if nothing is."""

    lost: int = 0
    """Events of the log that a client did not receive, or not as they are; acknowledged orders that
    the database does not have; and channels whose orders differ at a client."""
    doubled: int = 0
    out_of_order: int = 0
    late: int = 0
    """Events that had not arrived when nothing arrived any more, but that Core or Kafka still has.
    Then the run has failed, but nothing is lost."""
    notes: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.out_of_order or self.late)

    def add(self, other: Verdict) -> None:
        """Add the counts and notes of another verdict."""
        self.lost += other.lost
        self.doubled += other.doubled
        self.out_of_order += other.out_of_order
        self.late += other.late
        self.notes += other.notes


def judge(
    name: str, expected: Sequence[Fact], got: Sequence[Fact], to_come: Collection[Fact] = ()
) -> Verdict:
    """Compare what one client received of one channel with the channel's log.

    Args:
        name: the client's name, for the notes.
        expected: the log.
        got: what the client received, in that order.
        to_come: what it can still receive. If a missing event is among these, and after all events
            that it has received, it is late; otherwise it is lost.
    """
    verdict = Verdict()
    verdict.doubled = len(got) - len({fact.seq for fact in got})
    newest = 0
    seen: set[int] = set()
    for fact in got:
        verdict.out_of_order += fact.seq < newest and fact.seq not in seen
        seen.add(fact.seq)
        newest = max(newest, fact.seq)
    missing, invented = set(expected) - set(got), set(got) - set(expected)
    late = {fact for fact in missing.intersection(to_come) if fact.seq > newest}
    missing -= late
    verdict.lost, verdict.late = len(missing | invented), len(late)
    if not verdict.clean:
        verdict.notes.append(
            f"{name}: missing {_some(missing)}, not in the log {_some(invented)}, "
            f"doubled {verdict.doubled}, out of order {verdict.out_of_order}, late {_some(late)}"
        )
    return verdict


def digest(orders: Mapping[str, Standing]) -> int:
    """The digest of those of these orders that are open."""
    whole = 0
    for order_id, order in orders.items():
        if order.status not in OVER:
            hashed = sha256(f"{order_id}:{order.version}".encode()).digest()
            whole ^= int.from_bytes(hashed[:8], "big")
    return whole


def judge_orders(
    name: str, expected: Mapping[str, Standing], shown: Mapping[str, Standing]
) -> Verdict:
    """Compare a client's open orders of a channel with those of the database."""
    if digest(expected) == digest(shown):
        return Verdict()
    different = sorted(
        key for key in expected.keys() | shown.keys() if expected.get(key) != shown.get(key)
    )
    return Verdict(lost=1, notes=[f"{name}: its orders differ at {different[:3]}"])


def judge_writes(
    acknowledged: Mapping[str, int], stored: Mapping[str, Sequence[int]], what: str
) -> Verdict:
    """Compare the acknowledged writes with the database, by the orders' references.

    Args:
        acknowledged: the newest acknowledged version of each order.
        stored: the versions of all orders with each reference.
        what: how the orders were placed, for the notes.
    """
    lost = [name for name, version in acknowledged.items() if max(stored.get(name, [0])) < version]
    doubled = [name for name in acknowledged if len(stored.get(name, [])) > 1]
    notes = []
    if lost or doubled:
        notes.append(f"{what}: not in the database {lost[:3]}, more than once {doubled[:3]}")
    return Verdict(lost=len(lost), doubled=len(doubled), notes=notes)


def _some(facts: Iterable[Fact]) -> str:
    ordered = sorted(facts)
    seqs = ", ".join(str(fact.seq) for fact in ordered[:3])
    return f"{len(ordered)}" + (f" (seq {seqs} …)" if seqs else "")


class Ledger:
    """Reads Core's tables directly, without Core and without a proxy."""

    def __init__(self, database: str) -> None:
        self._database = database

    async def heads(self) -> dict[str, int]:
        """The newest seq of each channel."""
        rows = await self._fetch("SELECT channel, max(seq) FROM channel_log GROUP BY channel")
        return {row[0]: row[1] for row in rows}

    async def log(self, after: Mapping[str, int]) -> dict[str, list[Fact]]:
        """The events of each channel after the given seq."""
        rows = await self._fetch(
            "SELECT l.channel, l.seq, l.order_id::text, l.order_version FROM channel_log l"
            " JOIN unnest($1::text[], $2::bigint[]) AS a(channel, seq)"
            " ON l.channel = a.channel AND l.seq > a.seq ORDER BY l.channel, l.seq",
            list(after),
            list(after.values()),
        )
        facts: dict[str, list[Fact]] = {channel: [] for channel in after}
        for channel, seq, order_id, version in rows:
            facts[channel].append(Fact(seq, order_id, version))
        return facts

    async def open_orders(self) -> dict[str, dict[str, Standing]]:
        """The open orders of each channel."""
        rows = await self._fetch(
            "SELECT store_id, table_id, id::text, version, status FROM orders"
            " WHERE NOT status = ANY($1::text[])",
            list(OVER),
        )
        channels: dict[str, dict[str, Standing]] = {}
        for store, table, order_id, version, status in rows:
            names = [f"store:{store}"] + ([f"table:{store}/{table}"] if table else [])
            for name in names:
                channels.setdefault(name, {})[order_id] = Standing(version, status)
        return channels

    async def by_reference(self, references: Sequence[str]) -> dict[str, list[int]]:
        """The versions of the orders with each reference."""
        rows = await self._fetch(
            "SELECT reference, version FROM orders WHERE reference = ANY($1::text[])",
            list(references),
        )
        versions: dict[str, list[int]] = {}
        for reference, version in rows:
            versions.setdefault(reference, []).append(version)
        return versions

    async def run(self, statement: str, *arguments: object) -> None:
        """Run a statement that changes data."""
        await self._fetch(statement, *arguments)

    async def fetch(self, statement: str, *arguments: object) -> list[tuple[object, ...]]:
        """The rows of a query."""
        return [tuple(row) for row in await self._fetch(statement, *arguments)]

    async def _fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self._database, timeout=20, command_timeout=60)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()
