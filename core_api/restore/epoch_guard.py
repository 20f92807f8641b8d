"""Begins a new epoch when the database has lost commits, as after a restore.

Four signs show this, in case nobody has run `yabam db new-epoch`: it is not the database that its
epoch began in; its WAL ends earlier than at this process's last look; the topic has a later epoch;
the topic has an event of its epoch that it lacks. In each case a new epoch, later than all of them,
makes every client resync. A needless epoch costs each client a snapshot; a missing one lets clients
mistake new events for old ones.

A promoted standby keeps the epoch if it provably lacks nothing that clients have seen
(docs/decisions/0020-promoted-standbys.md).

If the topic has a later epoch again, although this database is still in the epoch begun because of
the first one, another installation writes to the topic. It would answer each epoch with its own.
Then no further epoch is begun; a person must give each installation its own topic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from core_api.kafka.topics import BrokerError
from core_api.restore.detection import (
    LastPublished,
    Lineage,
    StoredLineage,
    doubt_of,
    doubt_without_kafka,
    identity_sign,
    newest_of,
    published_signs,
    regress_sign,
)
from server_common.errors import SettingsError
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.restore.published_records import PublishedTail

_log = get_logger()
_SIGNS_TOLD: Final = 5
_KAFKA_TELLS_WITHIN_S: Final = 20.0
"""The time-out of a check, in seconds, during which a relay is busy; it counts as dead after 30
s."""


class SharedTopicError(SettingsError):
    """Another installation writes to the topic of this one."""


class LogPort(Protocol):
    """The database and the topic, as the guard needs them (`core_api/restore/main.py`).

    Each method raises `UnavailableError` when Postgres or Kafka does not answer.
    """

    async def lineage(self) -> Lineage:
        """The epoch, and the identity of the database that it began in and of this one."""

    async def leave_witness(self) -> Lineage:
        """The same, and write a new witness, if it is the epoch's database."""

    async def tail(self, partitions: Collection[int]) -> PublishedTail:
        """The newest records of some partitions."""

    async def stored(
        self, published: Mapping[str, LastPublished], identity: str
    ) -> dict[str, StoredLineage]:
        """What the database of this identity has at published seqs; another database counts as one
        that does not answer."""

    async def begin(self, judged: str, beyond: str, moved: Lineage | None = None) -> str | None:
        """Begin an epoch that is later than the present one, if that is still the one that was
        judged.

        Args:
            judged: the epoch that must end.
            beyond: the new epoch is later than this one, too; empty: there is no other.
            moved: begin only in the database of this lineage, and only if its epoch has not gone on
                there; None: in any.

        Returns:
            The new epoch; None: `judged` or `moved` does not hold.
        """

    async def adopt(self, lineage: Lineage) -> bool:
        """Keep the epoch in the database of this lineage; False: another relay was first."""


class LifetimeGuard:
    """Finds out that the database went back, and begins a new epoch.

    Any number of relays may do so at once: an epoch only replaces the one that was checked.

    Args:
        log: the database and the topic.
        partitions: how many partitions the topic has.
        begun: called after a new epoch was begun.
        adopted: called after an epoch went on in a standby that was promoted.
    """

    def __init__(
        self,
        log: LogPort,
        partitions: int,
        begun: Callable[[], None],
        adopted: Callable[[], None],
    ) -> None:
        self._of = log
        self._partitions = partitions
        self._begun = begun
        self._adopted = adopted
        self._outbid = ""
        self._seen: Lineage | None = None

    async def check_identity(self) -> None:
        """Begin a new epoch if the database has gone back, or is not the one that the epoch began
        in and not a promoted standby of it that lacks nothing.

        Raises:
            UnavailableError: Postgres does not answer; or it is such a standby, and Kafka does not
                answer.
        """
        lineage = await self._of.leave_witness()
        sign = identity_sign(lineage)
        if sign is None:
            went_back = regress_sign(self._seen, lineage)
            if went_back is not None:
                await self._begin_anew(lineage.epoch, "", [went_back])
            # Only now: if the check failed, the next one must compare with the old state.
            self._seen = lineage
            return
        doubt = doubt_without_kafka(lineage)
        if doubt is not None:
            await self._begin_anew(lineage.epoch, "", [f"{sign}: {doubt}"], lineage)
            return
        try:
            async with asyncio.timeout(_KAFKA_TELLS_WITHIN_S):
                tail = await self._of.tail(range(self._partitions))
        except TimeoutError as error:
            told = f"Kafka has not told within {_KAFKA_TELLS_WITHIN_S:g} s what it has"
            raise BrokerError(told) from error
        lacking = await self._lacking(lineage, tail)
        if lacking:
            await self._begin_anew(lineage.epoch, tail.epoch, [sign, *lacking], lineage)
        elif await self._of.adopt(lineage):
            # Before anything is published in it: the next standby is compared with this one.
            await self._of.leave_witness()
            self._adopted()
            _log.warning("standby_promoted", before=lineage.born_in, now=lineage.identity)

    async def check_published(self, partitions: Sequence[int]) -> None:
        """Begin a new epoch if these partitions have events that the database lacks.

        Raises:
            UnavailableError: Postgres or Kafka does not answer.
            SharedTopicError: another installation writes to the topic.
        """
        # Kafka first: published events are committed, so the database then has them.
        tail = await self._of.tail(partitions)
        lineage = await self._of.lineage()
        epoch = lineage.epoch
        if tail.epoch > epoch:
            sign = _later_epoch(tail.epoch, epoch)
            if epoch == self._outbid:
                _log.error("topic_has_another_writer", epoch=epoch, found=tail.epoch)
                raise SharedTopicError(
                    f"{sign}, which was begun because the topic had a later one: another "
                    "installation writes to this topic. Give each a YABAM_EVENTS_TOPIC of its own; "
                    "or, if this database was restored twice, run yabam db new-epoch"
                )
            self._outbid = await self._begin_anew(epoch, tail.epoch, [sign]) or ""
            return
        found = await self._missing(lineage, tail)
        if found:
            await self._begin_anew(epoch, tail.epoch, found)

    async def _lacking(self, lineage: Lineage, tail: PublishedTail) -> list[str]:
        """Why a promoted standby may lack events that clients have seen."""
        if tail.epoch > lineage.epoch:
            return [_later_epoch(tail.epoch, lineage.epoch)]
        doubt = doubt_of(lineage, tail.watermarks.get(lineage.epoch, 0.0))
        missing = await self._missing(lineage, tail)
        return missing if doubt is None else [doubt, *missing]

    async def _missing(self, lineage: Lineage, tail: PublishedTail) -> list[str]:
        published = newest_of(tail.orders, lineage.epoch)
        stored = await self._of.stored(published, lineage.identity)
        return list(published_signs(published, stored))

    async def _begin_anew(
        self, judged: str, beyond: str, signs: Sequence[str], moved: Lineage | None = None
    ) -> str | None:
        epoch = await self._of.begin(judged, beyond, moved)
        if epoch is None:
            return None  # another relay was first
        self._begun()
        _log.error("epoch_begun", epoch=epoch, before=judged, signs=list(signs[:_SIGNS_TOLD]))
        return epoch


def _later_epoch(found: str, epoch: str) -> str:
    return f"the topic has epoch {found}, later than the database's {epoch}"
