"""The interface of a system under test, and what its subscribers send and receive."""

from __future__ import annotations

import asyncio
import json
import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import Final, Protocol

import httpx

DATA_BYTES: Final = 600
_FILLER: Final = "x" * (DATA_BYTES - 40)


class System(Protocol):
    """One server under test; `channel` is a number."""

    name: str
    port: int
    deliveries_per_s: int
    """How fast events are published: the rate that it can serve on one core."""

    @abstractmethod
    async def start(self) -> None:
        """Start it, and wait until it serves."""

    @abstractmethod
    def pids(self) -> list[int]:
        """Its processes, whose CPU time and memory count."""

    @abstractmethod
    def request(self, channel: int) -> bytes:
        """The head of a subscriber's request."""

    @abstractmethod
    async def publish(self, channels: Sequence[int]) -> None:
        """Publish one event to each of these channels."""

    @abstractmethod
    async def stop(self) -> None:
        """End it."""


def line() -> str:
    """An event's data, with the current time."""
    return json.dumps({"t": time.time_ns(), "x": _FILLER}, separators=(",", ":"))


def get(target: str, port: int) -> bytes:
    """A request head."""
    head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n"
    return head.encode()


async def serves(url: str, within_s: float = 60.0, status: int = 200) -> None:
    """Wait until the address answers with this status."""
    async with httpx.AsyncClient() as client, asyncio.timeout(within_s):
        while True:
            try:
                if (await client.get(url)).status_code == status:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
