"""What a connection and those who answer some of its requests themselves say to each other."""

from __future__ import annotations

from typing import Final, Protocol

from starlette.types import ASGIApp

_HEAD: Final = b"HTTP/1.1 200 OK\r\n%bcache-control: no-store\r\ncontent-length: "


class Asker(Protocol):
    """A connection that waits for the answer to one request."""

    def answer(self, body: bytes) -> None:
        """Send this JSON with status 200."""

    def leave_to(self, app: ASGIApp) -> None:
        """Let an application answer the request, as any other."""


class QuickAnswers(Protocol):
    """Answers requests that came whole and plain, without an application behind it."""

    def take(self, data: bytes, asker: Asker) -> bool:
        """Take a request, if it is one of those.

        Args:
            data: what a client has sent, of which nothing was read yet.
            asker: is told the answer, or to whom to leave the request, at once or later, and once.

        Returns:
            Whether it is; if not, the asker is told nothing.
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
