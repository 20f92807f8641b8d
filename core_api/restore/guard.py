"""Begins a new epoch by itself when the database has gone back.

Three things show that it has, in case nobody has run `yabam db new-epoch`: it is not the database
that its epoch began in; the topic has an epoch that is later than its own; something was published
in its epoch that it does not have. In each case a new epoch, later than all of them, tells every
client to start anew. A needless epoch costs each client a snapshot; a missing one lets clients take
new events for old ones.

A topic that has a later epoch once more, although this database still is in the one that was begun
over that, has another writer: another installation, which would answer each epoch with one of its
own. Then no further one is begun; a person must give each a topic of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from core_api.restore.detection import (
    LastPublished,
    Lineage,
    identity_sign,
    newest_of,
    published_signs,
)
from server_common.errors import SettingsError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from core_api.restore.lineage import Stored
    from core_api.restore.published_records import PublishedTail

_log: FilteringBoundLogger = structlog.get_logger(__name__)
_SIGNS_TOLD: Final = 5


class SharedTopicError(SettingsError):
    """Another installation writes to the topic of this one."""


class LifetimeGuard:
    """Finds out that the database went back, and begins a new epoch.

    Any number of relays may do so at once: an epoch is begun only in the place of the one that was
    judged.

    Args:
        lineage: the epoch, and the identity of the database that it began in and of this one.
        tail: the newest records of some partitions.
        stored: what the database has where something was published.
        begin: begins an epoch later than the present one and than the second name, if the present
            one still is the first name; the new one's name, or None.
        begun: called after a new epoch was begun.
    """

    def __init__(
        self,
        lineage: Callable[[], Awaitable[Lineage]],
        tail: Callable[[Collection[int]], Awaitable[PublishedTail]],
        stored: Callable[[Mapping[str, LastPublished]], Awaitable[dict[str, Stored]]],
        begin: Callable[[str, str], Awaitable[str | None]],
        begun: Callable[[], None],
    ) -> None:
        self._lineage = lineage
        self._tail = tail
        self._stored = stored
        self._begin = begin
        self._begun = begun
        self._outbid = ""

    async def check_identity(self) -> None:
        """Begin a new epoch if this is not the database that the epoch began in.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        lineage = await self._lineage()
        sign = identity_sign(lineage)
        if sign is not None:
            await self._begin_anew(lineage.epoch, "", [sign])

    async def check_published(self, partitions: Sequence[int]) -> None:
        """Begin a new epoch if these partitions have what the database has not.

        Raises:
            UnavailableError: Postgres or Kafka does not answer.
            SharedTopicError: another installation writes to the topic.
        """
        # Kafka first: whatever is published is committed, so the database then has it.
        tail = await self._tail(partitions)
        epoch = (await self._lineage()).epoch
        if tail.epoch > epoch:
            sign = f"the topic has epoch {tail.epoch}, later than the database's {epoch}"
            if epoch == self._outbid:
                _log.error("topic_has_another_writer", epoch=epoch, found=tail.epoch)
                raise SharedTopicError(
                    f"{sign}, which was begun because the topic had a later one: another "
                    "installation writes to this topic. Give each a YABAM_EVENTS_TOPIC of its own; "
                    "or, if this database was restored twice, run yabam db new-epoch"
                )
            self._outbid = await self._begin_anew(epoch, tail.epoch, [sign]) or ""
            return
        published = newest_of(tail.orders, epoch)
        found = list(published_signs(published, await self._stored(published)))
        if found:
            await self._begin_anew(epoch, tail.epoch, found)

    async def _begin_anew(self, judged: str, beyond: str, signs: Sequence[str]) -> str | None:
        epoch = await self._begin(judged, beyond)
        if epoch is None:
            return None  # another relay was first
        self._begun()
        _log.error("epoch_begun", epoch=epoch, before=judged, signs=list(signs[:_SIGNS_TOLD]))
        return epoch
