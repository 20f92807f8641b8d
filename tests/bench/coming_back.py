"""How soon clients are live again after their event server was down, only by their own waits.

    python -m tests.bench.coming_back [--clients 1500] [--gone 2 5 7 10 20 40]

It simulates, in virtual time, the SDK's machine, servers that answer at once, and a cut of all
connections 50 s before the server stops, as in `make load-test FAULTS=cut-all,kill-events`. Its
figures are the same on every computer.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from client_sdk.contract.sync import Snapshot
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    Command,
    Failure,
    Input,
    OpenStream,
    Start,
    StartSync,
    State,
    StreamEnded,
    StreamHeartbeat,
    StreamHello,
    SyncDone,
    Tick,
)
from client_sdk.settings import Settings
from tests.unit.client_sdk.samples import EPOCH, NOW, channel_sync, sync_response

_CHANNEL: Final = "store:12"
_CUT, _KILL = 20.0, 70.0
_SYNC_S, _REFUSAL_S, _HELLO_S, _HEARTBEAT_S = 0.02, 0.002, 0.01, 5.0


@dataclass(slots=True)
class Client:
    """One client and its servers."""

    machine: Machine
    back: float
    """When the server runs again."""
    now: float = 0.0
    stream: int = 0
    syncs: int = 0
    """Syncs since the server stopped."""
    streams: int = 0
    _due: list[tuple[float, int, Input | None]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def live_again(self) -> float:
        """Seconds from the server's return until it is live."""
        self._put(0.0, Start())
        self._put(_CUT, None)
        self._put(_KILL, None)
        while not (self.now > self.back and self.machine.state is State.LIVE):
            signal = self._next()
            for command in self.machine.handle(signal, self.now):
                self._do(command)
        return self.now - self.back

    def _put(self, at: float, signal: Input | None) -> None:
        heapq.heappush(self._due, (at, next(self._numbers), signal))

    def _next(self) -> Input:
        deadline = self.machine.deadline
        if not self._due or deadline < self._due[0][0]:
            self.now = max(self.now, deadline)
            return Tick()
        self.now, _, signal = heapq.heappop(self._due)
        if isinstance(signal, StreamHeartbeat) and signal.generation == self.stream:
            self._beat()
        return signal or StreamEnded(self.stream, Failure("unreachable", "cut"))

    def _beat(self) -> None:
        at = self.now + _HEARTBEAT_S
        if not self.now < _KILL <= at:
            self._put(at, StreamHeartbeat(self.stream, NOW + timedelta(seconds=at)))

    def _do(self, command: Command) -> None:
        if isinstance(command, StartSync):
            self.syncs += self.now >= _KILL
            first = channel_sync(reset="first_sync", snapshot=Snapshot(0, []))
            answer = first if self.now == 0.0 else channel_sync()
            self._put(self.now + _SYNC_S, SyncDone(command.generation, sync_response(answer)))
        elif isinstance(command, OpenStream):
            self.streams += self.now >= _KILL
            self.stream = command.generation
            if _KILL <= self.now < self.back:
                refused = StreamEnded(self.stream, Failure("unreachable", "refused"))
                self._put(self.now + _REFUSAL_S, refused)
            else:
                watermark = NOW + timedelta(seconds=self.now)
                self._put(self.now + _HELLO_S, StreamHello(self.stream, EPOCH, watermark))
                self._beat()


def main() -> None:
    """Print a row for each length of the server's outage."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.coming_back", description=__doc__)
    parser.add_argument("--clients", type=int, default=1500)
    parser.add_argument("--gone", type=float, nargs="+", default=[2, 5, 7, 10, 20, 40])
    options = parser.parse_args()
    chance = random.Random(1)
    print("| gone, s | p50, s | p90, s | p99, s | all, s | syncs | streams tried |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for gone in options.gone:
        clients = [
            Client(Machine({_CHANNEL: 0}, EPOCH, Settings(), chance.uniform), _KILL + gone)
            for _ in range(options.clients)
        ]
        waits = sorted(client.live_again() for client in clients)
        cells = [f"{waits[round((len(waits) - 1) * p)]:.1f}" for p in (0.5, 0.9, 0.99, 1.0)]
        syncs = sum(client.syncs for client in clients) / len(clients)
        streams = sum(client.streams for client in clients) / len(clients)
        print(f"| {gone:g} | {' | '.join(cells)} | {syncs:.1f} | {streams:.1f} |")


if __name__ == "__main__":
    main()
