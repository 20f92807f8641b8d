"""The interface between a connection and a handler that answers requests without ASGI."""

from __future__ import annotations

from typing import Final, Protocol

from starlette.types import ASGIApp

_HEAD: Final = b"HTTP/1.1 200 OK\r\n%bcache-control: no-store\r\ncontent-length: "


class Asker(Protocol):
    """A connection that waits for the answer to one request."""

    def answer(self, body: bytes) -> None:
        """Send this JSON with status 200."""

    def leave_to(self, app: ASGIApp) -> None:
        """Hand the request over to an ASGI application."""


class QuickAnswers(Protocol):
    """Answers requests that came whole and plain, without an ASGI application."""

    def take(self, data: bytes, asker: Asker) -> bool:
        """Take a request, if it is one of those.

        Args:
            data: the unread bytes that a client has sent.
            asker: gets the answer, or the application to hand over to, exactly once, now or later.

        Returns:
            Whether it was taken; if not, `asker` is not called.
        """


class AnswerHeads:
    """The heads of answers, written once a second: until the date in them changes."""

    def __init__(self) -> None:
        self._of: list[tuple[bytes, bytes]] | None = None
        self._head = b""

    def beginning(self, default: list[tuple[bytes, bytes]]) -> bytes:
        """The head up to the length of the body.

        Args:
            default: uvicorn's headers of every answer; a new list whenever they change.
        """
        if default is not self._of:
            self._of = default
            self._head = _HEAD % b"".join(b"%b: %b\r\n" % field for field in default)
        return self._head
