"""By what the next stream is opened: server-sent events first, else a WebSocket. Pure.

A proxy that buffers answers lets no hello through, or ends each stream at once; a WebSocket it
passes on, as it cannot read one. Where a WebSocket fails in turn, the next stream is one of
server-sent events again: the network may be another one now. `sync_connect_or_poll.py` decides when
the client polls instead.
"""

from __future__ import annotations

from typing import Final, Literal

Via = Literal["sse", "websocket"]

AT_ONCE_AGAIN: Final = 2
"""How many streams in a row must end at once to be taken for a proxy's doing."""


class TransportChoice:
    """What to open next, by what became of those before."""

    def __init__(self) -> None:
        self.via: Via = "sse"
        self._at_once = 0

    def silent(self) -> None:
        """It has not said hello in time."""
        self._take("websocket" if self.via == "sse" else "sse")

    def ended_at_once(self) -> None:
        """It said hello, and ended at once."""
        self._at_once += 1
        if self.via == "websocket":
            self._take("sse")
        elif self._at_once >= AT_ONCE_AGAIN:
            self._take("websocket")

    def could_not_be_had(self) -> None:
        """The connection, or its upgrade, failed: of a stream that says nothing about proxies."""
        if self.via == "websocket":
            self._take("sse")

    def lasted(self) -> None:
        """It brought something, or was open for a while."""
        self._at_once = 0

    def _take(self, via: Via) -> None:
        self.via, self._at_once = via, 0
