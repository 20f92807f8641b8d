"""The client for programs without asyncio: the same client, on a thread of its own.

The loop runs in a private thread; each call waits for it. So the machine, the transport and the
cursor stores are the very same, and only this shell differs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from client_sdk.client import OrderClient, Token
from client_sdk.cursors import Checkpoint, CursorStore
from client_sdk.errors import ClosedError
from client_sdk.merge import Change
from client_sdk.orders import OrderBook
from client_sdk.signals import Settings
from client_sdk.status import Status

R = TypeVar("R")


class BlockingOrderClient:
    """`OrderClient` for threads: `for change in client.events(): …`.

    Args and errors are those of `OrderClient`. `close` may be called from another thread; the loop
    over `events()` then ends.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        channels: Sequence[str],
        *,
        cursors: CursorStore | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._make: Callable[[], OrderClient] = lambda: OrderClient(
            base_url, token, channels, cursors=cursors, settings=settings
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="yabam-client", daemon=True)
        self._client: OrderClient | None = None

    @property
    def orders(self) -> OrderBook:
        """The open orders, as of the last change handed over."""
        return self._opened.orders

    @property
    def status(self) -> Status:
        """How the client stands right now."""
        return self._call(self._read_status())

    @property
    def checkpoint(self) -> Checkpoint:
        """The cursor that includes the change last handed over."""
        return self._opened.checkpoint

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._client = self._call(self._open())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def events(self) -> Iterator[Change]:
        """Every event once and in order; acknowledged when the next one is asked for."""
        events = self._opened.events()
        try:
            while True:
                try:
                    change = self._call(_next(events))
                except StopAsyncIteration:
                    return
                yield change
        finally:
            if not self._loop.is_closed():
                self._call(_close(events))

    def close(self) -> None:
        """Close the stream and stop."""
        if self._thread.is_alive():
            if self._client is not None:
                self._call(self._client.close())
            self._stop()

    @property
    def _opened(self) -> OrderClient:
        if self._client is None:
            raise ClosedError("use the client in a with statement")
        return self._client

    async def _open(self) -> OrderClient:
        return await self._make().__aenter__()

    async def _read_status(self) -> Status:
        return self._opened.status

    def _call(self, work: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


async def _next(events: AsyncGenerator[Change, None]) -> Change:
    return await anext(events)


async def _close(events: AsyncGenerator[Change, None]) -> None:
    await events.aclose()
