"""What a request of Fetch Sync asks for: its parameters or its body, read and checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple
from uuid import UUID

from msgspec import Meta, Struct

from client_sdk.contract.channel import (
    CHANNEL_PATTERN,
    MAX_SEQ,
    Channel,
    parse_channel,
    parse_event_id,
    parse_seq,
)
from client_sdk.contract.cursor import MAX_CHANNELS, parse_cursor
from client_sdk.contract.errors import ChannelError, CursorError
from client_sdk.contract.sync import MAX_LIMIT, MAX_ORDERS, MAX_WAIT_S
from client_sdk.contract.text import (
    EPOCH_PATTERN,
    ORDER_ID_PATTERN,
    is_epoch,
    number_of,
    seconds_of,
    shown,
)
from core_api.access.callers import Caller
from core_api.errors import BadRequestError, InvalidError
from core_api.sync.queries import PageQuery, SnapshotQuery
from server_common.limits import GATHERED_ANSWER_BYTES

DEFAULT_LIMIT: Final = 500
_PAGE: Final = re.compile(rf"([^~]{{1,200}})~({ORDER_ID_PATTERN})~({EPOCH_PATTERN})")
_GOING_ON: Final = re.compile(
    rf"channel=({CHANNEL_PATTERN})(&orders={MAX_ORDERS})?&lastEventId=(?:\1@)?([0-9]{{1,18}})"
    rf"(?:&epoch=({EPOCH_PATTERN}))?"
)
_ALONE: Final = "page takes no other parameter but orders"
_PARAMETERS: Final = frozenset(
    {"channel", "lastEventId", "epoch", "limit", "wait", "orders", "page"}
)


@dataclass(frozen=True, slots=True)
class SnapshotPage:
    """A further page of a snapshot: the one after this order.

    On the wire it is `{channel}@{head}~{order id}~{epoch}`, opaque to clients. It is not signed: a
    forged one gives only orders that the caller may read anyway.
    """

    channel: Channel
    head: int
    after: UUID
    epoch: str


class SyncRequest(Struct, frozen=True):
    """What a client asks for."""

    after: Mapping[Channel, int | None]
    """Each channel, with the seq that the client has applied; None: it starts with a snapshot."""
    epoch: str | None
    """The epoch of the client's cursor, if given."""
    limit: int
    """The most events in the whole answer; each channel is given one in any case."""
    wait_s: float
    """How long to wait for something new, in seconds."""
    orders: int | None = None
    """The most orders in a page of a snapshot; None: snapshots come whole."""
    page: SnapshotPage | None = None
    """A further page of a snapshot is asked for, and nothing else."""

    def queries(self, room: int = GATHERED_ANSWER_BYTES) -> list[PageQuery]:
        """One query per channel; limit and room are shared equally, so that none starves."""
        count = len(self.after)
        if count == 1:
            [(channel, seq)] = self.after.items()
            return [PageQuery(str(channel), seq or 0, self.limit, room)]
        share, room = max(1, self.limit // count), max(1, room // count)
        return [PageQuery(str(c), seq or 0, share, room) for c, seq in self.after.items()]

    def snapshot_query(self, channel: Channel) -> SnapshotQuery:
        """The query for a channel's open orders from the first; the share is equal here, too."""
        count = len(self.after)
        share = MAX_ORDERS if self.orders is None else max(1, self.orders // count)
        room = max(1, GATHERED_ANSWER_BYTES // count)
        return SnapshotQuery(str(channel), channel.root, channel.table_id, share, None, None, room)


class AskedSync(NamedTuple):
    """A request, and who asks."""

    caller: Caller
    request: SyncRequest
    device: str | None
    """The name of the device that asks; None: it has not said."""


def parse_going_on(query: str) -> SyncRequest | None:
    """Parse a query for one channel with a cursor, in the form that our clients send.

    Returns:
        What `parse_sync` would; None: it is another query.
    """
    if "%" in query:
        query = query.replace("%3A", ":").replace("%40", "@").replace("%2F", "/")
    match = _GOING_ON.fullmatch(query)
    if match is None:
        return None
    name, orders, seq, epoch = match.groups()
    return SyncRequest(
        {parse_channel(name): int(seq)},
        epoch,
        DEFAULT_LIMIT,
        0.0,
        None if orders is None else MAX_ORDERS,
    )


def parse_sync(parameters: Sequence[tuple[str, str]]) -> SyncRequest:
    """Read the query parameters of `GET /v1/sync`.

    Raises:
        BadRequestError: one is unknown, malformed or contradicts another.
    """
    by_name: dict[str, list[str]] = {}
    for name, value in parameters:
        if name not in _PARAMETERS:
            raise BadRequestError(
                f"{name[:40]!a} is not a parameter of Fetch Sync: "
                f"it takes {', '.join(sorted(_PARAMETERS))}"
            )
        by_name.setdefault(name, []).append(value)
    if len(by_name) < len(parameters):
        for name in ("epoch", "limit", "wait", "orders", "page"):
            if len(by_name.get(name, ())) > 1:
                raise BadRequestError(f"{name} is given twice")
    orders = _count("orders", by_name["orders"][0], MAX_ORDERS) if "orders" in by_name else None
    if "page" in by_name:
        if set(by_name) - {"page", "orders"}:
            raise BadRequestError(_ALONE)
        return _page(by_name["page"][0], orders)
    return SyncRequest(
        after=_positions(by_name.get("channel", []), by_name.get("lastEventId", [])),
        epoch=_epoch(by_name["epoch"][0]) if "epoch" in by_name else None,
        limit=_count("limit", by_name["limit"][0], MAX_LIMIT)
        if "limit" in by_name
        else DEFAULT_LIMIT,
        wait_s=_wait(by_name["wait"][0]) if "wait" in by_name else 0.0,
        orders=orders,
    )


class SyncBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/sync`: the same request, for state vectors too long for a URL."""

    channels: Annotated[dict[str, int | None], Meta(max_length=MAX_CHANNELS)] = {}
    """Each channel with the seq that the client has applied; null: it starts with a snapshot."""
    epoch: str | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    wait: Annotated[float, Meta(ge=0, le=MAX_WAIT_S)] = 0.0
    orders: Annotated[int, Meta(ge=1, le=MAX_ORDERS)] | None = None
    page: str | None = None
    """A snapshot's `next`: its further page; alone, or with `orders`."""


def request_of(body: SyncBody) -> SyncRequest:
    """What the body of `POST /v1/sync` asks for.

    Raises:
        BadRequestError: a channel, a seq or the page in it is malformed, or contradicts the rest.
        InvalidError: it names no channel.
    """
    if body.page is not None:
        if body != SyncBody(orders=body.orders, page=body.page):
            raise BadRequestError(_ALONE)
        return _page(body.page, body.orders)
    if not body.channels:
        raise InvalidError("name at least one of `channels`, or a `page`")
    after: dict[Channel, int | None] = {}
    for name, seq in body.channels.items():
        if seq is not None and not 0 <= seq <= MAX_SEQ:
            raise BadRequestError(
                f"the seq of {name[:80]!a} must be from 0 to {MAX_SEQ}", "bad-cursor"
            )
        try:
            after[parse_channel(name)] = seq
        except ChannelError as error:
            raise BadRequestError(str(error), "bad-channel") from error
    return SyncRequest(after, _epoch(body.epoch), body.limit, body.wait, body.orders)


def _positions(names: list[str], last_ids: list[str]) -> dict[Channel, int | None]:
    # By name until all is checked: a channel has only one name, and comparing texts is cheaper.
    try:
        channels = {name: parse_channel(name) for name in names}
    except ChannelError as error:
        raise BadRequestError(str(error), "bad-channel") from error
    if len(channels) != len(names):
        raise BadRequestError("a channel is asked for twice", "bad-channel")
    cursor = _cursor(names, [text for text in last_ids if text])
    if not channels:
        channels = {name: parse_channel(name) for name in cursor}
    if not channels:
        raise BadRequestError("name at least one channel, or give a lastEventId", "bad-channel")
    if len(channels) > MAX_CHANNELS:
        raise BadRequestError(f"one sync takes at most {MAX_CHANNELS} channels", "bad-channel")
    for name in cursor:
        if name not in channels:
            raise BadRequestError(f"lastEventId names {name}, which is not asked for", "bad-cursor")
    return {channel: cursor.get(name) for name, channel in channels.items()}


def _cursor(names: list[str], last_ids: list[str]) -> dict[str, int]:
    cursor: dict[str, int] = {}
    try:
        for text in last_ids:
            if "@" not in text:
                if len(names) != 1 or len(last_ids) != 1:
                    parse_seq(text)
                    raise BadRequestError(
                        "a bare seq as lastEventId needs exactly one channel: "
                        "write {channel}@{seq} for each",
                        "bad-cursor",
                    )
                return {names[0]: parse_seq(text)}
            for name, seq in parse_cursor(text).items():
                if name in cursor:
                    raise BadRequestError(f"lastEventId names {name} twice", "bad-cursor")
                cursor[name] = seq
    except CursorError as error:
        raise BadRequestError(str(error), "bad-cursor") from error
    return cursor


def _count(name: str, text: str, limit: int) -> int:
    number = number_of(text, limit)
    if not number:
        raise BadRequestError(f"{name} must be a whole number from 1 to {limit}")
    return number


def _epoch(text: str | None) -> str | None:
    if text and not is_epoch(text):
        raise BadRequestError(f"{shown(text)} is not an epoch: send the one that a sync gave")
    return text or None


def _page(text: str, orders: int | None) -> SyncRequest:
    match = _PAGE.fullmatch(text)
    if match is None:
        raise BadRequestError("page is malformed: give a snapshot's next", "bad-cursor")
    try:
        name, head = parse_event_id(match[1])
        channel = parse_channel(name)
    except (CursorError, ChannelError) as error:
        raise BadRequestError(f"page is malformed: {error}", "bad-cursor") from error
    page = SnapshotPage(channel, head, UUID(match[2]), match[3])
    return SyncRequest({channel: None}, None, DEFAULT_LIMIT, 0.0, orders or MAX_ORDERS, page)


def _wait(text: str) -> float:
    seconds = seconds_of(text)
    if seconds is None or seconds > MAX_WAIT_S:
        raise BadRequestError(f"wait must be seconds from 0 to {MAX_WAIT_S:g}")
    return seconds
