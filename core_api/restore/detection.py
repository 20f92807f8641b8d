"""The signs that the database went back, from its own identity and from Kafka. Pure.

After a restore, seqs that clients have seen are assigned again to other events. A new epoch makes
every client resync. Three signs show that it is due: the database is not the one that the epoch
began in; it is, but its log (WAL) ends earlier than it did before; or a published event is missing
or different in the database. A promoted standby is another database, too; it keeps the epoch if it
provably lacks nothing (docs/decisions/0020-promoted-standbys.md).

None of the three shows the loss of events that clients have fetched and Kafka does not have: they
were never published, or Kafka has deleted them. It can happen when a database is restored in place
(see `lineage.py`) while no relay works, or when a dump is loaded over the tables. Even then a
client whose cursor is beyond the head gets a reset; the digest detects the others at their next
sync.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from client_sdk.contract.errors import RecordError
from client_sdk.contract.json_decoding import decode
from server_common.kafka_records.events import OrderRecord, split_ids

_IDENTITY: Final = re.compile(r"([0-9]+)/([0-9]+)/([0-9]+)")
"""Cluster, timeline and database."""
LONGEST_FAILOVER_S: Final = 600.0
"""The longest time without a relay's look at a database for its promotion to count as a failover,
in seconds. A recovery to a point in time, for which relays are stopped, usually takes longer."""


@dataclass(frozen=True, slots=True)
class Witness:
    """The record that a relay writes into the database at each look, by the database's clock.

    A standby has the newest one that was replicated, a backup the newest one before it was made.
    """

    at: float
    """When, in seconds since the Unix epoch."""
    until: float
    """Until when relays may publish because of it, in the same unit."""
    is_replicated: bool
    """Whether every commit waited for a standby then."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """The database's epoch, the identity that it began in, and the identity now."""

    epoch: str
    born_in: str | None
    identity: str
    witness: Witness | None = None
    """None: no relay has looked yet."""
    now: float = 0.0
    """The time by this database's clock, in seconds since the Unix epoch."""
    is_cut: bool = False
    """Whether its recovery was told to end before the end of the log."""
    flushed: int | None = None
    """The byte up to which Postgres has flushed its WAL to the disk. It only grows, also through a
    crash. None: not known, as in a standby."""


class EventIdentity(NamedTuple):
    """What distinguishes an event from one that another log has at the same seq."""

    name: str
    """The order's id, or the document's key."""
    version: int
    at: datetime | None = None
    """Of a document, when it was settled: other logs have its key and version as well."""


@dataclass(frozen=True, slots=True)
class LastPublished:
    """The newest event of a channel that was published in the present epoch."""

    seq: int
    event: EventIdentity


@dataclass(frozen=True, slots=True)
class StoredLineage:
    """What the database has at the seq of a published event."""

    head: int
    floor: int
    event: EventIdentity | None
    """The event at that seq; None: there is none."""


class _Event(Struct, frozen=True):
    order_id: str | None = None
    order_version: int = 0
    key: str | None = None
    version: int = 0
    occurred_at: datetime | None = None

    @property
    def identity(self) -> EventIdentity | None:
        if self.order_id is not None:
            return EventIdentity(self.order_id, self.order_version)
        if self.key is not None and self.occurred_at is not None:
            return EventIdentity(self.key, self.version, self.occurred_at)
        return None


_event: Final = msgspec.json.Decoder(_Event)


def newest_of(records: Iterable[OrderRecord], epoch: str) -> dict[str, LastPublished]:
    """The newest published event of each channel.

    Records of other epochs and malformed ones are ignored: others may write to the topic, and one
    bad record must not stop a relay.
    """
    lines: dict[str, tuple[int, bytes]] = {}
    for record in records:
        if record.epoch != epoch:
            continue
        with contextlib.suppress(RecordError):
            for (channel, seq), line in zip(split_ids(record.ids), record.lines, strict=True):
                if seq > lines.get(channel, (0, b""))[0]:
                    lines[channel] = seq, line
    newest = {}
    for channel, (seq, line) in lines.items():
        with contextlib.suppress(msgspec.DecodeError):
            identity = decode(_event, line).identity
            if identity is not None:
                newest[channel] = LastPublished(seq, identity)
    return newest


def signs(
    lineage: Lineage,
    watermark: float,
    published: Mapping[str, LastPublished],
    stored: Mapping[str, StoredLineage],
) -> Iterator[str]:
    """The reasons for a new epoch, in words; empty: nothing shows that the database went back.

    Args:
        lineage: the database's.
        watermark: the newest that was published in its epoch, in seconds since the Unix epoch; 0:
            there is none.
        published: the newest published event of each channel.
        stored: what the database has at their seqs.
    """
    sign = identity_sign(lineage)
    if sign is not None and (doubt := doubt_of(lineage, watermark)) is not None:
        yield f"{sign}: {doubt}"
    yield from published_signs(published, stored)


def identity_sign(lineage: Lineage) -> str | None:
    """Why this is not the database that the epoch began in; None: it is, or it is not known."""
    if lineage.born_in is None or lineage.born_in == lineage.identity:
        return None
    return (
        f"epoch {lineage.epoch} began in the database {lineage.born_in} "
        f"(cluster/timeline/database), and this is {lineage.identity}"
    )


def regress_sign(before: Lineage | None, now: Lineage) -> str | None:
    """Why the same database seems restored to an earlier state; None: nothing shows it.

    Args:
        before: the lineage at this process's last look; None: this is the first look.
        now: the lineage at this look.
    """
    if before is None or (before.epoch, before.identity) != (now.epoch, now.identity):
        return None
    if before.flushed is None or now.flushed is None or now.flushed >= before.flushed:
        return None
    return (
        f"the log of the database {now.identity} (cluster/timeline/database) had reached byte "
        f"{before.flushed}, and is at {now.flushed}: it was restored to an earlier state"
    )


def doubt_of(lineage: Lineage, watermark: float) -> str | None:
    """Why a database of another identity may lack commits seen by clients; None: it has them all.

    It has them all if it is a promoted standby, each commit waited for the standby to the end, and
    it has the witness because of which Kafka's newest watermark was published.

    Args:
        lineage: of a database whose identity has changed.
        watermark: as of `signs`.
    """
    doubt = doubt_without_kafka(lineage)
    if doubt is not None:
        return doubt
    if not watermark:
        return "Kafka has no watermark that shows how far the log had got"
    witness = lineage.witness
    if witness is None or watermark > witness.until:
        return f"the log had reached {_time(watermark)}, and this database has not"
    return None


def doubt_without_kafka(lineage: Lineage) -> str | None:
    """The same, as far as the database itself shows it."""
    passed = _timelines_passed(lineage.born_in or "", lineage.identity)
    if passed < 1:
        return "it is not a standby of that database"
    if passed > 1:
        return "it was promoted more than once, and no relay had looked at it in between"
    if lineage.is_cut:
        return "it was recovered to a point in time"
    witness = lineage.witness
    if witness is None:
        return "no relay had looked at it before"
    if not witness.is_replicated:
        return "commits did not wait for a standby, so it may lack the last ones"
    if lineage.now - witness.at > LONGEST_FAILOVER_S:
        return f"no relay had looked at it since {_time(witness.at)}"
    return None


def _timelines_passed(before: str, now: str) -> int:
    """The number of timelines from the first identity to the second; 0: the cluster or database
    differs."""
    first, second = _IDENTITY.fullmatch(before), _IDENTITY.fullmatch(now)
    if first is None or second is None or first.group(1, 3) != second.group(1, 3):
        return 0
    return int(second[2]) - int(first[2])


def _time(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")


def published_signs(
    published: Mapping[str, LastPublished], stored: Mapping[str, StoredLineage]
) -> Iterator[str]:
    """What was published and is missing or different in the database."""
    for channel, event in sorted(published.items()):
        found = stored[channel]
        if event.seq > found.head:
            yield f"{channel}@{event.seq} was published, and the head is {found.head}"
        elif found.event is not None and found.event != event.event:
            yield (
                f"{channel}@{event.seq} was published as {_told(event.event)}, "
                f"and is {_told(found.event)}"
            )


def _told(event: EventIdentity) -> str:
    at = "" if event.at is None else f" of {event.at.isoformat()}"
    return f"version {event.version} of {event.name}{at}"
