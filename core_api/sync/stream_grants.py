"""Grants streams to clients that are up to date: an event server's URL and a ticket. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from client_sdk.contract.channel import Channel, parse_channel
from client_sdk.contract.limits import MAX_TICKET_CHARS
from client_sdk.contract.sync import StreamGrant
from core_api.access.callers import Caller
from core_api.sync.events_or_reset import ChannelAnswer, cursor_of, has_more
from core_api.sync.queries import Moment
from server_common.access.tickets import Ticket, TicketKeys


class StreamGrants:
    """Grants streams.

    Args:
        tickets: signs stream tickets.
        stream_url: finds an event server that carries these channels; None: there is none.
        ticket_ttl_s: how long a ticket is good for; less than the event servers' replay window.
    """

    def __init__(
        self,
        tickets: TicketKeys,
        stream_url: Callable[[Iterable[Channel]], str | None],
        ticket_ttl_s: float,
    ) -> None:
        self._tickets = tickets
        self._stream_url = stream_url
        self._ticket_ttl_s = ticket_ttl_s

    def grant(
        self,
        caller: Caller,
        device: str | None,
        moment: Moment,
        channels: Sequence[ChannelAnswer],
    ) -> StreamGrant | None:
        """Permission to open a stream where the answer ends; None: the client has to poll.

        Args:
            caller: who asks.
            device: the name of the device that asks; None: it has not said.
            moment: when the answer was read.
            channels: the answer.
        """
        if has_more(channels):
            return None
        followed = (parse_channel(answer.wire.channel) for answer in channels)
        return self.grant_at(caller, device, moment, cursor_of(channels), followed)

    def grant_at(
        self,
        caller: Caller,
        device: str | None,
        moment: Moment,
        cursor: dict[str, int],
        channels: Iterable[Channel],
    ) -> StreamGrant | None:
        """Permission to open a stream at this cursor; None: the client has to poll.

        Args:
            caller: who asks.
            device: the name of the device that asks; None: it has not said.
            moment: the time of the read by which the cursor is up to date.
            cursor: the channels' seqs, each the head then.
            channels: the same channels.
        """
        url = self._stream_url(channels)
        if url is None:
            return None
        holder = caller.holder
        ticket = Ticket(
            epoch=moment.epoch,
            cursor=cursor,
            issued_at=moment.unix_s,
            expires_at=moment.unix_s + self._ticket_ttl_s,
            subject=holder.subject,
            # Only what an owner's device has received counts.
            device=(device or "") if caller.role == "owner" else "",
            token=holder.token,
            session=holder.session,
            made_at=holder.made_at,
        )
        text = self._tickets.sign(ticket)
        if len(text) > MAX_TICKET_CHARS:
            return None  # no event server would accept it: the client polls
        return StreamGrant(url, text, self._ticket_ttl_s)
