"""Handles the messages of an open socket's client. Both push paths share it.

It awaits nothing and reads no clock: a message comes in as text; answers go out as frames, like
everything that is sent to a subscriber.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeVar

import msgspec

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.cursor import MAX_CHANNELS, parse_cursor
from client_sdk.contract.errors import CursorError, FrameError
from client_sdk.contract.json_decoding import decode
from client_sdk.contract.socket import (
    MESSAGE,
    PING,
    PONG,
    RECEIVED,
    REFUSED,
    SUBSCRIBE,
    SUBSCRIBED,
    UNSUBSCRIBE,
    UNSUBSCRIBED,
    Envelope,
    Ping,
    Pong,
    Received,
    Refused,
    ShortMessage,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    decode_envelope,
)
from client_sdk.contract.stream import SyncRequired
from event_server.errors import StreamRefusedError
from event_server.problems import of_refusal
from event_server.replay.audience import Subscriber
from event_server.sockets.rates import Rate
from event_server.sockets.talk import KINDS, Talk
from event_server.streams.registry import Streams
from event_server.streams.request_rules import Accepted, StreamRequest
from server_common.kafka_records.receipts import Receipt
from server_common.limits import SOCKET_MESSAGES_PER_S, SOCKET_REQUESTS_PER_S

_Data = TypeVar("_Data")


class SocketSubscriber(Subscriber, Protocol):
    """A socket, as its session needs it."""

    def replay(self, frame: bytes, /) -> None:
        """Write a frame with a replay, which may be above the limit of waiting bytes."""


class SocketSession:
    """One open socket's client.

    Args:
        streams: the registry of open streams.
        talk: messages to others, and receipts.
        subscriber: the socket.
        accepted: the request that opened it.
        now: monotonic seconds.
    """

    __slots__ = (
        "_device", "_frames", "_frames_left", "_requests_left", "_streams", "_subject",
        "_subscriber", "_talk",
    )  # fmt: skip

    def __init__(
        self,
        streams: Streams,
        talk: Talk,
        subscriber: SocketSubscriber,
        accepted: Accepted,
        now: float,
    ) -> None:
        self._streams = streams
        self._frames = streams.frames
        self._talk = talk
        self._subscriber = subscriber
        self._subject = accepted.ticket.subject
        self._device = accepted.ticket.device
        self._frames_left = Rate(SOCKET_MESSAGES_PER_S, 2 * SOCKET_MESSAGES_PER_S, now)
        self._requests_left = Rate(SOCKET_REQUESTS_PER_S, 2 * SOCKET_REQUESTS_PER_S, now)

    def may_go_on(self, now: float) -> bool:
        """Count one more frame of the client. Returns whether its rate is within the limit."""
        return self._frames_left.take(now)

    def take(self, text: bytes | str, now: float) -> None:
        """Process a message, and answer it. A malformed message changes nothing."""
        if not self._streams.is_open(self._subscriber):
            return
        event, ref = "", ""
        try:
            said = decode_envelope(text)
            event, ref = said.event[:64], _ref_of(said)
            self._do(said, now)
        except FrameError as error:
            self._refuse(ref, event, StreamRefusedError("bad-json", str(error)))
        except StreamRefusedError as error:
            self._refuse(ref, event, error)

    def _do(self, said: Envelope, now: float) -> None:
        match said.event:
            case "subscribe":
                self._subscribe(_data(_subscribe, said), now)
            case "unsubscribe":
                self._unsubscribe(_data(_unsubscribe, said))
            case "ping":
                self._answer(PONG, Pong(_data(_ping, said).ref))
            case "received":
                self._received(_data(_received, said))
            case "message":
                self._say(_data(_short, said), now)
            case _:
                known = ", ".join((SUBSCRIBE, UNSUBSCRIBE, PING, RECEIVED, MESSAGE))
                raise StreamRefusedError("bad-request", f"a client sends one of {known}")

    def _subscribe(self, asked: Subscribe, now: float) -> None:
        self._check_rate(now)
        request = StreamRequest(asked.ticket, asked.last_event_id, "")
        accepted = self._streams.judge_further(request, now)
        if accepted.ticket.subject != self._subject:
            raise StreamRefusedError("forbidden", "the ticket is another subject's")
        followed = self._streams.hub.channels_of(self._subscriber)
        twice = next((channel for channel in accepted.positions if channel in followed), None)
        if twice is not None:
            raise StreamRefusedError("bad-request", f"{twice} is followed already")
        if len(followed) + len(accepted.positions) > MAX_CHANNELS:
            raise StreamRefusedError(
                "bad-request", f"one connection follows at most {MAX_CHANNELS} channels"
            )
        replay = self._streams.extend(self._subscriber, accepted)
        if isinstance(replay, SyncRequired):
            error = StreamRefusedError("bad-cursor", "sync, and subscribe with the new ticket")
            self._refuse(asked.ref, SUBSCRIBE, error, replay)
            return
        done = Subscribed(asked.ref, sorted(accepted.positions), len(replay))
        frame = self._frames.say(SUBSCRIBED, msgspec.json.encode(done))
        self._subscriber.replay(frame + b"".join(replay))

    def _unsubscribe(self, asked: Unsubscribe) -> None:
        followed = self._streams.hub.channels_of(self._subscriber)
        left = sorted(frozenset(asked.channels).intersection(followed))
        self._streams.hub.leave(self._subscriber, frozenset(left))
        self._answer(UNSUBSCRIBED, Unsubscribed(asked.ref, left))

    def _received(self, said: Received) -> None:
        try:
            cursor = parse_cursor(said.cursor)
        except CursorError as error:
            raise StreamRefusedError("bad-cursor", str(error)) from error
        if not self._device:
            return  # only receipts of an owner's devices count
        followed = self._streams.hub.channels_of(self._subscriber)
        for name, seq in cursor.items():
            channel = parse_channel(name)
            if channel.kind == "store" and name in followed:
                receipt = Receipt(self._device, self._subject, self._streams.hub.epoch, seq)
                self._talk.received(channel, receipt)

    def _say(self, message: ShortMessage, now: float) -> None:
        self._check_rate(now)
        if message.channel not in self._streams.hub.channels_of(self._subscriber):
            raise StreamRefusedError("forbidden", "this connection does not follow the channel")
        if parse_channel(message.channel).kind not in KINDS:
            raise StreamRefusedError("forbidden", "channels of this kind carry no messages")
        self._talk.say(self._subscriber, message, self._subject)

    def _check_rate(self, now: float) -> None:
        if not self._requests_left.take(now):
            raise StreamRefusedError(
                "too-many-requests",
                f"send at most {SOCKET_REQUESTS_PER_S} a second",
                retry_after=1.0,
            )

    def _answer(self, event: str, value: msgspec.Struct) -> None:
        self._subscriber.send(self._frames.say(event, msgspec.json.encode(value)))

    def _refuse(
        self, ref: str, event: str, error: StreamRefusedError, why: SyncRequired | None = None
    ) -> None:
        self._talk.counts["refused"] += 1
        self._answer(REFUSED, Refused(ref, event, of_refusal(error), why))


class _WithRef(msgspec.Struct):
    ref: str = ""


_with_ref: Final = msgspec.json.Decoder(_WithRef)
_subscribe: Final = msgspec.json.Decoder(Subscribe)
_unsubscribe: Final = msgspec.json.Decoder(Unsubscribe)
_ping: Final = msgspec.json.Decoder(Ping)
_received: Final = msgspec.json.Decoder(Received)
_short: Final = msgspec.json.Decoder(ShortMessage)


def _data(decoder: msgspec.json.Decoder[_Data], said: Envelope) -> _Data:
    try:
        return decode(decoder, said.data)
    except msgspec.DecodeError as error:
        raise StreamRefusedError("invalid", f"{said.event[:64]!a}: {error}") from error


def _ref_of(said: Envelope) -> str:
    """The `ref` of any message, so that a refusal can name it."""
    try:
        return decode(_with_ref, said.data).ref[:64]
    except msgspec.DecodeError:
        return ""
