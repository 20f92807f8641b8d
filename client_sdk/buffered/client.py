"""The asyncio shell of the buffered start, over a transport of your own (a WebSocket, MQTT, …)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Mapping,
    Sequence,
)
from functools import partial
from typing import Protocol

from client_sdk.buffered.machine import BufferedStart
from client_sdk.buffered.messages import (
    BufferedSettings,
    Connect,
    Fetch,
    Hand,
    StartCommand,
    StartDone,
    StartResult,
    StartState,
    Subscribe,
    Warn,
)
from client_sdk.contract.order import OrderEvent
from client_sdk.contract.sync import SyncResponse
from client_sdk.errors import BufferedStartError
from client_sdk.machine.sequencing import Change
from client_sdk.supervision import BackgroundTasks


class LiveTransport(Protocol):
    """A transport that pushes events and cannot replay them."""

    async def connect(self) -> None:
        """Connect; raise if it cannot be done."""

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Subscribe; return once every event pushed from now on will be received."""

    def messages(self) -> AsyncIterator[OrderEvent]:
        """The events as they are pushed; ends or raises when the connection is lost."""


FetchSync = Callable[[Mapping[str, int | None], str | None], Awaitable[SyncResponse]]
"""Calls Fetch Sync for these positions and epoch."""


class BufferedClient:
    """Runs a buffered start, then delivers what the transport pushes.

    Args:
        transport: pushes the events.
        fetch: calls Fetch Sync.
        channels: the channels to follow, each from its seq on; None: from a snapshot on.
        epoch: the epoch of those seqs.
        settings: time limits and sizes.
        warn: called with warnings for a person.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        transport: LiveTransport,
        fetch: FetchSync,
        channels: Mapping[str, int | None],
        epoch: str | None = None,
        settings: BufferedSettings | None = None,
        warn: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.machine = BufferedStart(channels, epoch, settings)
        """The state machine: observe it, reset it, reconfigure it."""
        self._transport = transport
        self._fetch = fetch
        self._warn = warn
        self._clock = clock
        self.epoch: str | None = epoch
        """The epoch of the last change that was taken."""
        self._changes: deque[tuple[Change, str | None]] = deque()
        self._news = asyncio.Event()
        self._result: StartResult | None = None
        self._generation = 0
        self._tasks = BackgroundTasks(warn)
        self._timer: asyncio.Handle | None = None

    async def start(self) -> StartResult:
        """Run the start. Returns its result, whether it succeeded or not.

        After `machine.reset()` it may be run again: the rest of the last run is ignored, and
        changes that were not taken are delivered again.

        Raises:
            BufferedStartError: it was already started.
        """
        commands = self.machine.start(self._clock())
        self._generation += 1
        self._result = None
        self._changes.clear()
        self._tasks.cancel()
        self._do(commands)
        generation = self._generation
        while not self._has_ended(generation):
            await self._news.wait()
        return self._result_of(generation)

    def _has_ended(self, generation: int) -> bool:
        return self._result is not None or generation != self._generation

    def _result_of(self, generation: int) -> StartResult:
        if self._result is None or generation != self._generation:
            raise BufferedStartError("it was reset and restarted before it was done")
        return self._result

    async def changes(self) -> AsyncGenerator[Change, None]:
        """Every change once and in order, from the first sync on.

        Raises:
            BufferedStartError: the start failed, or the connection is lost: reset and restart it.
        """
        while True:
            while self._changes:
                change, self.epoch = self._changes.popleft()
                self._do(self.machine.handled(1, self._clock()))
                yield change
            if self._result is not None and not self._result.success:
                raise BufferedStartError(self._result.error or "the start failed")
            await self._news.wait()

    def refresh(self) -> None:
        """Start a sync, because an event was or may have been missed."""
        self._do(self.machine.refresh(self._clock()))

    def give_up(self, reason: str) -> None:
        """Stop with an error: `changes` raises it once the changes so far were taken."""
        if self.machine.state is StartState.IDLE:
            return
        self._do(self.machine.failed(reason, self._clock()))

    def fail(self, error: Exception) -> None:
        """Stop with this error, whatever the state: `changes` raises it, as after `give_up`."""
        reason = str(error) or repr(error)
        try:
            self.give_up(reason)
        finally:
            # Before the start, or if `warn` raises.
            if self._result is None or self._result.success:
                self._result = StartResult(False, StartState.ERROR, 0, 0, 0, 0.0, reason)
                self._news.set()

    async def close(self) -> None:
        """Stop everything."""
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.stop()

    def _do(self, commands: Sequence[StartCommand]) -> None:
        for command in commands:
            match command:
                case Connect():
                    self._spawn("connect", self._connect)
                case Subscribe():
                    self._spawn("subscription", partial(self._subscribe, command.channels))
                case Fetch():
                    self._spawn("sync", partial(self._sync, command))
                case Hand():
                    self._changes.append((command.change, command.epoch))
                case Warn():
                    self._warn(command.text)
                case StartDone():
                    self._result = command.result
        # A new event for the next change: clearing this one could hide it from another waiter.
        news, self._news = self._news, asyncio.Event()
        news.set()
        self._set_timer()

    def _feed(self, generation: int, step: Callable[[float], Sequence[StartCommand]]) -> None:
        """Pass an input to the machine, unless a newer start has begun since."""
        if generation == self._generation:
            self._do(step(self._clock()))

    async def _connect(self, generation: int) -> None:
        await self._transport.connect()
        self._feed(generation, self.machine.connected)

    async def _subscribe(self, channels: Sequence[str], generation: int) -> None:
        await self._transport.subscribe(channels)
        if generation == self._generation:
            self._spawn("listener", self._listen)
        self._feed(generation, self.machine.subscribed)

    async def _listen(self, generation: int) -> None:
        async for event in self._transport.messages():
            self._feed(generation, partial(self.machine.message, event))
        raise ConnectionError("the connection ended")

    async def _sync(self, command: Fetch, generation: int) -> None:
        response = await self._fetch(command.after, command.epoch)
        self._feed(generation, partial(self.machine.fetched, response))

    def _spawn(self, name: str, work: Callable[[int], Coroutine[None, None, None]]) -> None:
        generation = self._generation
        self._tasks.once(name, work(generation), partial(self._failed, generation))

    def _failed(self, generation: int, error: Exception) -> None:
        if generation == self._generation:
            self.fail(error)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.machine.deadline
        if deadline != float("inf"):
            delay = max(0.0, deadline - self._clock())
            self._timer = self._tasks.later("timer", delay, self._tick, self.fail)

    def _tick(self) -> None:
        self._do(self.machine.tick(self._clock()))
