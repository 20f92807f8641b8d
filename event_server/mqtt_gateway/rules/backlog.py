"""The messages of devices that wait in a gateway, from a broker that does not delay them. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol, TypeVar

MAX_WAITING: Final = 1000
MAX_WAITING_BYTES: Final = 32 * 1024 * 1024
"""More than the broker sends before it waits for an acknowledgement: 100 of the largest."""


class Payload(Protocol):
    """A message, by what it holds."""

    @property
    def payload(self) -> bytes:
        """Its bytes."""


M = TypeVar("M", bound=Payload)


class Backlog(deque[M]):
    """Messages in order, limited in count and in bytes.

    Above a limit the oldest are dropped: a device sends them again, and of measurements only the
    newest counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self._size = 0

    def put(self, message: M) -> list[M]:
        """Add a message. Returns those that are dropped for it."""
        dropped = []
        self.append(message)
        self._size += len(message.payload)
        while len(self) > 1 and (len(self) > MAX_WAITING or self._size > MAX_WAITING_BYTES):
            dropped.append(self.take())
        return dropped

    def take(self) -> M:
        """The oldest, which waits no more."""
        message = self.popleft()
        self._size -= len(message.payload)
        return message
