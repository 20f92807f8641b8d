"""The signs that the database went back, from its own identity and from Kafka. Pure.

After a restore, seqs that clients have seen already are given again to other events. A new epoch
tells every client to start anew. Three things show that it is due: the database is not the one
that the epoch began in; it is, but its log ends before where it has ended already; and something
was published that the database does not have, or has otherwise.
A standby that was promoted is another database, too; it keeps the epoch where it can be shown that
it lacks nothing (docs/decisions/0020-promoted-standbys.md).

None of the three shows the loss of events that clients have fetched and Kafka does not hold: they
were never published, or Kafka has deleted them. It can happen when a database is restored in place
(see `lineage.py`) while no relay works, or when a dump is loaded over the tables. A client whose
cursor is beyond the head is given a reset all the same; the others are found out by the digest at
their next sync.
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
from server_common.kafka_records.events import OrderRecord, split_ids

_IDENTITY: Final = re.compile(r"([0-9]+)/([0-9]+)/([0-9]+)")
"""Cluster, timeline and database."""
LONGEST_FAILOVER_S: Final = 600.0
"""How long no relay may have looked at a database for its promotion to count as a failover, in
seconds. A recovery to a point in time, for which relays are stopped, usually takes longer."""


@dataclass(frozen=True, slots=True)
class Witness:
    """What a relay wrote into the database when it last looked at it, by the database's clock.

    It is in a standby as far as the standby has followed, and in a backup as far as that goes back.
    """

    at: float
    """When, in seconds since the Unix epoch."""
    until: float
    """Until when a relay may have published on the strength of it, in the same seconds."""
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
    """Up to which byte Postgres has its own log (WAL) on the disk. It only grows, also through a
    crash. None: not known, as in a standby."""


class EventIdentity(NamedTuple):
    """What tells an event from any that another log has in its place."""

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
    """What the database has in the place of a published event."""

    head: int
    floor: int
    event: EventIdentity | None
    """The event in that place; None: there is none."""


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


def newest_of(records: Iterable[OrderRecord], epoch: str) -> dict[str, LastPublished]:
    """The newest published event of each channel.

    Records of other epochs do not count, and nor does what is malformed: others may write to the
    topic, and one bad record must not keep a relay from its work.
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
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            identity = msgspec.json.decode(line, type=_Event).identity
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
        stored: what the database has in their places.
    """
    sign = identity_sign(lineage)
    if sign is not None and (doubt := doubt_of(lineage, watermark)) is not None:
        yield f"{sign}: {doubt}"
    yield from published_signs(published, stored)


def identity_sign(lineage: Lineage) -> str | None:
    """Why this is not the database that the epoch began in; None: it is, or that is not known."""
    if lineage.born_in is None or lineage.born_in == lineage.identity:
        return None
    return (
        f"epoch {lineage.epoch} began in the database {lineage.born_in} "
        f"(cluster/timeline/database), and this is {lineage.identity}"
    )


def regress_sign(before: Lineage | None, now: Lineage) -> str | None:
    """Why an earlier state of the same database was put back; None: nothing shows it.

    Args:
        before: what the same process saw the last time; None: this is the first time.
        now: what it sees.
    """
    if before is None or (before.epoch, before.identity) != (now.epoch, now.identity):
        return None
    if before.flushed is None or now.flushed is None or now.flushed >= before.flushed:
        return None
    return (
        f"the log of the database {now.identity} (cluster/timeline/database) had come to byte "
        f"{before.flushed}, and is at {now.flushed}: an earlier state of it was put back"
    )


def doubt_of(lineage: Lineage, watermark: float) -> str | None:
    """Why a database of another identity may lack commits that were shown; None: it has them all.

    It is a standby that was promoted, and each commit waited for the standby up to the end: the
    newest watermark in Kafka was published on the strength of the witness that it has.

    Args:
        lineage: of a database whose identity has changed.
        watermark: as of `signs`.
    """
    doubt = doubt_without_kafka(lineage)
    if doubt is not None:
        return doubt
    if not watermark:
        return "Kafka has no watermark that shows how far the log had come"
    witness = lineage.witness
    if witness is None or watermark > witness.until:
        return f"the log had come to {_time(watermark)}, and this database has not"
    return None


def doubt_without_kafka(lineage: Lineage) -> str | None:
    """The same, as far as the database itself shows it."""
    passed = _timelines_passed(lineage.born_in or "", lineage.identity)
    if passed < 1:
        return "it is no standby of that one"
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
    """How many timelines after the first identity's the second one's is; 0: it is not of the same
    cluster and database."""
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
