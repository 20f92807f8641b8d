"""One open stream of this server: the subscriber that the hub writes to.

`send` is the transport's own `write`, so that the hub's loop over a channel's subscribers runs no
line of Python per delivery. The transport itself reports when too many bytes wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from event_server.replay.frames import joined

LAST_CHUNK: Final = b"0\r\n\r\n"


class Owner(Protocol):
    """The stream's connection."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport

    def too_slow(self, stream: BeingWritten) -> None:
        """End the stream: its client reads too slowly."""

    def finish(self, stream: BeingWritten) -> None:
        """Finish the response: the last byte has left."""

    def wait(self, data: bytes) -> None:
        """Keep bytes for later: they are the next request."""


class BeingWritten(Protocol):
    """A stream or a WebSocket that is being written to a connection."""

    keep: bool
    """Whether the connection stays open after it."""
    ended: bool
    """Whether its last frame has been written."""
    send: Callable[[bytes], None]

    @property
    def backlog(self) -> int:
        """Bytes that have not left the process."""

    def end(self, frame: bytes) -> None:
        """Write a last frame."""

    def abort(self) -> None:
        """Cut the connection."""

    def lose(self) -> None:
        """The connection is gone."""

    def fill_up(self) -> None:
        """The write buffer is over its limit."""

    def drained(self) -> None:
        """The write buffer has room again."""

    def take(self, data: bytes) -> None:
        """The client has sent something."""


class EdgeStream:
    """A subscriber that writes chunks to a transport.

    Args:
        owner: the connection.
        head: the response's head, written with the first frame.
        chunked: false: the client speaks HTTP/1.0 and gets the chunks' content.
        keep: the connection stays open after the last chunk.
        buffer_bytes: how many bytes may wait; the first frame (head and replay) is not counted.
    """

    __slots__ = ("_chunked", "_head", "_limit", "_owner", "ended", "keep", "send")

    send: Callable[[bytes], None]
    """Write a frame; ignored after `end`."""

    def __init__(
        self, owner: Owner, head: bytes, chunked: bool, keep: bool, buffer_bytes: int
    ) -> None:
        self.keep = keep
        self.ended = False
        self._owner = owner
        self._head = head
        self._chunked = chunked
        self._limit = buffer_bytes
        self.send = self._begin

    @property
    def backlog(self) -> int:
        """Bytes that have not left the process."""
        return self._owner.transport.get_write_buffer_size()

    def end(self, frame: bytes) -> None:
        """Write the last frame after the waiting bytes, and finish."""
        if self.ended:
            return
        self.ended = True
        self.send = ignore
        transport = self._owner.transport
        if transport.is_closing():
            return
        # From now on the transport tells when the last byte has left.
        transport.set_write_buffer_limits(0)
        last = self._head + (frame + LAST_CHUNK if self._chunked else joined(frame))
        self._head = b""
        transport.write(last)
        if not transport.get_write_buffer_size():
            self._owner.loop.call_soon(self._owner.finish, self)

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
        if not self.ended:
            self.send = ignore
            self._owner.loop.call_soon(self._owner.too_slow, self)

    def drained(self) -> None:
        """The buffer has room again: after the last frame all of it has left."""
        if self.ended:
            self._owner.finish(self)

    def take(self, data: bytes) -> None:
        """The client has sent something: it waits for the end of the stream."""
        self._owner.wait(data)

    def _begin(self, frame: bytes) -> None:
        transport = self._owner.transport
        self.send = transport.write if self._chunked else self._write_plain
        head, self._head = self._head, b""
        # A replay may be above the limit: only a client that falls behind later is slow.
        transport.set_write_buffer_limits(self._limit + len(frame))
        transport.write(head + (frame if self._chunked else joined(frame)))

    def _write_plain(self, frame: bytes) -> None:
        self._owner.transport.write(joined(frame))


def ignore(_frame: bytes) -> None:
    """Ignore a frame that comes after the end."""
