"""Follow orders over MQTT: every event once and in order, whatever broker and network do.

`marks.py` detects events that the broker has dropped.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Final, Literal, Self

import httpx
import msgspec

from client_sdk.buffered.client import BufferedClient
from client_sdk.buffered.messages import BufferedSettings, StartState
from client_sdk.checkpoint import Checkpoint
from client_sdk.client.cursor_stores import CursorStore, MemoryCursors
from client_sdk.client.receipts import ReceiptSender
from client_sdk.client.runner import Token
from client_sdk.contract.channel import parse_channel
from client_sdk.contract.cursor import format_cursor
from client_sdk.contract.sync import SyncResponse
from client_sdk.errors import (
    BufferedStartError,
    ClientError,
    ClosedError,
    ContractError,
    UnauthorizedError,
    UnreachableError,
)
from client_sdk.machine.backoff import longest_wait
from client_sdk.machine.messages import StartSync, SyncDone
from client_sdk.machine.sequencing import Change, Positions, Reset, changes_of
from client_sdk.mqtt.connection import MqttConnection
from client_sdk.mqtt.live_topics import LiveTopics
from client_sdk.mqtt.marks import BEHIND_S, SILENT_S, MarkWatch
from client_sdk.mqtt.topics import decode_mark, marks_topic, topic_of
from client_sdk.supervision import BackgroundTasks
from client_sdk.transport.http_bodies import check_token, no_cookies
from client_sdk.transport.http_transport import Transport

Mode = Literal["starting", "live", "polling", "closed"]
_LOOK_EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """The settings of the client; times in seconds."""

    start: BufferedSettings = field(default_factory=BufferedSettings)
    behind: float = BEHIND_S
    """How long a mark may be ahead of the received events before the client syncs."""
    silent: float = SILENT_S
    """After how long without a fresh mark the client polls."""
    poll: float = 3.0
    """How often the client syncs while it polls."""
    backoff_first: float = 0.5
    backoff_most: float = 15.0
    """The wait before a restart: doubled from the first to the longest, with jitter."""


class BufferedOrderClient:
    """Follows channels of orders over a program's MQTT connection.

    Args:
        core_url: Core's address.
        token: an access token that may follow the channels, or a function that returns one.
        channels: the channels to follow, `store:…` or `table:…`.
        connection: the program's connection to the broker; several clients may share it.
        cursors: the store of the cursor; default: in memory.
        settings: the settings of the client.
        warn: called with warnings for a person.
        transport: httpx's transport, for tests.
        clock: returns monotonic seconds.
        uniform: returns a random number between two others.

    Raises:
        ChannelError: a channel name is malformed, or carries no orders.
        ContractError: the token has characters that no token has.
    """

    def __init__(
        self,
        core_url: str,
        token: Token,
        channels: Sequence[str],
        connection: MqttConnection,
        *,
        cursors: CursorStore | None = None,
        settings: MqttSettings | None = None,
        warn: Callable[[str], None] = lambda _text: None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock = clock
        self._uniform = uniform
        self._parsed = [parse_channel(name) for name in channels]
        self._topics = {topic_of(channel): str(channel) for channel in self._parsed}
        self._marks = {marks_topic(channel.root): channel.root for channel in self._parsed}
        self._channels = list(self._topics.values())
        self._token_source = check_token(token) if isinstance(token, str) else token
        self._token: str | None = None
        self._connection = connection
        self._cursors = cursors or MemoryCursors()
        self._settings = settings or MqttSettings()
        self._warn = warn
        self._http = httpx.AsyncClient(base_url=core_url, transport=transport, cookies=no_cookies())
        self._core = Transport(self._http)
        self._epoch: str | None = None
        self._positions: dict[str, int] = {}
        self._fatal: ClientError | None = None
        self._closed = asyncio.Event()
        self._run: BufferedClient | None = None
        self._watch: MarkWatch | None = None
        self._taken_epoch: str | None = None
        self._receipts = ReceiptSender(self._say_received, told=warn)
        self.mode: Mode = "starting"
        """How the client receives its events now."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_raised: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Unsubscribe and stop; a change that is being handled stays unacknowledged."""
        self.mode = "closed"
        self._closed.set()
        if self._run is not None:
            self._run.give_up("the client is closed")
        await self._receipts.stop()
        await self._http.aclose()

    @property
    def checkpoint(self) -> Checkpoint | None:
        """What the consumer has acknowledged; None: nothing yet."""
        return None if self._epoch is None else Checkpoint(self._epoch, dict(self._positions))

    async def events(self) -> AsyncGenerator[Change, None]:
        """Every event once and in order, and a `Reset` when a channel restarts by a snapshot; ends
        when the client is closed. A change is acknowledged, and its cursor saved, when the next one
        is asked for; after a loop that was left early it is delivered again.

        Raises:
            UnauthorizedError: Core refuses the token, and a new one as well.
            CursorStoreError: the cursor cannot be read or saved.
            ClosedError: the client was closed before.
            ClientError: the client failed; the text says why.
        """
        if self._closed.is_set():
            raise ClosedError("the client is closed")
        stored = await self._cursors.load()
        if stored is not None:
            self._epoch, self._positions = stored.epoch, dict(stored.positions)
        failures = 0
        while not self._closed.is_set():
            began = self._clock()
            async with aclosing(self._live()) as changes:
                async for change in changes:
                    yield change
                    await self._acknowledge(change)
            if self._fatal is not None:
                raise self._fatal
            was_long = self._clock() - began > 2 * self._settings.backoff_most
            failures = 0 if was_long else failures + 1
            retry_at = self._clock() + self._pause(failures)
            while not self._closed.is_set() and (left := retry_at - self._clock()) > 0:
                # Until the broker is back, the client polls.
                async with aclosing(self._polled()) as changes:
                    async for change in changes:
                        yield change
                        await self._acknowledge(change)
                if self._fatal is not None:
                    raise self._fatal
                await self._sleep(min(left, self._settings.poll))

    # ── over the broker ──────────────────────────────────────────────────────

    async def _live(self) -> AsyncGenerator[Change, None]:
        """Run one buffered start, and yield its changes until the connection is lost."""
        live = LiveTopics(self._connection, [*self._topics, *self._marks], self._heard_mark)
        run = BufferedClient(
            live, self._fetch, self._wanted(), self._epoch, self._settings.start, self._warn,
            self._clock,
        )  # fmt: skip
        self._run, self._watch = run, None
        tasks = BackgroundTasks(self._warn)
        # If one of them fails, so has this start: the next one begins after the back-off.
        tasks.once("start", _started(run), run.fail)
        tasks.once("watch over the marks", self._watch_marks(run), run.fail)
        try:
            async with aclosing(run.changes()) as changes:
                async for change in changes:
                    self._taken_epoch = run.epoch
                    yield change
        except BufferedStartError as error:
            if not self._closed.is_set():
                self.mode = "polling"
                self._warn(f"started anew: {error}")
        finally:
            self._run = None
            await tasks.stop()
            await run.close()
            await live.close()

    def _heard_mark(self, topic: str, payload: bytes) -> None:
        store = self._marks.get(topic)
        if store is None or self._watch is None:
            return
        with suppress(msgspec.DecodeError):
            self._watch.mark(store, decode_mark(payload), self._clock())

    async def _watch_marks(self, run: BufferedClient) -> None:
        settings = self._settings
        watch = self._watch = MarkWatch(
            self._channels, self._clock(), settings.behind, settings.silent
        )
        polled_at, is_told = float("-inf"), False
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if run.machine.state is not StartState.READY:
                continue
            if not is_told and (applied := self.checkpoint) is not None:
                # Receipts could not be sent while there was no broker: send them now.
                self._receipts.applied(applied)
                is_told = True
            now = self._clock()
            due = watch.due(run.machine.positions.all, run.machine.epoch, now)
            self.mode = "polling" if watch.is_silent(now) else "live"
            if due == "sync" or (due == "poll" and now - polled_at >= settings.poll):
                polled_at = now
                watch.synced(now)
                run.refresh()

    # ── by Fetch Sync ────────────────────────────────────────────────────────

    async def _polled(self) -> AsyncGenerator[Change, None]:
        """The changes of one sync; none if Core does not answer."""
        while not self._closed.is_set():
            try:
                answer = await self._fetch(self._wanted(), self._epoch)
            except (ClientError, OSError) as error:
                self._warn(f"cannot poll: {error}")
                return
            positions = Positions(self._wanted())
            for channel in answer.channels:
                if channel.channel not in positions:
                    continue
                changes, sound = changes_of(positions, channel)
                for change in changes:
                    self._taken_epoch = answer.epoch
                    yield change
                if not sound:
                    return
            if not answer.has_more:
                return

    async def _fetch(self, after: Mapping[str, int | None], epoch: str | None) -> SyncResponse:
        detail = ""
        for is_second in (False, True):
            done = await self._core.sync(
                StartSync(0, after, epoch, 0.0), await self._access_token(anew=is_second)
            )
            if isinstance(done, SyncDone):
                return done.response
            detail = done.failure.detail
            if done.failure.kind != "unauthorized":
                raise UnreachableError(detail)
        self._fatal = UnauthorizedError(detail)
        raise self._fatal

    async def _access_token(self, *, anew: bool) -> str:
        if self._token is None or anew:
            source = self._token_source
            found = source if isinstance(source, str) else source()
            made = await found if inspect.isawaitable(found) else found
            try:
                self._token = check_token(made)
            except ContractError as error:
                raise UnreachableError(str(error)) from error
        return self._token

    # ── what the consumer has ────────────────────────────────────────────────

    def _wanted(self) -> dict[str, int | None]:
        return {channel: self._positions.get(channel) for channel in self._channels}

    async def _acknowledge(self, change: Change) -> None:
        epoch = self._taken_epoch or self._epoch
        if epoch is None:
            raise ClientError("a change came without an epoch")
        if epoch != self._epoch:
            # Seqs of another epoch have no meaning in this one.
            self._epoch, self._positions = epoch, {}
        self._positions[change.channel] = change.head if isinstance(change, Reset) else change.seq
        applied = Checkpoint(epoch, dict(self._positions))
        await self._cursors.save(applied)
        self._receipts.applied(applied)

    async def _say_received(self, applied: Checkpoint) -> bool:
        return await self._connection.say(
            "received", {"type": "received", "cursor": format_cursor(applied.positions)}
        )

    def _pause(self, failures: int) -> float:
        settings = self._settings
        most = longest_wait(failures + 1, settings.backoff_first, settings.backoff_most)
        return self._uniform(most / 2, most)

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()


async def _started(run: BufferedClient) -> None:
    await run.start()
