"""Reads each channel separately when a row is damaged, so that damage affects only its own channel.

An unreadable event in the log resets the channel: the open orders, or the documents, are in other
tables and can still be read. An unreadable value of a document is left out, like one that is too
large for a snapshot. A channel whose orders cannot be read is left out of the answer: its client
takes the others, reports what is missing, and retries with back-off.

Stored text that is not JSON is treated in the same way. A check of each row would slow down every
answer, so the whole answer is checked, and the rows only if it is not JSON.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Literal

import msgspec

from client_sdk.contract.channel import carries_documents
from client_sdk.contract.json_decoding import decode
from core_api.errors import UnavailableError, UnreadableRowError
from core_api.postgres.pool import Pool
from core_api.postgres.unreadable_rows import by_halves, unreadable
from core_api.sync.document_reading import read_documents
from core_api.sync.events_or_reset import ChannelAnswer, snapshot_of
from core_api.sync.queries import Moment, OpenOrders, Page, PageQuery, SnapshotQuery
from core_api.sync.reading import read_pages
from server_common.logs import get_logger

_log = get_logger()

Unreadable = Literal["event", "value", "channel"]
"""What cannot be read: an event of the log, so its channel is reset; a document's value, so it is
left out; the open orders of a channel, so the whole channel is left out."""
Told = Callable[[str, Unreadable], None]
Reset = Callable[[Sequence[str]], Awaitable[tuple[Moment, list[ChannelAnswer]]]]
"""Reads snapshots of these channels, which replace what the client has."""
_json: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(msgspec.Raw)
_NO_JSON: Final = unreadable("the stored text is not JSON")
_NO_VALUE: Final = -1
"""Every value has more bytes, so none is shown or even read."""


async def pages_apart(
    pool: Pool, queries: Sequence[PageQuery], told: Told
) -> tuple[Moment, list[Page | None]]:
    """The pages of many channels, each read separately; None for one that Postgres cannot read.

    If only an event is unreadable, the page says that the log begins after it.

    Args:
        pool: the database.
        queries: the channels, each with the client's seq in it.
        told: called for each channel that cannot be read completely.

    Raises:
        UnavailableError: Postgres does not answer, or a new epoch began between two reads.
        UnreadableRowError: none of the channels can be read.
    """
    moments: list[Moment] = []

    async def read(asked: Sequence[PageQuery]) -> Sequence[Page]:
        moment, found = await read_pages(pool, asked)
        moments.append(moment)
        return found

    pages: list[Page | None] = []
    for query, page in zip(queries, await by_halves(read, queries), strict=True):
        if isinstance(page, Page):
            pages.append(page)
            continue
        # The heads are in a table of their own, so they can be read without the events.
        (head,) = await by_halves(read, [query._replace(limit=0)])
        if isinstance(head, Page):
            _tell(told, query.channel, "event", page)
            pages.append(msgspec.structs.replace(head, floor=query.after + 1))
        else:
            _tell(told, query.channel, "channel", head)
            pages.append(None)
    return _earliest(moments), pages


async def snapshots_apart(
    pool: Pool,
    queries: Sequence[SnapshotQuery],
    open_one: Callable[[SnapshotQuery], Awaitable[tuple[Moment, OpenOrders]]],
    told: Told,
) -> tuple[Moment, list[OpenOrders | None]]:
    """Snapshots of many channels, each read separately; None for one that Postgres cannot read.

    Args:
        pool: the database.
        queries: the channels.
        open_one: reads one of them.
        told: called for each that cannot be read completely.

    Raises:
        UnavailableError: Postgres does not answer, or a new epoch began between two reads.
        UnreadableRowError: none of the channels can be read.
    """
    moments: list[Moment] = []
    opened: list[OpenOrders | None] = []
    for query in queries:
        one: OpenOrders | None
        try:
            moment, one = await open_one(query)
            moments.append(moment)
        except UnreadableRowError as error:
            one = await _without_values(pool, query, moments)
            _tell(told, query.channel, "channel" if one is None else "value", error)
        opened.append(one)
    if not moments:
        raise nothing_readable()
    return _earliest(moments), opened


def is_json(text: bytes | msgspec.Raw) -> bool:
    """Whether the text is one JSON value; its content is not checked."""
    try:
        decode(_json, text)
    except msgspec.DecodeError:
        return False
    return True


async def without_malformed(
    pool: Pool,
    moment: Moment,
    answers: Sequence[ChannelAnswer],
    query_of: Callable[[str], SnapshotQuery],
    reset: Reset,
    told: Told,
) -> tuple[Moment, list[ChannelAnswer]]:
    """The answer without the parts of it that are not valid JSON.

    Args:
        pool: the database.
        moment: when the answer was read.
        answers: the channels as they were read.
        query_of: what to ask of a channel's documents.
        reset: reads snapshots of these channels.
        told: called for each channel that cannot be read completely.

    Raises:
        UnavailableError: Postgres does not answer, or a new epoch began meanwhile.
        UnreadableRowError: no channel of it can be read.
    """
    moments = [moment]
    begun_anew = [one.wire.channel for one in answers if not all(map(is_json, one.wire.events))]
    left = [one for one in answers if one.wire.channel not in begun_anew]
    for channel in begun_anew:
        _tell(told, channel, "event", _NO_JSON)
    if begun_anew:
        # If their snapshots are unreadable, too, `reset` reports it.
        with contextlib.suppress(UnreadableRowError):
            later, snapshots = await reset(begun_anew)
            moments.append(later)
            left += snapshots
    given: list[ChannelAnswer] = []
    for answer in left:
        kept = answer
        if not _is_given(answer):
            opened = await _without_values(pool, query_of(answer.wire.channel), moments)
            if opened is not None:
                kept = snapshot_of(
                    answer.wire.channel,
                    answer.wire.reset or "first_sync",
                    opened,
                    moment.epoch,
                )
            is_left_out = opened is None or not _is_given(kept)
            _tell(told, answer.wire.channel, "channel" if is_left_out else "value", _NO_JSON)
            if is_left_out:
                continue
        given.append(kept)
    if not given:
        raise nothing_readable()
    return _earliest(moments), given


def _is_given(answer: ChannelAnswer) -> bool:
    """Whether all orders, or documents, of a snapshot are JSON."""
    snapshot = answer.wire.snapshot
    if snapshot is None:
        return True
    return all(map(is_json, [*snapshot.orders, *(snapshot.documents or ())]))


def nothing_readable() -> UnreadableRowError:
    """The error for a sync of which no channel can be read."""
    return unreadable("in any of the channels that are asked for")


async def _without_values(
    pool: Pool, query: SnapshotQuery, moments: list[Moment]
) -> OpenOrders | None:
    if not carries_documents(query.channel):
        return None
    try:
        moment, (opened,) = await read_documents(pool, [query], _NO_VALUE)
    except UnreadableRowError:
        return None
    moments.append(moment)
    return opened


def _earliest(moments: Sequence[Moment]) -> Moment:
    """The moment of an answer from several reads: the earliest, as its ticket covers most."""
    if not moments:
        raise nothing_readable()
    if len({moment.epoch for moment in moments}) > 1:
        raise UnavailableError("a new epoch began while the channels were read")
    return min(moments, key=lambda moment: moment.unix_s)


def _tell(told: Told, channel: str, what: Unreadable, error: Exception) -> None:
    told(channel, what)
    _log.error("sync_unreadable", channel=channel, what=what, reason=str(error))
