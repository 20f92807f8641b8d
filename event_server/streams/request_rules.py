"""Whether a request opens a stream: which channels its ticket permits, and from where. Pure.

The ticket says which channels; the positions are the ticket's cursor, overridden by `lastEventId`
(a cursor, an event id, or a bare seq where the ticket has one channel), overridden in turn by the
`Last-Event-ID` header, which an EventSource sends by itself when it reconnects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from client_sdk.contract.channel import parse_channel, parse_seq
from client_sdk.contract.cursor import parse_cursor
from client_sdk.contract.errors import ChannelError, CursorError, TicketError
from event_server.errors import StreamRefusedError
from server_common.access.tickets import Ticket, TicketKeys
from server_common.http.query_string import parse_query
from server_common.kafka_records.events import partition_of_channel
from server_common.limits import EVENTS_QUERY_BYTES
from server_common.stream_placement import StreamNodes

MAX_QUERY_BYTES: Final = EVENTS_QUERY_BYTES
"""The longest query: a ticket and a cursor, both for the most channels there may be."""
MAX_PARAMETERS: Final = 16


class StreamRequest(Struct, frozen=True):
    """The content of a request, not checked yet."""

    ticket: str
    last_event_id: str
    header: str


class Accepted(Struct, frozen=True):
    """A request that may be served."""

    ticket: Ticket
    positions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Placement:
    """Which partitions of how many this server reads."""

    partitions: int
    owned: frozenset[int]
    fleet: StreamNodes | None = None
    """Which server carries the others, if known."""

    @property
    def owns_all(self) -> bool:
        """Whether the events of every channel come to this server."""
        return len(self.owned) == self.partitions

    def owns(self, channel: str) -> bool:
        """Whether the channel's events come to this server.

        Raises:
            ChannelError: it is not a channel name.
        """
        if self.owns_all:
            return True
        partition = partition_of_channel(parse_channel(channel), self.partitions)
        return partition is None or partition in self.owned


def parse_request(query: bytes, last_event_id_header: str) -> StreamRequest:
    """Read a request's query string and its Last-Event-ID header (empty: there is none).

    Unknown parameters are ignored: pages add their own to bypass caches.

    Raises:
        StreamRefusedError: the query is not readable, too long, or names a parameter of ours twice.
    """
    if len(query) > MAX_QUERY_BYTES:
        raise StreamRefusedError("bad-request", f"the query is longer than {MAX_QUERY_BYTES} bytes")
    if query.count(b"&") >= MAX_PARAMETERS:
        raise StreamRefusedError(
            "bad-request",
            f"the query is malformed: there are more than {MAX_PARAMETERS} parameters",
        )
    try:
        text = query.decode("ascii")
        name, _, value = text.partition("=")
        if name == "ticket" and not ("&" in value or "%" in value or "+" in value):
            return StreamRequest(value, "", last_event_id_header.strip())
        pairs = parse_query(text, "strict")
    except ValueError as error:
        raise StreamRefusedError("bad-request", f"the query is malformed: {error}") from error
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in ("ticket", "lastEventId"):
            continue
        if name in found:
            raise StreamRefusedError("bad-request", f"{name} may be given once")
        found[name] = value
    return StreamRequest(
        found.get("ticket", ""), found.get("lastEventId", ""), last_event_id_header.strip()
    )


def refuse_body(content_length: str, transfer_encoding: str) -> None:
    """Reject a request that has a body, by its framing headers (empty: there is none).

    Raises:
        StreamRefusedError: it has one.
    """
    if transfer_encoding or content_length.strip() not in ("", "0"):
        raise StreamRefusedError("bad-request", "a stream's request has no body")


def accept(request: StreamRequest, keys: TicketKeys, time: float, placement: Placement) -> Accepted:
    """Check a request.

    Args:
        request: as `parse_request` has read it.
        keys: verify its ticket.
        time: seconds since the Unix epoch, by the database's clock.
        placement: which channels' events come to this server.

    Returns:
        The ticket, and the positions from which its channels are followed.

    Raises:
        StreamRefusedError: the ticket or a position is bad, or the channels are another server's.
    """
    if not request.ticket:
        raise StreamRefusedError(
            "bad-ticket", "send the ticket that Fetch Sync returned: /v1/stream?ticket=…"
        )
    try:
        ticket = keys.verify(request.ticket, time)
    except TicketError as error:
        raise StreamRefusedError("bad-ticket", str(error)) from error
    if not ticket.cursor:
        raise StreamRefusedError("bad-ticket", "the ticket names no channel")
    if not placement.owns_all:
        _check_placement(ticket, placement)
    positions: Mapping[str, int] = ticket.cursor
    if request.last_event_id:
        said = _positions(request.last_event_id, ticket, "lastEventId")
        positions = {**positions, **said}
    if request.header:
        positions = {**positions, **_positions(request.header, ticket, "Last-Event-ID")}
    return Accepted(ticket, positions)


def _check_placement(ticket: Ticket, placement: Placement) -> None:
    try:
        stray = next((c for c in ticket.cursor if not placement.owns(c)), None)
        if stray is None:
            return
        fleet = placement.fleet
        url = fleet.url_for(map(parse_channel, ticket.cursor)) if fleet is not None else None
    except ChannelError as error:
        raise StreamRefusedError("bad-ticket", str(error)) from error
    raise StreamRefusedError(
        "misdirected",
        f"this server does not carry {stray}: sync again and take its stream.url",
        url=url,
    )


def _positions(text: str, ticket: Ticket, name: str) -> dict[str, int]:
    try:
        bare = text and "@" not in text and len(ticket.cursor) == 1
        cursor = {next(iter(ticket.cursor)): parse_seq(text)} if bare else parse_cursor(text)
    except CursorError as error:
        raise StreamRefusedError("bad-cursor", f"{name}: {error}") from error
    for channel in cursor:
        if channel not in ticket.cursor:
            raise StreamRefusedError(
                "forbidden", f"{name} names {channel}, which the ticket does not"
            )
    return cursor
