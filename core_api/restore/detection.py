"""The signs that the database went back, from its own identity and from Kafka. Pure.

After a restore, seqs that clients have seen already are given again to other events. A new epoch
tells every client to start anew. Two things show that it is due: the database is not the one that
the epoch began in, and something was published that the database does not have, or has otherwise.

What neither can show: a restore in place (see `lineage.py`) of what was committed and
fetched by clients but never published, or published longer ago than Kafka keeps. A client whose
cursor is beyond the head is given a reset all the same; one that is not beyond it is found out by
the digest at its next sync.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from client_sdk.contract.errors import RecordError
from server_common.event_records import OrderRecord, split_ids

if TYPE_CHECKING:
    from core_api.restore.lineage import Stored


@dataclass(frozen=True, slots=True)
class Lineage:
    """The database's epoch, the identity that it began in, and the identity now."""

    epoch: str
    born_in: str | None
    identity: str


@dataclass(frozen=True, slots=True)
class LastPublished:
    """The newest event of a channel that was published in the present epoch."""

    seq: int
    order_id: str
    order_version: int


class _Event(Struct, frozen=True):
    order_id: str
    order_version: int


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
            event = msgspec.json.decode(line, type=_Event)
            newest[channel] = LastPublished(seq, event.order_id, event.order_version)
    return newest


def signs(
    lineage: Lineage, published: Mapping[str, LastPublished], stored: Mapping[str, Stored]
) -> Iterator[str]:
    """The reasons for a new epoch, in words; empty: nothing shows that the database went back."""
    sign = identity_sign(lineage)
    if sign is not None:
        yield sign
    yield from published_signs(published, stored)


def identity_sign(lineage: Lineage) -> str | None:
    """Why this is not the database that the epoch began in; None: it is, or that is not known."""
    if lineage.born_in is None or lineage.born_in == lineage.identity:
        return None
    return (
        f"epoch {lineage.epoch} began in the database {lineage.born_in} "
        f"(cluster/timeline/database), and this is {lineage.identity}"
    )


def published_signs(
    published: Mapping[str, LastPublished], stored: Mapping[str, Stored]
) -> Iterator[str]:
    """What was published and is missing or different in the database."""
    for channel, event in sorted(published.items()):
        found = stored[channel]
        if event.seq > found.head:
            yield f"{channel}@{event.seq} was published, and the head is {found.head}"
        elif found.order is not None and found.order != (event.order_id, event.order_version):
            yield (
                f"{channel}@{event.seq} was published as version {event.order_version} of order "
                f"{event.order_id}, and is version {found.order[1]} of {found.order[0]}"
            )
