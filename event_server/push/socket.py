"""One open WebSocket of this server: a subscriber whose frames go to the transport as messages.

A frame is put into a message once for all sockets (`sockets/messages.py`), so a delivery costs one
call more than a stream's. What the client sends is read by the sans-I/O protocol of `websockets`,
which also answers pings and closes; it gets one frame at a time, so that a flood of small frames is
noticed before it is parsed.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Final, Protocol

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol as Framing
from websockets.protocol import Side, State

from client_sdk.contract.socket import MAX_INBOUND_BYTES
from event_server.push.subscriber import Owner, ignore
from event_server.sockets.messages import SharedMessages

_SLICE: Final = 4096
_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class Session(Protocol):
    """Handles the client's messages."""

    def may_go_on(self, now: float) -> bool:
        """Count one more frame. Returns whether the client is within its rate limit."""

    def take(self, text: bytes | str, now: float) -> None:
        """Process a message."""


class EdgeSocket:
    """A subscriber that writes WebSocket frames to a transport, and reads its client.

    Args:
        owner: the connection.
        head: the response's head, written with the first frame.
        shared: frames as messages.
        buffer_bytes: how many bytes may wait; the first frame (head and replay) is not counted.
        monotonic: seconds.
    """

    __slots__ = (
        "_framing",
        "_full",
        "_head",
        "_limit",
        "_monotonic",
        "_owner",
        "_parts",
        "_shared",
        "_write",
        "ended",
        "keep",
        "send",
        "session",
    )  # fmt: skip

    send: Callable[[bytes], None]
    """Write a frame; ignored after `end`."""
    session: Session
    """Set before the socket is opened."""

    def __init__(
        self,
        owner: Owner,
        head: bytes,
        shared: SharedMessages,
        buffer_bytes: int,
        monotonic: Callable[[], float],
    ) -> None:
        self.keep = False
        self.ended = False
        self.send = self.replay
        self._full = False
        self._framing: Framing | None = None
        self._head = head
        self._limit = buffer_bytes
        self._monotonic = monotonic
        self._owner = owner
        self._parts: list[bytes] = []
        self._shared = shared
        self._write = owner.transport.write

    # What is sent ---------------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """Bytes that have not left the process."""
        return self._owner.transport.get_write_buffer_size()

    def replay(self, frame: bytes) -> None:
        """Write a frame with a replay, which may be above the limit of waiting bytes."""
        if self.ended or self._full:
            return
        head, self._head = self._head, b""
        data = head + self._shared.of(frame)
        self._owner.transport.set_write_buffer_limits(self._limit + len(data))
        # Bound to the transport's `write`, so that a delivery touches little memory of this object.
        self.send = MethodType(self._shared.write, self._write)
        self._write(data)

    def end(self, frame: bytes) -> None:
        """Write the last frame after the waiting bytes; the client closes the connection."""
        if self.ended:
            return
        self.ended = True
        self.send = ignore
        if self._owner.transport.is_closing():
            return
        framing = self._reader()
        framing.send_close(CloseCode.NORMAL_CLOSURE)
        self._write(self._head + self._shared.of(frame) + b"".join(framing.data_to_send()))
        self._head = b""

    def abort(self) -> None:
        """Cut the connection."""
        self.lose()
        self._owner.transport.abort()

    def lose(self) -> None:
        """The connection is gone."""
        self.ended = True
        self.send = ignore

    def fill_up(self) -> None:
        """The buffer is over its limit: from now on only the last frame is taken."""
        if not self.ended and not self._full:
            self._full = True
            self.send = ignore
            self._owner.loop.call_soon(self._owner.too_slow, self)

    def drained(self) -> None:
        """All has left: the client's own close ends the connection, or the timer does."""

    # What comes -----------------------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """The client has sent something."""
        framing = self._reader()
        for at in range(0, len(data), _SLICE):
            framing.receive_data(data[at : at + _SLICE])
            for frame in framing.events_received():
                if isinstance(frame, Frame) and not self._take_frame(framing, frame):
                    break
            if not self._flush(framing):
                return

    def _reader(self) -> Framing:
        """Made when it is needed: it is the largest part, and many clients only listen."""
        if self._framing is None:
            self._framing = Framing(Side.SERVER, state=State.OPEN, max_size=MAX_INBOUND_BYTES)
        return self._framing

    def _take_frame(self, framing: Framing, frame: Frame) -> bool:
        """Take one frame. Returns whether another may follow."""
        if frame.opcode is Opcode.CLOSE:
            return False
        now = self._monotonic()
        if not self.session.may_go_on(now):
            framing.fail(CloseCode.POLICY_VIOLATION, "too many messages")
            return False
        if self.ended or frame.opcode not in _DATA:
            return True
        if frame.opcode is Opcode.BINARY:
            framing.fail(CloseCode.UNSUPPORTED_DATA, "messages are text")
            return False
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return True
        message, self._parts = b"".join(self._parts), []
        try:
            text = message.decode()
        except UnicodeDecodeError:
            framing.fail(CloseCode.INVALID_DATA, "a message is not UTF-8")
            return False
        self.session.take(text, now)
        return True

    def _flush(self, framing: Framing) -> bool:
        """Send what the protocol itself answers. Returns whether the connection goes on."""
        for data in framing.data_to_send():
            if not data:  # the protocol has nothing more to say or to hear
                self.lose()
                self._owner.finish(self)
                return False
            if not self.ended and not self._full:
                self._write(data)
        return True
