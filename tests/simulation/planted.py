"""Planted bugs: each removes one protection, and the simulation must find it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from client_sdk.contract.order import OrderEvent
from client_sdk.contract.state.document import DocumentEvent
from client_sdk.contract.sync import SyncResponse
from client_sdk.machine.actions import Actions
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    Command,
    Input,
    OpenStream,
    State,
    StreamHeartbeat,
    StreamHello,
)
from client_sdk.machine.sequencing import Positions, Verdict
from client_sdk.machine.sync_state import SyncState
from client_sdk.machine.tracks import NEVER
from client_sdk.settings import Settings
from event_server.replay.hub import Hub
from tests.simulation.client import Parts
from tests.simulation.servers import ModelServer

FOR_EVER_S: Final = 1e9
Uniform = Callable[[float, float], float]
Starts = Mapping[str, int | None]


class _ActionsWithoutSync(Actions):
    _last: OpenStream | None = None

    def open_stream(self, response: SyncResponse, now: float) -> None:
        super().open_stream(response, now)
        self._last = next((c for c in self.out if isinstance(c, OpenStream)), self._last)

    def go_sync(self, now: float, after_s: float) -> None:
        if self._last is None or self.state is not State.LIVE:
            super().go_sync(now, after_s)
            return
        self.stream.begin(now, self.settings.connect_timeout, self.choice.via)
        self.state = State.CONNECTING
        self.out.append(
            OpenStream(
                self.stream.generation,
                self._last.url,
                self._last.ticket,
                self.positions.known,
                self.stream.via,
            )
        )


class ConnectsWithoutSync(Machine):
    """Reconnects without a sync, with the ticket that it still has."""

    def __init__(
        self, positions: Starts, epoch: str | None, settings: Settings, uniform: Uniform
    ) -> None:
        super().__init__(positions, epoch, settings, uniform)
        self._client = _ActionsWithoutSync(positions, epoch, settings, uniform)


class _LoosePositions(Positions):
    def judge(self, event: OrderEvent | DocumentEvent) -> Verdict:
        verdict = super().judge(event)
        position = self[event.channel]
        is_next_but_one = position is not None and event.seq == position + 2
        return Verdict.APPLY if is_next_but_one else verdict


class AcceptsNextButOne(Machine):
    """Accepts the event n+2 after n."""

    def __init__(
        self, positions: Starts, epoch: str | None, settings: Settings, uniform: Uniform
    ) -> None:
        super().__init__(positions, epoch, settings, uniform)
        self._client.sync_state.positions = _LoosePositions(positions)


class _IntakeByOrder(SyncState):
    def __init__(self, positions: Starts, epoch: str | None) -> None:
        super().__init__(positions, epoch)
        self._seen: set[tuple[str, str]] = set()

    def take_event(self, event: OrderEvent | DocumentEvent) -> Verdict:
        verdict = super().take_event(event)
        key = (event.channel, event.data.id if isinstance(event, OrderEvent) else event.key)
        if verdict is Verdict.APPLY and key in self._seen:
            return Verdict.DUPLICATE
        self._seen.add(key)
        return verdict


class DeduplicatesByOrder(Machine):
    """Treats a second event of the same order as a duplicate of the first."""

    def __init__(
        self, positions: Starts, epoch: str | None, settings: Settings, uniform: Uniform
    ) -> None:
        super().__init__(positions, epoch, settings, uniform)
        self._client.sync_state = _IntakeByOrder(positions, epoch)


class IgnoresWatermark(Machine):
    """Trusts a stream as long as its connection is open, even if the watermark stands still."""

    def handle(self, signal: Input, now: float) -> list[Command]:
        commands = super().handle(signal, now)
        stream = self._client.stream
        if isinstance(signal, StreamHello | StreamHeartbeat) and stream.hello_at is not None:
            stream.deadline = now + FOR_EVER_S
        return commands


class _ActionsThatStopPolling(Actions):
    def polled(self, response: SyncResponse, news: bool, now: float) -> None:
        super().polled(response, news, now)
        if self.stream.open:
            self.sync.due_at = NEVER


class StopsPollingFirst(Machine):
    """Stops polling as soon as it tries a stream, before the stream has proven itself."""

    def __init__(
        self, positions: Starts, epoch: str | None, settings: Settings, uniform: Uniform
    ) -> None:
        super().__init__(positions, epoch, settings, uniform)
        self._client = _ActionsThatStopPolling(positions, epoch, settings, uniform)


class _HubWithoutRingCheck(Hub):
    def _refusal(
        self, positions: Mapping[str, int], synced: Mapping[str, int], issued_at: float, epoch: str
    ) -> None:
        return None


class ForgetsTheRingCheck(ModelServer):
    """Accepts every client, even if its rings lack events that the client needs."""

    hub_class = _HubWithoutRingCheck


PLANTED: Final[Mapping[str, Parts]] = {
    "drop the sync before connect": Parts(machine=ConnectsWithoutSync),
    "accept n+2": Parts(machine=AcceptsNextButOne),
    "dedupe by order id": Parts(machine=DeduplicatesByOrder),
    "save the cursor before the effect": Parts(cursor_before_effect=True),
    "forget the ring check": Parts(server=ForgetsTheRingCheck),
    "ignore the watermark": Parts(machine=IgnoresWatermark),
    "acknowledge before the handler": Parts(acknowledge_before_handler=True),
    "stop polling before the stream has proven itself": Parts(machine=StopsPollingFirst),
}
