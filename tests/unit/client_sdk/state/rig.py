"""A replica with its store and a Core, driven by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from client_sdk.contract.problem import Problem
from client_sdk.contract.state.edit import EditOutcome, decode_outcome
from client_sdk.contract.state.operations import (
    Add,
    Delete,
    Merge,
    Operation,
    Patch,
    Set,
)
from client_sdk.contract.state.values import Value
from client_sdk.shared_state.yabam_client import _queue_of
from client_sdk.state.effects import View
from client_sdk.state.entries import Wish
from client_sdk.state.orders.commands import decode_command
from client_sdk.state.records import OpenConflict
from client_sdk.state.replica import Replica
from client_sdk.state.requests import Request
from client_sdk.state.store import MemoryState
from client_sdk.state.view import Calls
from tests.unit.client_sdk.state.core_model import NOW, CoreModel

CHANNEL = "party:12/5"
Answer = tuple[Request, int, dict[str, Any]]


class Rig:
    """One client of the model."""

    def __init__(
        self,
        core: CoreModel,
        name: str = "a",
        channels: Iterable[str] = (CHANNEL,),
        calls: Mapping[str, Calls] | None = None,
        resolved: Iterable[str] = (),
    ) -> None:
        self.core, self.name, self.channels = core, name, list(channels)
        self._calls, self._resolved = calls, tuple(resolved)
        self.store = MemoryState()
        self.outcomes: dict[int, EditOutcome] = {}
        self.conflicts: list[OpenConflict] = []
        self._ids = 0
        self.seqs: dict[str, int | None] = {}
        self.replica = self._opened()

    def _new_client(self) -> str:
        self._ids += 1
        return f"{self.name}{self._ids}"

    def _opened(self) -> Replica:
        stored = self.store.open(self.name)
        kept: dict[str, list[Any]] = {channel: [] for channel in self.channels}
        for document in stored.documents:
            kept[document.channel].append(document)
        self.seqs = dict.fromkeys(self.channels)
        self.log: str | None = None
        commands = [decode_command(body) for body in stored.commands]
        queue = _queue_of(stored, self._new_client, commands)
        return Replica(queue, kept, stored.waiting, self._calls, self._resolved)

    def keep(self) -> None:
        """Write what must be stored, and record the outcomes."""
        effects = self.replica.drain()
        self.store.write(effects.writes)
        self.outcomes |= dict(effects.outcomes)
        self.conflicts += effects.conflicts

    def crash(self) -> None:
        """Crash, and start from what was stored."""
        self.replica = self._opened()

    # ── edits ────────────────────────────────────────────────────────────────

    def edit(self, *wishes: Wish, atomic: bool = False, decides: int | None = None) -> list[int]:
        """Make edits. Returns their ids."""
        while True:
            writes = self.replica.prepare(wishes, NOW, atomic=atomic, decides=decides)
            self.store.write(writes)
            ids = self.replica.accept()
            if ids is not None:
                self.keep()
                return ids

    def do(self, key: str, operation: Operation) -> int:
        """Make one edit. Returns its id."""
        return self.edit(Wish(CHANNEL, key, operation))[0]

    def set(self, key: str, value: Value) -> int:
        return self.do(key, Set(value))

    def merge(self, key: str, patch: Value) -> int:
        return self.do(key, Merge(patch))

    def patch(self, key: str, *operations: dict[str, Any]) -> int:
        return self.do(key, Patch(list(operations)))

    def add(self, key: str, **numbers: int) -> int:
        return self.do(key, Add({f"/{name}": number for name, number in numbers.items()}))

    def delete(self, key: str) -> int:
        return self.do(key, Delete())

    def ask(self) -> Answer | None:
        """Send the next request. Returns Core's answer, which the client has not received yet."""
        self.keep()
        request = self.replica.queue.request()
        return None if request is None else (request, *self.core.post(request.body))

    def hear(self, answer: Answer) -> None:
        """Receive an answer."""
        request, status, body = answer
        if status == 200:
            outcomes = [decode_outcome(msgspec.json.encode(one)) for one in body["outcomes"]]
            self.replica.answered(request, outcomes)
        else:
            problem = msgspec.convert(body, Problem)
            match problem.slug:
                case "edit-gap":
                    self.replica.queue.gap(request)
                case "edit-mismatch":
                    self.replica.mismatched(request)
                case "client-taken":
                    self.replica.taken(request)
        self.keep()

    def inquire(self) -> None:
        """Ask up to where Core has settled the edits, if the client needs to ask."""
        client = self.replica.queue.question
        if client is not None:
            self.replica.told(client, self.core.settled(client), self.core.epoch)
            self.keep()

    def send(self) -> None:
        """Send requests and receive the answers until nothing is left."""
        for _ in range(1000):
            self.inquire()
            answer = self.ask()
            if answer is not None:
                self.hear(answer)
            elif self.replica.queue.question is None:
                return
        raise AssertionError("the queue does not come to an end")

    # ── the log ──────────────────────────────────────────────────────────────

    def sync(self, channel: str = CHANNEL) -> None:
        """Take all news: events, or a snapshot."""
        if self.seqs[channel] is None:
            self.begin(channel, "first_sync")
        elif self.log != self.core.epoch:
            self.begin(channel, "epoch")
        while self.next_event(channel):
            pass
        self.load()

    def begin(self, channel: str = CHANNEL, reason: str = "first_sync") -> None:
        """Take a snapshot."""
        reset = self.core.snapshot(channel, reason)
        self.replica.take(reset, self.core.epoch)
        self.seqs[channel], self.log = reset.head, self.core.epoch
        self.keep()

    def next_event(self, channel: str = CHANNEL) -> bool:
        """Take one event. Returns False if there is none."""
        seq = self.seqs[channel]
        if seq is None or seq >= self.core.head(channel):
            return False
        self.replica.take(self.core.event(channel, seq + 1), self.core.epoch)
        self.seqs[channel] = seq + 1
        self.keep()
        return True

    def load(self) -> None:
        """Fetch the documents that the replica needs."""
        for channel, documents in self.replica.channels.items():
            for _ in range(10):
                for key, version in list(documents.wanted.items()):
                    found = self.core.document(channel, key, version)
                    if found is None:
                        self.replica.missing((channel, key), version)
                    else:
                        self.replica.fetched(found)
            assert not documents.wanted
        self.keep()

    def view(self, key: str, channel: str = CHANNEL) -> View:
        """The document as it is shown."""
        return self.replica.view((channel, key))

    def value(self, key: str, channel: str = CHANNEL) -> Value | None:
        """The value as it is shown."""
        return self.view(key, channel).value
