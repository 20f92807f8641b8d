"""The buffered start, sans-I/O: for transports that push but cannot replay.

    IDLE → CONNECTING → SUBSCRIBING → BUFFERING → FETCHING → OVERLAP_WAIT → MERGING → READY
    any but READY → ERROR, when a step fails or takes too long

It subscribes first and buffers the pushed events. Then it fetches, waits for the overlap window (so
that changes committed during the fetch have been pushed), and merges by the same rule as the
machine: seq n+1 after n. If the buffer dropped a message, or there is a gap, it syncs again, so
nothing is lost. Once READY it continues by the same rule.

Changes for a slow consumer do not pile up: with `max_pending` unhandled changes it discards new
messages, and once half are handled it syncs again to get them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from client_sdk.buffered.messages import (
    BufferedSettings,
    Connect,
    Fetch,
    Hand,
    PushedEvent,
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
from client_sdk.machine.sequencing import Change, Positions, Reset, Verdict, changes_of

_NEVER: Final = float("inf")
MAX_FETCHES: Final = 10
"""How many syncs in a row may fail to close the gap before the start fails."""


class BufferedStart:
    """One buffered start. Each method takes an input and its time `now` and returns commands.

    Args:
        channels: the channels to follow, each from its seq on; None: from a snapshot on.
        epoch: the epoch of those seqs.
        settings: time limits and sizes.
    """

    def __init__(
        self,
        channels: Mapping[str, int | None],
        epoch: str | None = None,
        settings: BufferedSettings | None = None,
    ) -> None:
        self._given = dict(channels), epoch
        self._observers: list[Callable[[StartState], None]] = []
        self.settings = settings or BufferedSettings()
        self.reset()

    def reset(self) -> None:
        """Go back to IDLE and the initial positions; observers stay."""
        channels, self.epoch = self._given
        self.state = StartState.IDLE
        self.positions = Positions(channels)
        self.deadline = _NEVER
        """The time at which to call `tick`; infinity: never."""
        self._buffer: deque[tuple[float, OrderEvent]] = deque()
        self._dropped = False
        self._behind = False
        self._pending = 0
        self._fetches = 0
        self._began_at = 0.0
        self._orders = self._processed = self._duplicates = 0

    def reconfigure(self, settings: BufferedSettings) -> None:
        """Use other settings.

        Raises:
            BufferedStartError: a start is under way.
        """
        if self.state not in (StartState.IDLE, StartState.READY, StartState.ERROR):
            raise BufferedStartError("reconfigure it before it starts or after it is done")
        self.settings = settings

    def observe(self, observer: Callable[[StartState], None]) -> Callable[[], None]:
        """Call `observer` with each new state. Returns the unsubscriber."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def start(self, now: float) -> list[StartCommand]:
        """Begin.

        Raises:
            BufferedStartError: it was already started.
        """
        if self.state is not StartState.IDLE:
            raise BufferedStartError("it has already started: reset it first")
        self._began_at = now
        self._enter(StartState.CONNECTING, now + self.settings.subscribe_timeout)
        return [Connect()]

    def connected(self, now: float) -> list[StartCommand]:
        """The transport is connected."""
        if self.state is not StartState.CONNECTING:
            return []
        self._enter(StartState.SUBSCRIBING, now + self.settings.subscribe_timeout)
        return [Subscribe(list(self.positions.all))]

    def subscribed(self, now: float) -> list[StartCommand]:
        """Events pushed from now on arrive: buffer them, and fetch the earlier ones."""
        if self.state is not StartState.SUBSCRIBING:
            return []
        self._enter(StartState.BUFFERING, _NEVER)
        return self._fetch(now)

    def message(self, event: OrderEvent, now: float) -> list[StartCommand]:
        """An event was pushed."""
        if event.channel not in self.positions or self.state in (StartState.IDLE, StartState.ERROR):
            return []
        if self.state is not StartState.READY:
            return self._keep(event, now)
        if self._behind or self._full:
            return self._fall_behind()
        verdict = self._judge(event)
        if verdict is Verdict.APPLY:
            return [self._hand(event)]
        if verdict is Verdict.DUPLICATE:
            self._duplicates += 1
            return []
        self._fetches = 0
        return [*self._keep(event, now), *self._fetch(now)]

    def fetched(self, response: SyncResponse, now: float) -> list[StartCommand]:
        """The sync was answered."""
        if self.state is not StartState.FETCHING:
            return []
        commands: list[StartCommand] = []
        self.epoch = response.epoch
        known = self.positions.known
        for answer in response.channels:
            if answer.channel not in self.positions:
                continue
            changes, sound = changes_of(self.positions, answer)
            if not sound:
                return [*commands, *self._fail("the answer of Fetch Sync leaves a gap", now)]
            commands += [self._hand(change) for change in changes]
            self._orders += sum(
                len(change.orders) if isinstance(change, Reset) else 1 for change in changes
            )
        if response.has_more:
            if self._goes_on(known, commands):
                self._fetches -= 1  # another page is progress, not another try
            return [*commands, *self._fetch(now)]
        self._enter(StartState.OVERLAP_WAIT, now + self.settings.overlap_window)
        return commands

    def failed(self, error: str, now: float) -> list[StartCommand]:
        """The current step failed, or the connection is lost."""
        return self._fail(error, now)

    def tick(self, now: float) -> list[StartCommand]:
        """The deadline has passed."""
        if now < self.deadline:
            return []
        if self.state is StartState.OVERLAP_WAIT:
            return self._merge(now)
        return self._fail(f"{self.state.value} took too long", now)

    def handled(self, count: int, now: float) -> list[StartCommand]:
        """Note that the consumer has handled so many changes."""
        self._pending = max(0, self._pending - count)
        if not self._behind or self._pending > self.settings.max_pending // 2:
            return []
        self._behind = False
        self._fetches = 0
        return self._fetch(now) if self.state is StartState.READY else []

    def refresh(self, now: float) -> list[StartCommand]:
        """An event was or may have been missed: sync, unless a sync is running."""
        if self.state is not StartState.READY or self._behind:
            return []
        self._fetches = 0
        return self._fetch(now)

    def _judge(self, event: OrderEvent) -> Verdict:
        epoch = event.epoch if isinstance(event, PushedEvent) else self.epoch
        if epoch == self.epoch or epoch is None or self.epoch is None:
            return self.positions.take(event)
        # Epochs sort by their start: an older one has ended, and a newer one needs a sync.
        return Verdict.DUPLICATE if epoch < self.epoch else Verdict.GAP

    @property
    def _full(self) -> bool:
        return self._pending >= self.settings.max_pending

    def _hand(self, change: Change) -> Hand:
        self._pending += 1
        return Hand(change, self.epoch)

    def _fall_behind(self) -> list[StartCommand]:
        if self._behind:
            return []
        self._behind = True
        return [Warn("the consumer does not keep up: a fresh sync will bring what comes meanwhile")]

    @staticmethod
    def _goes_on(known: Mapping[str, int], commands: Sequence[StartCommand]) -> bool:
        """Whether an answer had more than a reset to the known position."""
        changes = [command.change for command in commands if isinstance(command, Hand)]
        return any(not isinstance(c, Reset) or c.channel not in known for c in changes)

    def _keep(self, event: OrderEvent, now: float) -> list[StartCommand]:
        commands: list[StartCommand] = []
        oldest = now - self.settings.buffer_lifetime
        while self._buffer and (
            len(self._buffer) >= self.settings.buffer_size or self._buffer[0][0] < oldest
        ):
            _, gone = self._buffer.popleft()
            self._dropped = True
            commands.append(Warn(f"the buffer dropped {gone.id}: a fresh sync will bring it"))
        self._buffer.append((now, event))
        return commands

    def _fetch(self, now: float) -> list[StartCommand]:
        if self._full:
            # Programs that wait for the start do not handle changes before it is done.
            commands = self._fall_behind()
            self._buffer.clear()
            self._enter(StartState.READY, _NEVER)
            return [*commands, StartDone(self._result(None, now))]
        self._fetches += 1
        if self._fetches > MAX_FETCHES:
            return self._fail(f"{MAX_FETCHES} syncs did not close the gap", now)
        self._dropped = False
        self._enter(StartState.FETCHING, now + self.settings.fetch_timeout)
        return [Fetch(self.positions.all, self.epoch)]

    def _merge(self, now: float) -> list[StartCommand]:
        self._enter(StartState.MERGING, _NEVER)
        commands: list[StartCommand] = []
        while self._buffer:
            _, event = self._buffer[0]
            verdict = self._judge(event)
            if verdict is Verdict.GAP:
                # The missing event was dropped here or was never pushed; the rest stays buffered.
                return [*commands, *self._fetch(now)]
            self._buffer.popleft()
            if verdict is Verdict.DUPLICATE:
                self._duplicates += 1
            else:
                self._processed += 1
                commands.append(self._hand(event))
        if self._dropped:
            return [*commands, *self._fetch(now)]
        self._enter(StartState.READY, _NEVER)
        return [*commands, StartDone(self._result(None, now))]

    def _fail(self, error: str, now: float) -> list[StartCommand]:
        if self.state in (StartState.IDLE, StartState.ERROR):
            return []
        self._enter(StartState.ERROR, _NEVER)
        return [StartDone(self._result(error, now))]

    def _result(self, error: str | None, now: float) -> StartResult:
        return StartResult(
            success=error is None,
            state=self.state,
            orders_loaded=self._orders,
            buffered_processed=self._processed,
            duplicates_removed=self._duplicates,
            total_time=now - self._began_at,
            error=error,
        )

    def _enter(self, state: StartState, deadline: float) -> None:
        self.deadline = deadline
        self.state = state
        for observer in tuple(self._observers):
            observer(state)
