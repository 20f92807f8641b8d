"""Planted bugs: parts with one protection taken out, each of which the simulation must find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from client_sdk.contract.order import OrderEvent
from client_sdk.contract.sync import SyncResponse
from client_sdk.machine.attempts import NEVER
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    OpenStream,
    State,
    StreamHeartbeat,
    StreamHello,
)
from client_sdk.machine.sequencing import Positions, Verdict
from client_sdk.machine.sync_state import Intake
from client_sdk.settings import Settings
from event_server.replay.audience import Claim
from event_server.replay.hub import Hub
from tests.simulation.client import Parts
from tests.simulation.servers import ModelServer

FOR_EVER_S: Final = 1e9
Uniform = Callable[[float, float], float]
Starts = Mapping[str, int | None]


class ConnectsWithoutSync(Machine):
    """Goes back to the stream with the ticket that it still has."""

    _last: OpenStream | None = None

    def _open_stream(self, response: SyncResponse, now: float) -> None:
        super()._open_stream(response, now)
        self._last = next((c for c in self._out if isinstance(c, OpenStream)), self._last)

    def _go_sync(self, now: float, after_s: float) -> None:
        if self._last is None or self.state is not State.LIVE:
            super()._go_sync(now, after_s)
            return
        self._stream.begin(now, self._settings.connect_timeout)
        self.state = State.CONNECTING
        self._out.append(
            OpenStream(
                self._stream.generation, self._last.url, self._last.ticket, self.positions.known
            )
        )


class _LoosePositions(Positions):
    def judge(self, event: OrderEvent) -> Verdict:
        verdict = super().judge(event)
        position = self[event.channel]
        is_next_but_one = position is not None and event.seq == position + 2
        return Verdict.APPLY if is_next_but_one else verdict


class AcceptsNextButOne(Machine):
    """Takes n+2 on top of n."""

    def __init__(
        self, positions: Starts, epoch: str | None, settings: Settings, uniform: Uniform
    ) -> None:
        super().__init__(positions, epoch, settings, uniform)
        self._intake.positions = _LoosePositions(positions)


class _IntakeByOrder(Intake):
    def __init__(self, positions: Starts, epoch: str | None) -> None:
        super().__init__(positions, epoch)
        self._seen: set[tuple[str, str]] = set()

    def take_event(self, event: OrderEvent) -> Verdict:
        verdict = super().take_event(event)
        key = (event.channel, event.data.id)
        if verdict is Verdict.APPLY and key in self._seen:
            return Verdict.DUPLICATE
        self._seen.add(key)
        return verdict


class DeduplicatesByOrder(Machine):
    """Takes a second event of the same order for the first one again."""

    def __init__(
        self, positions: Starts, epoch: str | None, settings: Settings, uniform: Uniform
    ) -> None:
        super().__init__(positions, epoch, settings, uniform)
        self._intake = _IntakeByOrder(positions, epoch)


class IgnoresWatermark(Machine):
    """Believes a stream for as long as the connection stands."""

    def _hello(self, signal: StreamHello, now: float) -> None:
        super()._hello(signal, now)
        if self._stream.hello_at is not None:
            self._stream.deadline = now + FOR_EVER_S

    def _heartbeat(self, signal: StreamHeartbeat, now: float) -> None:
        super()._heartbeat(signal, now)
        if self._stream.hello_at is not None:
            self._stream.deadline = now + FOR_EVER_S


class StopsPollingFirst(Machine):
    """Stops polling as soon as a stream is tried, like others do."""

    def _polled(self, response: SyncResponse, news: bool, now: float) -> None:
        super()._polled(response, news, now)
        if self._stream.open:
            self._sync.due_at = NEVER


class _HubWithoutRingCheck(Hub):
    def _refusal(self, claims: Mapping[str, Claim], issued_at: float, epoch: str) -> None:
        return None


class ForgetsTheRingCheck(ModelServer):
    """Lets everybody attach, whatever its rings hold."""

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
