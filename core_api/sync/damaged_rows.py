"""Reads around what Postgres cannot give: each channel by itself, so that damage costs only its own
channel.

An event in the log that cannot be given makes the channel begin anew: the open orders, or the
documents, stand elsewhere and are still to be had. A document's value that cannot be given is left
out, as one that is too large for a snapshot. A channel whose orders cannot be given is left out of
the answer: its client takes the others, says what is missing, and asks again with back-off.

Text that Postgres gives and that is no JSON is treated in the same way. To look for it in each row
would cost every answer something, so the answer is looked at as a whole, and the rows only where
that is no JSON.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Literal

import msgspec

from client_sdk.contract.channel import carries_documents
from core_api.errors import UnavailableError, UnreadableRowError
from core_api.postgres.pool import Pool
from core_api.postgres.unreadable_rows import by_halves, unreadable
from core_api.sync.document_reading import read_documents
from core_api.sync.queries import Moment, OpenOrders, Page, PageQuery, SnapshotQuery
from core_api.sync.reading import read_pages
from core_api.sync.rules import ChannelAnswer, snapshot_of
from server_common.logs import get_logger

_log = get_logger()

Unreadable = Literal["event", "value", "channel"]
"""What cannot be given: an event of the log, so its channel begins anew; a document's value, so it
is left out; what is open in a channel, so the whole channel is."""
Told = Callable[[str, Unreadable], None]
Reset = Callable[[Sequence[str]], Awaitable[tuple[Moment, list[ChannelAnswer]]]]
"""Reads snapshots of these channels, which replace what the client has."""
_json: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(msgspec.Raw)
_NO_JSON: Final = unreadable("what is stored is no JSON")
_NO_VALUE: Final = -1
"""No value has so few bytes, so none is shown or even read."""


async def pages_apart(
    pool: Pool, queries: Sequence[PageQuery], told: Told
) -> tuple[Moment, list[Page | None]]:
    """The pages of many channels, each read by itself; None for one that Postgres cannot give.

    Where it is an event that cannot be given, the page says that the log begins behind it.

    Raises:
        UnavailableError: Postgres does not answer, or a new epoch began between two reads.
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
        # The heads stand in a table of their own: without an event to read they can be had.
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
    """Snapshots of many channels, each read by itself; None for one that Postgres cannot give.

    Args:
        pool: the database.
        queries: the channels.
        open_one: reads one of them.
        told: called for each that cannot be given as it is.

    Raises:
        UnavailableError: Postgres does not answer, or a new epoch began between two reads.
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
    """Whether the text is one JSON value; what it says is not looked at."""
    try:
        _json.decode(text)
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
        told: called for each channel that cannot be given as it is.

    Raises:
        UnavailableError: Postgres does not answer, or a new epoch began meanwhile.
        UnreadableRowError: nothing of it can be given.
    """
    moments = [moment]
    begun_anew = [one.wire.channel for one in answers if not all(map(is_json, one.wire.events))]
    left = [one for one in answers if one.wire.channel not in begun_anew]
    for channel in begun_anew:
        _tell(told, channel, "event", _NO_JSON)
    if begun_anew:
        # Where their snapshots cannot be given either, that is told where it was found out.
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
    """The error for a sync of which nothing can be given."""
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
    """The moment of an answer that was put together: an earlier ticket asks for more."""
    if not moments:
        raise nothing_readable()
    if len({moment.epoch for moment in moments}) > 1:
        raise UnavailableError("a new epoch began while the channels were read")
    return min(moments, key=lambda moment: moment.unix_s)


def _tell(told: Told, channel: str, what: Unreadable, error: Exception) -> None:
    told(channel, what)
    _log.error("sync_unreadable", channel=channel, what=what, reason=str(error))
