"""A receiver of webhooks: verifies each with the library of Standard Webhooks, and records it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.serving import Listener


@dataclass(frozen=True)
class Received:
    """One request."""

    id: str
    path: str
    headers: dict[str, str]
    text: str
    body: dict[str, Any] = field(compare=False)

    @property
    def channel(self) -> str:
        """The channel that the webhook is about."""
        data = self.body["data"]
        return str(data.get("channel") or data["id"].partition("@")[0])

    @property
    def seq(self) -> int:
        """The event's seq in that channel; of a gap, its last seq."""
        data = self.body["data"]
        return int(data["until"] if "until" in data else data["seq"])


Answer = Callable[[Received], "str | None"]
"""Returns the answer to a request; None: it never answers; empty: it closes the connection."""

OK = "HTTP/1.1 204 No Content\r\n\r\n"


def status(code: int, **headers: str) -> str:
    """An empty answer with this status and these headers."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {code} Said\r\ncontent-length: 0\r\n{more}\r\n"


class Receiver:
    """Receives webhooks on a port of its own.

    Args:
        answer: returns the answer to each; it may be replaced later.
    """

    def __init__(self, answer: Answer = lambda _: OK) -> None:
        self.answer = answer
        self.secret: str | None = None
        """The webhook's secret, with which each request is verified; None: none is."""
        self.requests: list[Received] = []
        """All requests, in order."""
        self.taken: list[Received] = []
        """The requests that were answered with 2xx."""
        self._listener = Listener(self._serve)
        self._news = asyncio.Condition()

    @property
    def url(self) -> str:
        """The URL of the receiver."""
        return f"http://127.0.0.1:{self._listener.port}/orders"

    async def __aenter__(self) -> Receiver:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; always on the same port."""
        await self._listener.start()

    async def stop(self) -> None:
        """Close all connections, and accept no more."""
        await self._listener.stop()

    async def until(self, enough: Callable[[Receiver], bool], within_s: float = 60) -> None:
        """Wait until `enough` is true. Raises TimeoutError after `within_s` seconds."""
        async with asyncio.timeout(within_s), self._news:
            await self._news.wait_for(lambda: enough(self))

    def seqs(self, channel: str) -> list[int]:
        """The seqs that were answered with 2xx in a channel, in order, each once."""
        return list(dict.fromkeys(one.seq for one in self.taken if one.channel == channel))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (received := await _read(reader)) is not None:
            if self.secret is not None:
                Webhook(self.secret).verify(received.text, received.headers)
            self.requests.append(received)
            answer = self.answer(received)
            if answer is not None and answer.startswith("HTTP/1.1 2"):
                self.taken.append(received)
            async with self._news:
                self._news.notify_all()
            if answer is None:
                await asyncio.Event().wait()
                return
            if not answer:
                return
            writer.write(answer.encode())
            await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
    text = (await reader.readexactly(int(headers["content-length"]))).decode()
    return Received(headers["webhook-id"], first.split(" ")[1], headers, text, json.loads(text))
