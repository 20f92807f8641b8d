"""A complete breadth-first search of the machine: every state that it can reach is correct.

Inputs are all that the world could say at that point, answers to older generations included. Two
machines that differ only in numbers that decide nothing (generations, counters, the time itself)
are one state.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import EnumType
from io import BytesIO
from types import FunctionType
from typing import Final, get_args

import pytest
from msgspec import StructMeta

from client_sdk.contract.sync import Snapshot, SyncResponse
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    Acknowledged,
    CancelSync,
    CloseStream,
    Command,
    Deliver,
    Diverged,
    Failure,
    Input,
    OpenStream,
    Start,
    StartSync,
    State,
    StreamBye,
    StreamEnded,
    StreamEvent,
    StreamHeartbeat,
    StreamHello,
    StreamSyncRequired,
    SyncDone,
    SyncFailed,
    Tick,
)
from client_sdk.machine.sequencing import Reset
from client_sdk.settings import Settings
from tests.simulation.planted import AcceptsNextButOne, ConnectsWithoutSync
from tests.unit.client_sdk.samples import EPOCH, NOW, channel_sync, event, sync_response

CHANNEL: Final = "store:12"
MAX_FAILURES: Final = 3
"""More failures than this only wait longer."""
STEPS_TO_LIVE: Final = 30
SETTINGS: Final = Settings(stream_failures=2, max_pending=2)
ENDED: Final = (State.CLOSED, State.FAILED)


def highest(low: float, high: float) -> float:
    """Chance at its worst: every wait is as long as it may be."""
    return high


@dataclass
class Node:
    """A machine, and what the world knows of it."""

    machine: Machine
    now: float = 1000.0
    sync: int | None = None
    """The generation of the sync under way."""
    asked: int | None = None
    """The seq that it goes on from; None: it asks for a snapshot."""
    stream: int | None = None
    """The generation of the stream that is open."""
    greeted: bool = False
    synced: bool = False
    """Whether a sync was answered since the last stream was asked for."""
    last: int = 0
    """The seq of the last change that was delivered."""
    unacknowledged: int = 0
    path: tuple[str, ...] = field(default=())

    def take(self, signal: Input, after: float = 0.0) -> None:
        """Feed one input and hold what is said against the invariants."""
        self.now += after
        self.path = (*self.path, _name(signal))
        if isinstance(signal, SyncDone) and signal.generation == self.sync:
            self.synced = True
        if isinstance(signal, SyncDone | SyncFailed) and signal.generation == self.sync:
            self.sync = None
        if isinstance(signal, StreamHello) and signal.generation == self.stream:
            self.greeted = True
        if isinstance(signal, StreamBye | StreamEnded | StreamSyncRequired):
            self.stream = None
        if isinstance(signal, Acknowledged):
            self.unacknowledged -= signal.count
        for command in self.machine.handle(signal, self.now):
            self._obey(command)
        self._check()

    def _obey(self, command: Command) -> None:
        match command:
            case StartSync():
                assert self.sync is None, f"two syncs at once: {self.path}"
                self.sync, self.asked = command.generation, command.after.get(CHANNEL)
            case CancelSync():
                self.sync = None
            case OpenStream():
                assert self.stream is None, f"two streams at once: {self.path}"
                assert self.synced, f"connects without a sync: {self.path}"
                self.stream, self.greeted, self.synced = command.generation, False, False
            case CloseStream():
                self.stream = None
            case Deliver(change):
                seq = change.head if isinstance(change, Reset) else change.seq
                follows = isinstance(change, Reset) or seq == self.last + 1
                assert follows, f"{seq} on top of {self.last}: {self.path}"
                self.last = seq
                self.unacknowledged += 1
            case _:
                pass

    def _check(self) -> None:
        machine = self.machine
        if machine.state in ENDED:
            assert (self.sync, self.stream) == (None, None), f"it leaks: {self.path}"
            return
        assert machine.pending == self.unacknowledged, f"it miscounts: {self.path}"
        assert machine.pending <= SETTINGS.max_pending + 1, f"not bounded: {self.path}"
        waits = machine.paused and machine.pending > 0
        assert waits or machine.deadline < float("inf"), f"no way out: {self.path}"
        if machine.state is State.LIVE:
            assert self.stream is not None, f"live without a stream: {self.path}"
            assert self.greeted, f"live without a hello: {self.path}"


def _name(signal: Input) -> str:
    return type(signal).__name__


def _answer(node: Node, *, new: bool = False, stream: bool = True) -> SyncResponse:
    """What a sound Core would answer: the next event, or nothing new."""
    position = node.asked
    if position is None:
        snapshot = Snapshot(node.last, [])
        return sync_response(channel_sync(reset="first_sync", snapshot=snapshot, head=node.last))
    events = [event(position + 1)] if new else []
    answer = sync_response(channel_sync(events, head=position + len(events)))
    return answer if stream else replace_stream(answer)


def replace_stream(answer: SyncResponse) -> SyncResponse:
    """The same answer of a Core that has no event server to send anybody to."""
    return SyncResponse(
        **{name: getattr(answer, name) for name in answer.__struct_fields__ if name != "stream"},
        stream=None,
    )


def _watermark(node: Node) -> datetime:
    return NOW + timedelta(seconds=node.now)


def inputs(node: Node) -> list[tuple[Input, float]]:
    """All that the world could say now, each with the time that passes before."""
    found: list[tuple[Input, float]] = []
    if node.sync is not None:
        n = node.sync
        found += [(SyncDone(n, _answer(node)), 0.1), (SyncDone(n, _answer(node, new=True)), 0.1)]
        found += [(SyncDone(n, _answer(node, stream=False)), 0.1)]
        found += [(SyncFailed(n, Failure(k, k, 1.0)), 0.1) for k in ("unreachable", "busy")]
        found += [(SyncFailed(n, Failure("unauthorized", "old")), 0.1)]
    found.append((SyncDone((node.sync or 1) - 1, _answer(node, new=True)), 0.0))
    if node.stream is not None:
        n, position = node.stream, node.machine.positions[CHANNEL] or 0
        found += [(StreamHello(n, EPOCH, _watermark(node)), 0.1)]
        found += [(StreamHello(n, "another epoch", _watermark(node)), 0.1)]
        found += [
            (StreamEvent(n, event(seq)), 0.1) for seq in range(max(1, position), position + 3)
        ]
        found += [(StreamHeartbeat(n, _watermark(node)), 5.0), (StreamHeartbeat(n, NOW), 5.0)]
        found += [(StreamSyncRequired(n, CHANNEL, "ring"), 0.1)]
        found += [(StreamBye(n, "timeout", 100), 5.0), (StreamBye(n, "degraded", 100), 0.1)]
        found += [(StreamEnded(n, Failure(k, k, 1.0)), 0.1) for k in ("unreachable", "busy")]
        found += [(StreamEnded(n, Failure("ticket", "late")), 0.1)]
    if node.unacknowledged:
        found.append((Acknowledged(1), 0.1))
    found.append((Diverged(CHANNEL), 0.1))
    wait = node.machine.deadline - node.now
    if wait < float("inf"):
        found.append((Tick(), max(0.0, wait)))
    return found


def _key(node: Node) -> tuple[object, ...]:
    """What decides what happens next; times as what is left of them."""
    machine = node.machine
    client = machine._client
    sync, stream = client.sync, client.stream
    return (
        machine.state,
        machine.epoch == EPOCH,
        machine.positions[CHANNEL] is None,
        machine.pending,
        machine.paused,
        (sync.active, sync.fills, sync.new_token),
        (_left(sync.due_at, node), _left(sync.deadline, node)),
        (stream.open, stream.hello_at is None, stream.events > 0, _left(stream.deadline, node)),
        client.needs_token,
        (stream.via, client.choice.via, client.choice._at_once),
        min(client.stream_backoff.failures, MAX_FAILURES),
        min(client.sync_backoff.failures, MAX_FAILURES),
        node.synced,
        _left(client.probe_at, node),
    )


def _left(time: float, node: Node) -> int:
    """Seconds until then, in coarse steps: none, some, many or for ever."""
    left = time - node.now
    return 3 if left == float("inf") else 0 if left <= 0 else 1 if left <= 1 else 2


def _start(position: int | None, kind: type[Machine]) -> Node:
    epoch = EPOCH if position is not None else None
    node = Node(kind({CHANNEL: position}, epoch, SETTINGS, highest), last=position or 0)
    node.take(Start())
    return node


_UNCHANGING: Final = frozenset(
    {Settings, State, type, EnumType, StructMeta, FunctionType, Failure, *get_args(Command)}
)


class Writer(pickle.Pickler):
    """Pickles a node; what never changes is not in it but in `shared`."""

    def __init__(self, file: BytesIO, node: Node, shared: list[object]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._path = node.path
        self._shared = shared

    def persistent_id(self, part: object) -> int | None:
        # It is called for each number and each text, too.
        if type(part) not in _UNCHANGING and part is not self._path:
            return None
        self._shared.append(part)
        return len(self._shared) - 1


class Reader(pickle.Unpickler):
    """Reads what a `Writer` has written."""

    def __init__(self, data: bytes, shared: list[object]) -> None:
        super().__init__(BytesIO(data))
        # No method of ours: it is called thirty times for each machine.
        self.persistent_load = shared.__getitem__  # type: ignore[method-assign]


def _explore(*first: Node) -> Iterator[Node]:
    """All that these come to; a state that several come to is searched once.

    A node that was given out is not read again. So all of them are never in memory at once.
    """
    seen = {_key(node) for node in first}
    waiting = deque(first)
    while waiting:
        node = waiting.popleft()
        # A pickle is read many times faster than the machine is copied.
        file, shared = BytesIO(), list[object]()
        Writer(file, node, shared).dump(node)
        kept = file.getvalue()
        for signal, after in inputs(node):
            following: Node = Reader(kept, shared).load()
            following.take(signal, after)
            key = _key(following)
            if key not in seen:
                seen.add(key)
                waiting.append(following)
        yield node


def _goes_live(node: Node) -> bool:
    """Whether it comes to LIVE by itself once nothing fails any more."""
    for _ in range(STEPS_TO_LIVE):
        if node.machine.state is State.LIVE:
            return True
        if node.unacknowledged:
            node.take(Acknowledged(node.unacknowledged))
        elif node.sync is not None:
            node.take(SyncDone(node.sync, _answer(node)), 0.05)
        elif node.stream is not None and not node.greeted:
            node.take(StreamHello(node.stream, EPOCH, _watermark(node)), 0.05)
        else:
            node.take(Tick(), max(0.0, node.machine.deadline - node.now))
    return False


def test_every_state_within_reach_keeps_the_rules_and_leads_back_to_live() -> None:
    new, with_a_stored_cursor = _start(None, Machine), _start(0, Machine)
    states = set()
    for node in _explore(new, with_a_stored_cursor):
        states.add(node.machine.state)
        if node.machine.state is not State.FAILED:
            path = node.path
            assert _goes_live(node), f"never live again after {path}"
    assert states >= set(State) - {State.IDLE, State.CLOSED}


@pytest.mark.parametrize("broken", [ConnectsWithoutSync, AcceptsNextButOne])
def test_the_search_finds_a_broken_rule(broken: type[Machine]) -> None:
    with pytest.raises(AssertionError, match=r"without a sync|on top of"):
        for _ in _explore(_start(None, broken)):
            pass
