"""The client for programs without asyncio: the same client, on a separate thread.

The event loop runs in a private thread; each call waits for it. The machine, the transport and the
cursor stores are the same; only this shell differs. Handlers run in the caller's thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Self, TypeVar, Unpack

from client_sdk.checkpoint import Checkpoint
from client_sdk.client.async_client import ClientOptions, OrderClient
from client_sdk.client.handler_retry import RetryPolicy
from client_sdk.client.order_book import OrderBook
from client_sdk.client.runner import Token
from client_sdk.errors import ClosedError
from client_sdk.machine.sequencing import Change
from client_sdk.machine.status import Status

R = TypeVar("R")


class BlockingOrderClient:
    """`OrderClient` for threads: `for change in client.events(): …`.

    Errors are those of `OrderClient`. `orders` and `checkpoint` belong to the thread that loops
    over `events()`; `close` and `status` may be used from any.

    Args:
        base_url: Core's address.
        token: an access token, or a function (async or not) that returns one, as for `OrderClient`.
        channels: the channels to follow, such as `store:12` or `table:12/5`; 1 to 500.
        options: the other arguments of `OrderClient`, by name.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        channels: Sequence[str],
        **options: Unpack[ClientOptions],
    ) -> None:
        self._loop = LoopThread()
        self._client = OrderClient(base_url, token, channels, **options)
        self.orders: OrderBook = self._client.orders
        """The open orders, including the current change."""

    @property
    def status(self) -> Status:
        """The current status of the client."""
        return self._client.status

    @property
    def checkpoint(self) -> Checkpoint:
        """The cursor that includes the current change."""
        return self._client.checkpoint

    def __enter__(self) -> Self:
        self._loop.start()
        try:
            self._loop.call(self._client.__aenter__())
        except BaseException:
            self._loop.stop()
            raise
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def events(self) -> Iterator[Change]:
        """Yield every event once and in order; asking for the next acknowledges it.

        Ends when the client is closed. Errors are those of `OrderClient.events`.
        """
        while True:
            try:
                delivery = self._loop.call(self._client._take())
            except ClosedError:
                if self._client.status.mode == "closed":
                    return
                raise
            if delivery is None:
                return
            yield delivery.change
            try:
                self._loop.call(self._client._done(delivery))
            except ClosedError:
                return  # another thread closed the client: this change is not acknowledged

    def run(self, handler: Callable[[Change], None], retry: RetryPolicy | None = None) -> None:
        """Hand each change to `handler`, in this thread, until the client is closed.

        Raises:
            HandlerError: the handler kept raising; the change is not acknowledged.
        """
        policy = retry or RetryPolicy()
        for change in self.events():
            self._handle(handler, change, policy)

    def statuses(self) -> Iterator[Status]:
        """Yield the current status, then the newest one after each change of mode or state."""
        status: Status | None = None
        while True:
            try:
                status = self._loop.call(self._client._next_status(status))
            except ClosedError:
                return
            if status is None:
                return
            yield status

    def seen(self, order_id: str) -> None:
        """Report that this device has shown an order to a person, as `OrderClient.seen`.

        Raises:
            ClosedError: the client is not open.
        """
        self._loop.call(self._seen(order_id))

    def close(self) -> None:
        """Close the stream and stop; a loop over `events()` in another thread ends."""
        try:
            self._loop.call(self._client.close())
        except ClosedError:
            return
        finally:
            self._loop.stop()

    def _handle(
        self, handler: Callable[[Change], None], change: Change, policy: RetryPolicy
    ) -> None:
        failed = 0
        while True:
            try:
                handler(change)
                return
            except Exception as error:
                failed += 1
                delay = policy.delay(failed)
                if delay is None:
                    raise self._loop.call(self._give_up(change, failed, error)) from error
            time.sleep(delay)

    async def _seen(self, order_id: str) -> None:
        self._client.seen(order_id)

    async def _give_up(self, change: Change, attempts: int, error: Exception) -> Exception:
        return self._client._give_up(change, attempts, error)


class LoopThread:
    """An event loop in a thread; calls after its end, or interrupted by it, raise ClosedError."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread.

        Raises:
            ClosedError: it was started before.
        """
        with self._lock:
            if self._thread is not None:
                raise ClosedError("a client can be entered only once: create a new one")
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=_serve, args=[self._loop], name="yabam-client", daemon=True
            )
            self._thread.start()

    def call(self, work: Coroutine[Any, Any, R]) -> R:
        """Run `work` on the loop and return its result; an exception while waiting cancels it.

        Raises:
            ClosedError: the client is not open, or is closed meanwhile; and what the work raises.
        """
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                work.close()
                raise ClosedError("the client is not open: use it in a with statement")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise ClosedError("the client was closed before Core answered") from None
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """Stop the loop and the thread; work that still runs is cancelled."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None and self._thread is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(loop.stop)
            if self._thread is not threading.current_thread():
                self._thread.join()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        # Whatever has ended it, as a SystemExit in a callback: nobody waits for it for ever.
        try:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()
