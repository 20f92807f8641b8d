"""The frames of a stream as the messages of a WebSocket. Pure.

The hub, the timers and the drain know one kind of subscriber: they make each frame once, in the
wire form of the push path, for streams and sockets alike. This module turns a frame into a
WebSocket message, once for all sockets, when the first socket is sent it.
"""

from __future__ import annotations

from collections.abc import Callable

from websockets.frames import Frame, Opcode

from client_sdk.contract.socket import encode_message


def messages_of(text: bytes) -> list[bytes]:
    """Turn a text of server-sent events, as `frames.Frames` makes it, into messages.

    `retry:` is for streams: `bye` tells a socket when to reconnect.
    """
    found: list[bytes] = []
    for block in text.split(b"\n\n"):
        event_id, event, data = b"", b"", None
        for line in block.split(b"\n"):
            name, _, value = line.partition(b": ")
            if name == b"data":
                data = value
            elif name == b"event":
                event = value
            elif name == b"id":
                event_id = value
        if data is not None:
            found.append(encode_message(event.decode(), data, event_id.decode()))
    return found


class SharedMessages:
    """Frames as bytes for a WebSocket's transport, each made once.

    Args:
        text_of: the text of server-sent events in a frame of the push path.
    """

    __slots__ = ("_frame", "_made", "_text_of", "write")

    write: Callable[[Callable[[bytes], None], bytes], None]
    """Write a frame's bytes, given a transport's `write` and the frame."""

    def __init__(self, text_of: Callable[[bytes], bytes]) -> None:
        self._text_of = text_of
        self._frame = b""
        self._made = b""
        self.write = _writer(self)

    def of(self, frame: bytes) -> bytes:
        """The bytes of this frame, or of several joined."""
        if frame is not self._frame:
            messages = messages_of(self._text_of(frame))
            self._made = b"".join(Frame(Opcode.TEXT, one).serialize(mask=False) for one in messages)
            self._frame = frame
        return self._made


def _writer(shared: SharedMessages) -> Callable[[Callable[[bytes], None], bytes], None]:
    """A plain function, as a call of it is cheaper than of a method."""

    def write(transport_write: Callable[[bytes], None], frame: bytes) -> None:
        # The hub writes one frame to all followers of a channel: it is nearly always the last one.
        transport_write(shared._made if frame is shared._frame else shared.of(frame))

    return write
