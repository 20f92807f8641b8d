"""The asyncio runner of the machine: one timer, and a task for the sync and for the stream.

The tasks pass their inputs to the machine, which processes each at once on one event loop. So
nothing happens between an input and its commands, and no inputs queue up.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Protocol

from client_sdk.errors import ClientError, ClosedError, UnauthorizedError
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    CancelSync,
    CheckDigest,
    CheckDocuments,
    CloseStream,
    Command,
    Deliver,
    DeliverDocument,
    Failure,
    Fill,
    Finished,
    GiveUp,
    Input,
    OpenStream,
    StartSync,
    SyncDone,
    SyncFailed,
    Tick,
)
from client_sdk.supervision import BackgroundTasks
from client_sdk.transport.http_bodies import check_token

Token = str | Callable[[], str | Awaitable[str]]


class Wire(Protocol):
    """Core and the event servers, as the runner needs them."""

    async def sync(self, command: StartSync, token: str) -> SyncDone | SyncFailed:
        """Call Fetch Sync."""

    def stream(self, command: OpenStream) -> AsyncGenerator[Input, None]:
        """Open a stream and yield its inputs."""


class Runner:
    """Runs one machine.

    Args:
        machine: the client's state machine.
        wire: the connection to Core and the event servers.
        token: an access token, or a function that returns one.
        put: takes deliveries, fills and checks, in order.
        finish: called once at the end, with the reason.
        changed: called after each input.
        clock: returns monotonic seconds.
        put_document: takes changes and checks of documents, in order; it may not feed an input.
    """

    def __init__(
        self,
        machine: Machine,
        wire: Wire,
        token: Token,
        put: Callable[[Deliver | Fill | CheckDigest], None],
        finish: Callable[[Failure | Exception | None], None],
        changed: Callable[[], None],
        clock: Callable[[], float],
        put_document: Callable[[DeliverDocument | CheckDocuments], None] = lambda _: None,
    ) -> None:
        self._machine = machine
        self._wire = wire
        self._token_source = token
        self._token: str | None = token if isinstance(token, str) else None
        self._put = put
        self._finish = finish
        self._changed = changed
        self._clock = clock
        self._put_document = put_document
        self._named: dict[str, asyncio.Task[None]] = {}
        self._tasks = BackgroundTasks()
        self._timer: asyncio.Handle | None = None
        self._timer_at = float("inf")

    def feed(self, signal: Input) -> None:
        """Pass an input to the machine and execute its commands."""
        for command in self._machine.handle(signal, self._clock()):
            self._do(command)
        self._set_timer()
        self._changed()

    def feed_soon(self, signal: Input) -> None:
        """Pass an input to the machine after the one that it is handling."""
        failed = partial(self._fail, "handling of an input")
        self._tasks.later("handling of an input", 0.0, partial(self.feed, signal), failed)

    async def stop(self) -> None:
        """Return once no task is left; call this after the machine has ended."""
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.stop()

    def _do(self, command: Command) -> None:
        match command:
            case StartSync():
                self._spawn("sync", self._sync(command))
            case OpenStream():
                self._spawn("stream", self._stream(command))
            case CancelSync():
                self._cancel("sync")
            case CloseStream():
                self._cancel("stream")
            case Finished():
                self._finish(command.cause)
            case DeliverDocument() | CheckDocuments():
                self._put_document(command)
            case _:
                self._put(command)

    def _set_timer(self) -> None:
        deadline = self._machine.deadline
        if deadline == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, deadline
        if deadline != float("inf"):
            delay = max(0.0, deadline - self._clock())
            self._timer = self._tasks.later(
                "timer", delay, self._tick, partial(self._fail, "timer")
            )

    def _tick(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        self.feed(Tick())

    def _spawn(self, name: str, work: Coroutine[None, None, None]) -> None:
        self._cancel(name)
        self._named[name] = self._tasks.once(name, work, partial(self._fail, name))

    def _cancel(self, name: str) -> None:
        task = self._named.pop(name, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _fail(self, name: str, error: Exception) -> None:
        """End the client on an unexpected error, which reaches the consumer."""
        cause = ClientError(f"the {name} failed: {error!r}")
        cause.__cause__ = error
        try:
            self.feed(GiveUp(cause))
        except Exception:
            # The machine itself fails.
            self._finish(cause)

    async def _sync(self, command: StartSync) -> None:
        try:
            token = await self.current_token(new=command.new_token)
        except UnauthorizedError as error:
            self.feed(GiveUp(error))
            return
        except Exception as error:
            failure = Failure("token", f"the token callback raised {error!r}", cause=error)
            self.feed(SyncFailed(command.generation, failure))
            return
        self.feed(await self._wire.sync(command, token))

    async def _stream(self, command: OpenStream) -> None:
        task = asyncio.current_task()
        async with aclosing(self._wire.stream(command)) as signals:
            async for signal in signals:
                self.feed(signal)
                if self._named.get("stream") is not task:
                    return  # the machine has closed it

    async def current_token(self, *, new: bool = False) -> str:
        """The access token; `new`: the last one was refused.

        Raises:
            Exception: whatever the program's function that gives it raises.
            ContractError: what it gives is no access token.
        """
        source = self._token_source
        if self._token is None or (new and not isinstance(source, str)):
            assert not isinstance(source, str)  # noqa: S101
            # A plain function may do blocking I/O, which must not block the streams.
            made = await asyncio.to_thread(source) if _is_plain(source) else source()
            self._token = check_token(await made if inspect.isawaitable(made) else made)
        return self._token


def _is_plain(function: Callable[[], object]) -> bool:
    method = getattr(type(function), "__call__", None)  # noqa: B004
    return not (inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(method))


def error_of(cause: Failure | Exception | None) -> Exception:
    """The error for the consumer at the end; None: the client was closed."""
    if isinstance(cause, Exception):
        return cause
    if cause is None:
        return ClosedError("the client is closed")
    if cause.kind == "unauthorized":
        return UnauthorizedError(cause.detail)
    return cause.cause or ClientError(cause.detail)
