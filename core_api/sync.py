"""Fetch Sync's rules: what a request means, when a client must start anew, what the answer says.

Pure; the reads stand in `storage/reads.py`, their gathering in `fetch.py`. The rule for promise 3's
server half is `page_of`: events go on exactly after the cursor, or there is a reset and a snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.channel import MAX_SEQ, Channel, parse_channel, parse_seq
from client_sdk.contract.cursor import MAX_CHANNELS, format_cursor, parse_cursor
from client_sdk.contract.digest import format_digest
from client_sdk.contract.errors import ChannelError, CursorError
from client_sdk.contract.sync import MAX_LIMIT, MAX_WAIT_S, ResetReason, StreamGrant
from core_api.errors import BadRequestError
from core_api.log import event_json
from core_api.storage.reads import Moment, OpenOrders, Page, PageQuery

DEFAULT_LIMIT: Final = 500
_PARAMETERS: Final = frozenset({"channel", "lastEventId", "epoch", "limit", "wait"})


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What a client asks for."""

    after: Mapping[Channel, int | None]
    """Each channel, with the seq that the client has applied; None: it starts anew."""
    epoch: str | None
    """The epoch of the client's cursor, if it said so."""
    limit: int
    """The most events in the whole answer."""
    wait_s: float
    """How long to wait for something new, in seconds."""

    def queries(self) -> list[PageQuery]:
        """One question per channel; the limit is shared equally, so that none starves."""
        share = max(1, self.limit // len(self.after))
        return [PageQuery(str(c), seq or 0, share) for c, seq in self.after.items()]


def parse_sync(parameters: Sequence[tuple[str, str]]) -> SyncRequest:
    """Read the query parameters of `GET /v1/sync`.

    Raises:
        BadRequestError: one is unknown, malformed or at odds with another.
    """
    by_name: dict[str, list[str]] = {}
    for name, value in parameters:
        if name not in _PARAMETERS:
            raise BadRequestError(
                f"{name[:40]!a} is not a parameter of Fetch Sync: "
                f"it takes {', '.join(sorted(_PARAMETERS))}"
            )
        by_name.setdefault(name, []).append(value)
    for name in ("epoch", "limit", "wait"):
        if len(by_name.get(name, ())) > 1:
            raise BadRequestError(f"{name} is given twice")
    epoch = by_name.get("epoch", [""])[0] or None
    return SyncRequest(
        after=_positions(by_name.get("channel", []), by_name.get("lastEventId", [])),
        epoch=epoch,
        limit=_limit(by_name.get("limit", [str(DEFAULT_LIMIT)])[0]),
        wait_s=_wait(by_name.get("wait", ["0"])[0]),
    )


class SyncBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/sync`: the same request, for state vectors too long for a URL."""

    channels: Annotated[dict[str, int | None], Meta(min_length=1, max_length=MAX_CHANNELS)]
    """Each channel with the seq that the client has applied; null: it starts anew."""
    epoch: str | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    wait: Annotated[float, Meta(ge=0, le=MAX_WAIT_S)] = 0.0


def request_of(body: SyncBody) -> SyncRequest:
    """What the body of `POST /v1/sync` asks for.

    Raises:
        BadRequestError: a channel or a seq in it is malformed.
    """
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
    return SyncRequest(after, body.epoch or None, body.limit, body.wait)


def _positions(names: list[str], last_ids: list[str]) -> dict[Channel, int | None]:
    try:
        channels = [parse_channel(name) for name in names]
    except ChannelError as error:
        raise BadRequestError(str(error), "bad-channel") from error
    if len(set(channels)) != len(channels):
        raise BadRequestError("a channel is asked for twice", "bad-channel")
    cursor = _cursor(channels, [text for text in last_ids if text])
    if not channels:
        channels = list(cursor)
    if not channels:
        raise BadRequestError("name at least one channel, or give a lastEventId", "bad-channel")
    if len(channels) > MAX_CHANNELS:
        raise BadRequestError(f"one sync takes at most {MAX_CHANNELS} channels", "bad-channel")
    for channel in cursor:
        if channel not in channels:
            raise BadRequestError(
                f"lastEventId names {channel}, which is not asked for", "bad-cursor"
            )
    return {channel: cursor.get(channel) for channel in channels}


def _cursor(channels: list[Channel], last_ids: list[str]) -> dict[Channel, int]:
    cursor: dict[Channel, int] = {}
    try:
        for text in last_ids:
            if "@" not in text:
                if len(channels) != 1 or len(last_ids) != 1:
                    parse_seq(text)
                    raise BadRequestError(
                        "a bare seq as lastEventId needs exactly one channel: "
                        "write {channel}@{seq} for each",
                        "bad-cursor",
                    )
                return {channels[0]: parse_seq(text)}
            for name, seq in parse_cursor(text).items():
                channel = parse_channel(name)
                if channel in cursor:
                    raise BadRequestError(f"lastEventId names {name} twice", "bad-cursor")
                cursor[channel] = seq
    except CursorError as error:
        raise BadRequestError(str(error), "bad-cursor") from error
    return cursor


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MAX_LIMIT):
        raise BadRequestError(f"limit must be a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def _wait(text: str) -> float:
    digits = text.replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit() and len(text) < 10):
        raise BadRequestError(f"wait must be seconds from 0 to {MAX_WAIT_S:g}")
    seconds = float(text)
    if seconds > MAX_WAIT_S:
        raise BadRequestError(f"wait must be seconds from 0 to {MAX_WAIT_S:g}")
    return seconds


def reset_reason(
    after: int | None, epoch: str | None, moment: Moment, page: Page
) -> ResetReason | None:
    """Why the client's state cannot be carried on from its cursor; None if it can."""
    if after is None:
        return "first_sync"
    if epoch is not None and epoch != moment.epoch:
        return "epoch"
    if after > page.head:
        return "ahead"
    if after < page.floor:
        return "retention"
    return None


class _Snapshot(Struct, frozen=True):
    head: int
    orders: list[msgspec.Raw]


class _Channel(Struct, frozen=True):
    channel: str
    head: int
    digest: str
    reset: ResetReason | None
    events: list[msgspec.Raw]
    snapshot: _Snapshot | None
    has_more: bool


class _Answer(Struct, frozen=True):
    epoch: str
    server_time: datetime
    cursor: str
    has_more: bool
    channels: list[_Channel]
    stream: StreamGrant | None
    poll_after_ms: int


@dataclass(frozen=True, slots=True)
class ChannelAnswer:
    """One channel of the answer, with the seq that the client is at once it has applied it."""

    wire: _Channel
    seq: int


def page_of(channel: str, after: int, page: Page) -> ChannelAnswer:
    """The events that go on exactly after the cursor."""
    seq = page.events[-1][0] if page.events else after
    events = [msgspec.Raw(event_json(channel, s, body).encode()) for s, body in page.events]
    wire = _Channel(
        channel, page.head, format_digest(page.digest), None, events, None, seq < page.head
    )
    return ChannelAnswer(wire, seq)


def snapshot_of(channel: str, reason: ResetReason, opened: OpenOrders) -> ChannelAnswer:
    """The state that replaces the client's."""
    snapshot = _Snapshot(opened.head, [msgspec.Raw(order.encode()) for order in opened.orders])
    wire = _Channel(
        channel, opened.head, format_digest(opened.digest), reason, [], snapshot, has_more=False
    )
    return ChannelAnswer(wire, opened.head)


def cursor_of(channels: Sequence[ChannelAnswer]) -> dict[str, int]:
    """Where the client is once it has applied the answer."""
    return {answer.wire.channel: answer.seq for answer in channels}


def has_more(channels: Sequence[ChannelAnswer]) -> bool:
    """Whether the client should ask again at once."""
    return any(answer.wire.has_more for answer in channels)


def is_news(channels: Sequence[ChannelAnswer]) -> bool:
    """Whether there is anything that the client does not know."""
    return any(answer.wire.events or answer.wire.reset for answer in channels)


def encode_answer(
    moment: Moment,
    channels: Sequence[ChannelAnswer],
    stream: StreamGrant | None,
    poll_after_ms: int,
) -> bytes:
    """The answer's body; events and orders are the stored bytes, not encoded again."""
    return msgspec.json.encode(
        _Answer(
            moment.epoch,
            datetime.fromtimestamp(moment.unix_s, UTC),
            format_cursor(cursor_of(channels)),
            has_more(channels),
            [answer.wire for answer in channels],
            stream,
            poll_after_ms,
        )
    )
