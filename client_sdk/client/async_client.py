"""The asyncio client for programs. `runner.py` runs the machine, `delivery.py` keeps the changes
between the machine and the consumer.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import ClassVar, Self, TypedDict, TypeVar

import httpx

from client_sdk.checkpoint import Checkpoint
from client_sdk.client.cursor_stores import CursorStore, MemoryCursors
from client_sdk.client.delivery import Deliveries
from client_sdk.client.handler_retry import RetryPolicy, handler_failed
from client_sdk.client.order_book import OrderBook
from client_sdk.client.receipts import ReceiptSender, SeenSender
from client_sdk.client.runner import Runner, Token, error_of
from client_sdk.contract.channel import carries_documents, parse_channel
from client_sdk.contract.cursor import MAX_CHANNELS
from client_sdk.contract.device import DeviceReport, check_device
from client_sdk.contract.errors import ChannelError
from client_sdk.errors import ClientError, ClosedError, HandlerError
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    CheckDigest,
    CheckDocuments,
    Close,
    Deliver,
    DeliverDocument,
    Failure,
    Fill,
    GiveUp,
    Start,
    State,
)
from client_sdk.machine.sequencing import Change
from client_sdk.machine.status import Mode, Status, mode_of, status_of
from client_sdk.settings import Settings
from client_sdk.transport.http_bodies import check_token, no_cookies
from client_sdk.transport.http_transport import Transport
from client_sdk.transport.socket_transport import SocketTransport

Handler = Callable[[Change], Awaitable[None] | None]
S = TypeVar("S")


class ClientOptions(TypedDict, total=False):
    """The options of each client beside address, token and channels; see `OrderClient`."""

    cursors: CursorStore | None
    device: str | None
    settings: Settings | None
    transport: httpx.AsyncBaseTransport | None
    uniform: Callable[[float, float], float]
    clock: Callable[[], float]


class OrderClient:
    """Follows channels: every event once and in order, whatever the network does.

    Use it as an async context manager, then iterate `events()` or call `run(handler)`. A change is
    acknowledged, and the cursor saved, when the iterator is asked for the next one or the handler
    has returned. An unacknowledged change is delivered again by the next loop over `events()`, and
    after a restart.

    Args:
        base_url: Core's address.
        token: an access token, or a function (async or not) that returns one; it is called before
            the first sync and whenever the token was refused. A plain function is called in a
            thread. If it raises, it is called again later, with back-off; UnauthorizedError ends
            the client.
        channels: the channels to follow, such as `store:12` or `table:12/5`; 1 to 500.
        cursors: the store of the cursor; default: in memory.
        device: this device's name within its store, such as `till-1`: with it Core can tell who
            has received what (`GET /v1/stores/{id}/devices`).
        settings: the settings of the client's machine.
        transport: httpx's transport, for tests, proxies and certificates of your own; with one the
            client opens no WebSockets.
        uniform: a random number evenly between two.
        clock: returns monotonic seconds.

    Raises:
        ChannelError: a channel name is malformed, or there are none or too many.
        DeviceError: the device's name is malformed.
        ContractError: the token has characters that no token has.
    """

    _shows_documents: ClassVar = False

    def __init__(
        self,
        base_url: str,
        token: Token,
        channels: Sequence[str],
        *,
        cursors: CursorStore | None = None,
        device: str | None = None,
        settings: Settings | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channels = list(dict.fromkeys(str(parse_channel(name)) for name in channels))
        if not 1 <= len(self._channels) <= MAX_CHANNELS:
            raise ChannelError(f"name 1 to {MAX_CHANNELS} channels, not {len(self._channels)}")
        documents = next(filter(carries_documents, self._channels), None)
        if documents is not None and not self._shows_documents:
            raise ChannelError(f"{documents} carries documents, not orders: use YabamClient")
        self._device = None if device is None else check_device(device)
        self._token = check_token(token) if isinstance(token, str) else token
        self._cursors = cursors or MemoryCursors()
        self._settings = settings or Settings()
        self._uniform = uniform
        self._clock = clock
        self._http = httpx.AsyncClient(base_url=base_url, transport=transport, cookies=no_cookies())
        self._wire = Transport(
            self._http,
            self._report if self._device is not None else None,
            SocketTransport() if transport is None else None,
        )
        self._receipts = ReceiptSender(partial(self._say, self._wire.receipts))
        self._shown_orders = SeenSender(partial(self._say, self._wire.seen))
        self._news = asyncio.Event()
        self._finished: tuple[Failure | Exception | None] | None = None
        self._taking = False
        self._runner: Runner | None = None
        self._machine = Machine({}, None, self._settings, uniform)
        self._status_changed = asyncio.Event()
        self._shown: tuple[Mode, State] = ("starting", self._machine.state)
        self.orders = OrderBook()
        """The open orders, as of the current change."""
        self._deliveries = Deliveries(self.orders, {}, "")

    @property
    def status(self) -> Status:
        """The current status of the client."""
        trouble = self._receipts.trouble or self._shown_orders.trouble
        return status_of(self._machine, self._shown[0], self._clock(), trouble)

    @property
    def checkpoint(self) -> Checkpoint:
        """The cursor including the current change: store it in your transaction."""
        return self._deliveries.checkpoint

    def seen(self, order_id: str) -> None:
        """Report that this device has shown an order to a person; needs `device`.

        It is sent within about a second, once per order, and retried a few times.
        """
        self._shown_orders.seen(order_id)

    async def __aenter__(self) -> Self:
        """Start at the stored cursor. Raises ClosedError (entered before), CursorStoreError."""
        if self._runner is not None or self._http.is_closed:
            raise ClosedError("a client can be entered only once: create a new one")
        try:
            stored = await self._cursors.load()
        except BaseException:
            await self._http.aclose()
            raise
        positions: dict[str, int | None] = dict.fromkeys(self._channels)
        epoch = None
        if stored is not None:
            epoch = stored.epoch
            # Documents are not stored with the cursor, so their channels start with a snapshot.
            orders = {c for c in self._channels if not carries_documents(c)}
            positions |= {c: s for c, s in stored.positions.items() if c in orders}
        known = {c: seq for c, seq in positions.items() if seq is not None}
        self._deliveries = Deliveries(self.orders, known, epoch or "")
        self._machine = Machine(positions, epoch, self._settings, self._uniform)
        self._runner = Runner(
            self._machine,
            self._wire,
            self._token,
            self._put,
            self._finish,
            self._publish_status,
            self._clock,
            self._put_document,
        )
        self._runner.feed(Start())
        return self

    async def __aexit__(self, *_raised: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the stream and stop; changes that are not acknowledged stay unacknowledged."""
        try:
            if self._runner is not None:
                if self._finished is None:
                    self._runner.feed(Close())
                await self._receipts.stop()
                await self._shown_orders.stop()
                await self._runner.stop()
        finally:
            await self._http.aclose()

    async def events(self) -> AsyncGenerator[Change, None]:
        """Yield every event once and in order, and a `Reset` when a channel restarts by a snapshot.

        Ends when the client is closed. After a loop that was left early, the next loop gets the
        unacknowledged change again.

        Raises:
            UnauthorizedError, RefusedError, ClientError: the client failed; the text says why.
            CursorStoreError: the cursor could not be saved; ask again to try again.
            ClosedError: the client was never opened.
        """
        while (delivery := await self._take()) is not None:
            yield delivery.change
            await self._done(delivery)

    async def run(self, handler: Handler, retry: RetryPolicy | None = None) -> None:
        """Hand each change to `handler` until the client is closed.

        Raises:
            HandlerError: the handler kept raising; the change is not acknowledged.
        """
        policy = retry or RetryPolicy()
        async with aclosing(self.events()) as changes:
            async for change in changes:
                await self._call(handler, change, policy)

    async def statuses(self) -> AsyncGenerator[Status, None]:
        """Yield the current status, then the newest one after each change of mode or state."""
        status: Status | None = None
        while (status := await self._next_status(status)) is not None:
            yield status

    # ── for the blocking twin, too ───────────────────────────────────────────

    async def _take(self) -> Deliver | None:
        if self._runner is None:
            raise ClosedError("the client is not open: use `async with`")
        if self._taking:
            raise ClientError("another consumer waits already: create one client per consumer")
        self._taking = True
        try:
            await self._save()
            while True:
                self._news.clear()
                if self._finished == (None,):
                    return None
                delivery = self._take_next()
                if delivery is not None:
                    return delivery
                if self._finished is not None:
                    raise error_of(self._finished[0])
                await self._news.wait()
        finally:
            self._taking = False

    async def _done(self, delivery: Deliver) -> None:
        self._deliveries.done(delivery)
        await self._save()

    async def _next_status(self, shown: Status | None) -> Status | None:
        while True:
            changed, status = self._status_changed, self.status
            if shown is None or (shown.mode, shown.state) != (status.mode, status.state):
                return status
            if shown.mode in ("closed", "failed"):
                return None
            await changed.wait()

    def _give_up(self, change: Change, attempts: int, error: Exception) -> HandlerError:
        failed = handler_failed(change, attempts, error)
        if self._runner is not None and self._finished is None:
            self._runner.feed(GiveUp(failed))
        return failed

    # ── the rest ─────────────────────────────────────────────────────────────

    def _take_next(self) -> Deliver | None:
        try:
            return self._deliveries.take()
        finally:
            for diverged in self._deliveries.divergences():
                if self._runner is not None:
                    self._runner.feed(diverged)

    async def _save(self) -> None:
        # Called again after a cancellation or an error, it saves the same checkpoint again.
        if self._deliveries.unsaved:
            await self._cursors.save(self._deliveries.checkpoint)
            if self._device is not None:
                self._receipts.applied(self._deliveries.checkpoint)
            acknowledged = self._deliveries.saved()
            if self._runner is not None:
                self._runner.feed(acknowledged)

    async def _call(self, handler: Handler, change: Change, policy: RetryPolicy) -> None:
        failed = 0
        while True:
            try:
                done = handler(change)
                if inspect.isawaitable(done):
                    await done
                return
            except Exception as error:
                failed += 1
                delay = policy.delay(failed)
                if delay is None:
                    raise self._give_up(change, failed, error) from error
            await asyncio.sleep(delay)

    def _put(self, command: Deliver | Fill | CheckDigest) -> None:
        self._deliveries.put(command)
        self._news.set()

    def _put_document(self, command: DeliverDocument | CheckDocuments) -> None:
        """Does nothing: an `OrderClient` follows no channels of documents."""

    def _finish(self, cause: Failure | Exception | None) -> None:
        self._finished = self._finished or (cause,)
        self._news.set()

    async def _say(self, send: Callable[[S, str], Awaitable[bool]], what: S) -> bool:
        token = await self._current_token()
        return token is not None and await send(what, token)

    async def _current_token(self) -> str | None:
        if self._runner is None:
            return None
        try:
            return await self._runner.current_token()
        except Exception:
            return None  # the next sync reports to the program what its function raised

    def _report(self) -> DeviceReport:
        mode, _ = self._shown
        fed = mode if mode in ("live", "polling", "offline") else "starting"
        return DeviceReport(self._device or "", fed, self._machine.pending, self._machine.diverged)

    def _publish_status(self) -> None:
        # This runs after each input, so it compares mode and state only: building the whole status
        # would format the cursor of every channel.
        before = self._shown
        self._shown = (mode_of(self._machine, before[0]), self._machine.state)
        if self._shown != before:
            changed, self._status_changed = self._status_changed, asyncio.Event()
            changed.set()
