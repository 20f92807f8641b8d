"""The asyncio shell around the machine: sockets, timers, the queue to the consumer. Thin.

One task feeds the machine; syncs, streams and the consumer only hand their inputs to it.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.digest import format_digest
from client_sdk.cursors import Checkpoint, CursorStore, MemoryCursors
from client_sdk.errors import (
    ClientError,
    HandlerError,
    UnauthorizedError,
)
from client_sdk.machine import Machine
from client_sdk.merge import Change, Reset
from client_sdk.orders import OrderBook
from client_sdk.signals import (
    Acknowledged,
    CancelSync,
    CheckDigest,
    Close,
    CloseStream,
    Command,
    Deliver,
    Diverged,
    Failure,
    Fill,
    Finished,
    GiveUp,
    Input,
    OpenStream,
    RefreshToken,
    Settings,
    Start,
    StartSync,
    State,
    Tick,
    TokenRefreshed,
)
from client_sdk.status import Status, status_of
from client_sdk.transport import Transport

Token = str | Callable[[], str | Awaitable[str]]
Handler = Callable[[Change], Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a handler that raises is tried, and how long between (seconds, doubling)."""

    attempts: int = 3
    first_delay: float = 0.1


class OrderClient:
    """Follows channels: every event once and in order, whatever the network does.

    Use it as an async context manager, then iterate `events()` or call `run(handler)`. A change is
    acknowledged, and the cursor saved, when the iterator is asked for the next one or the handler
    has returned; what was not acknowledged is handed over again after a restart.

    Args:
        base_url: where Core is.
        token: an access token, or a function (async or not) that gives one; it is called again
            when the token is refused.
        channels: what to follow, such as `store:12` or `table:12/5`; at most 500.
        cursors: where to keep the cursor; in memory if nothing is said.
        settings: the machine's numbers.
        transport: httpx's transport, for tests and proxies.

    Raises:
        ChannelError: one of the channels is not a channel name.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        channels: Sequence[str],
        *,
        cursors: CursorStore | None = None,
        settings: Settings | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channels = [str(parse_channel(channel)) for channel in channels]
        self._token_source = token
        self._token = token if isinstance(token, str) else ""
        self._cursors = cursors or MemoryCursors()
        self._settings = settings or Settings()
        self._uniform = uniform
        self._clock = clock
        self._http = httpx.AsyncClient(base_url=base_url, transport=transport)
        self._transport = Transport(self._http)
        self._inbox: asyncio.Queue[Input] = asyncio.Queue()
        self._queue: deque[Deliver | Fill | CheckDigest] = deque()
        self._news = asyncio.Event()
        self._finished: Finished | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._positions: dict[str, int] = {}
        self._epoch = ""
        self._iterating = False
        self._pending = 0
        self._status_changed = asyncio.Event()
        self._machine = Machine({}, None, self._settings, uniform)
        self._status = status_of(self._machine, "starting", 0, 0.0)
        self.orders = OrderBook()
        """The open orders, as of the last change handed over."""

    @property
    def status(self) -> Status:
        """How the client stands right now."""
        return status_of(self._machine, self._status.mode, self._pending, self._clock())

    @property
    def checkpoint(self) -> Checkpoint:
        """The cursor that includes the change last handed over: keep it in your transaction."""
        return Checkpoint(self._epoch, dict(self._positions))

    async def __aenter__(self) -> Self:
        stored = await self._cursors.load()
        positions: dict[str, int | None] = dict.fromkeys(self._channels)
        if stored is not None:
            positions |= {c: s for c, s in stored.positions.items() if c in positions}
            self._epoch = stored.epoch
        self._positions = {c: seq for c, seq in positions.items() if seq is not None}
        epoch = stored.epoch if stored is not None else None
        self._machine = Machine(positions, epoch, self._settings, self._uniform)
        await self._refresh_token()
        self._spawn("machine", self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the stream and stop; what was not acknowledged stays so."""
        if self._finished is None:
            self._handle(Close())
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()

    async def events(self) -> AsyncGenerator[Change, None]:
        """Every event once and in order, and a `Reset` where a channel starts anew.

        Ends when the client is closed.

        Raises:
            UnauthorizedError, RefusedError, ClientError: the client failed; it says why.
            CursorStoreError: the cursor could not be saved.
        """
        if self._iterating:
            raise ClientError("events() is being iterated already: make a client for each consumer")
        self._iterating = True
        try:
            while (delivery := await self._next()) is not None:
                yield delivery.change
                await self._acknowledge()
        finally:
            self._iterating = False

    async def run(self, handler: Handler, retry: RetryPolicy | None = None) -> None:
        """Hand each change to `handler` until the client is closed.

        Raises:
            HandlerError: the handler kept raising; the change is not acknowledged.
        """
        policy = retry or RetryPolicy()
        async for change in self.events():
            await self._handled(handler, change, policy)

    async def statuses(self) -> AsyncIterator[Status]:
        """The status now, and again each time its mode or state changes."""
        while True:
            self._status_changed.clear()
            status = self._status
            yield status
            if status.mode in ("closed", "failed"):
                return
            await self._status_changed.wait()

    # ── towards the consumer ─────────────────────────────────────────────────

    async def _next(self) -> Deliver | None:
        while True:
            while self._queue:
                if self._finished is not None and self._finished.cause is None:
                    return None
                item = self._queue.popleft()
                if isinstance(item, Deliver):
                    self._show(item)
                    return item
                await self._keep_book(item)
            if self._finished is not None:
                self._raise(self._finished.cause)
                return None
            self._news.clear()
            await self._news.wait()

    def _show(self, delivery: Deliver) -> None:
        change = delivery.change
        if delivery.epoch != self._epoch:
            # Seqs of another epoch say nothing in this one.
            self._epoch, self._positions = delivery.epoch, {}
        if isinstance(change, Reset):
            self.orders.replace(change.channel, change.orders)
            self._positions[change.channel] = change.head
        else:
            self.orders.apply(change)
            self._positions[change.channel] = change.seq

    async def _keep_book(self, item: Fill | CheckDigest) -> None:
        if isinstance(item, Fill):
            self.orders.replace(item.snapshot.channel, item.snapshot.orders)
        elif format_digest(self.orders.digest(item.channel)) != item.digest:
            self._inbox.put_nowait(Diverged(item.channel))

    async def _acknowledge(self) -> None:
        await self._cursors.save(self.checkpoint)
        self._pending -= 1
        self._inbox.put_nowait(Acknowledged(1))

    async def _handled(self, handler: Handler, change: Change, policy: RetryPolicy) -> None:
        for attempt in range(policy.attempts):
            try:
                done = handler(change)
                if inspect.isawaitable(done):
                    await done
            except Exception as error:
                if attempt + 1 == policy.attempts:
                    self._handle(GiveUp(error))
                    raise HandlerError(
                        f"the handler raised {policy.attempts} times; the change is not "
                        f"acknowledged: {error!r}"
                    ) from error
                await asyncio.sleep(policy.first_delay * 2**attempt)
            else:
                return

    def _raise(self, cause: Failure | Exception | None) -> None:
        if isinstance(cause, Exception):
            raise cause
        if isinstance(cause, Failure):
            if cause.kind == "unauthorized":
                raise UnauthorizedError(cause.detail) from cause.cause
            raise cause.cause or ClientError(cause.detail)

    # ── around the machine ───────────────────────────────────────────────────

    async def _run(self) -> None:
        self._handle(Start())
        while self._machine.state not in (State.CLOSED, State.FAILED):
            deadline = self._machine.deadline
            remaining = None if deadline == float("inf") else max(0.0, deadline - self._clock())
            signal: Input = Tick()
            try:
                async with asyncio.timeout(remaining):
                    signal = await self._inbox.get()
            except TimeoutError:
                pass
            self._handle(signal)

    def _handle(self, signal: Input) -> None:
        for command in self._machine.handle(signal, self._clock()):
            self._execute(command)
        self._publish_status()

    def _execute(self, command: Command) -> None:
        match command:
            case StartSync():
                self._spawn("sync", self._sync(command))
            case OpenStream():
                self._spawn("stream", self._stream(command))
            case CancelSync():
                self._cancel("sync")
            case CloseStream():
                self._cancel("stream")
            case RefreshToken():
                self._spawn("token", self._refresh())
            case Finished():
                self._finished = command
                self._news.set()
            case Deliver() | Fill() | CheckDigest():
                self._pending += isinstance(command, Deliver)
                self._queue.append(command)
                self._news.set()

    def _spawn(self, name: str, work: Coroutine[None, None, None]) -> None:
        self._cancel(name)
        task = asyncio.create_task(work, name=f"yabam-{name}")
        task.add_done_callback(self._check)
        self._tasks[name] = task

    def _check(self, task: asyncio.Task[None]) -> None:
        """An error that nobody foresaw ends the client and reaches the consumer."""
        if not task.cancelled() and (error := task.exception()) is not None:
            failure = ClientError(f"{task.get_name()} failed: {error!r}")
            self._finished = self._finished or Finished(failure)
            self._news.set()

    def _cancel(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()

    async def _sync(self, command: StartSync) -> None:
        self._inbox.put_nowait(await self._transport.sync(command, self._token))

    async def _stream(self, command: OpenStream) -> None:
        async for signal in self._transport.stream(command):
            self._inbox.put_nowait(signal)
            # The machine takes it before the next: the inbox never holds more than a few.
            await asyncio.sleep(0)

    async def _refresh(self) -> None:
        try:
            await self._refresh_token()
        except Exception as error:
            self._inbox.put_nowait(GiveUp(error))
        else:
            self._inbox.put_nowait(TokenRefreshed())

    async def _refresh_token(self) -> None:
        if not isinstance(self._token_source, str):
            token = self._token_source()
            self._token = token if isinstance(token, str) else await token

    def _publish_status(self) -> None:
        before = self._status
        self._status = self.status
        if (before.mode, before.state) != (self._status.mode, self._status.state):
            self._status_changed.set()
