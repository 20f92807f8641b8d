"""Runs cases of the shared state with the Python replica: what it shows, stores and sends.

A case follows `channels` and shows `documents`. Its steps are the inputs of a replica: `edit`,
`prepare` and `accept`, `send`, the answers (`answer`, `failed`, `gap`, `mismatched`, `taken`,
`unacceptable`, each to the n-th request), `told`, `take`, `fetched`, `missing`, `agrees`, `decide`,
and `restart`, which begins anew with what was stored, and follows the channels that it names.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from client_sdk.contract.errors import StateError
from client_sdk.contract.problem import Problem
from client_sdk.contract.state.document import Document, decode_document, decode_document_event
from client_sdk.contract.state.edit import EditOutcome, decode_outcome
from client_sdk.contract.state.operations import decode_operation
from client_sdk.contract.state.values import Value
from client_sdk.machine.sequencing import DocumentReset
from client_sdk.shared_state.yabam_client import _queue_of
from client_sdk.state.effects import View
from client_sdk.state.entries import Wish
from client_sdk.state.records import EntryRow, OpenConflict
from client_sdk.state.replica import Replica
from client_sdk.state.requests import Request
from client_sdk.state.store import MemoryState
from client_sdk.state.view import CallFunction
from tests.conformance.cases import Json

REFUSED: Final = "refused"


def _ring(current: Value | None, arguments: Any) -> Value:
    if arguments["times"] < 1:
        raise ValueError("a bell rings at least once")
    return {**(current or {}), "rung": (current or {}).get("rung", 0) + arguments["times"]}


CALLS: Final[dict[str, dict[str, CallFunction]]] = {"bell": {"ring": _ring}}
"""The operator's functions that both clients have."""


class StateSubject:
    """One Python replica with its store; inputs and results are JSON."""

    def __init__(self, case: Json) -> None:
        self._case = case
        self._channels: list[str] = case["channels"]
        self._ids = 0
        self._store = MemoryState()
        self.requests: list[Request] = []
        self.replica = self._opened()

    def step(self, step: Json) -> Json:
        """Handle one step. Returns its result."""
        (kind,) = step.keys() - {"epoch", "made_at", "atomic", "decides"}
        try:
            result = self._inputs()[kind](step[kind], step)
        except StateError:
            result = REFUSED
        effects = self.replica.drain()
        self._store.write(effects.writes)
        queue = self.replica.queue
        return {
            "result": result,
            "changed": sorted(" ".join(name) for name in effects.changed),
            "outcomes": [
                [place, one.outcome]
                for place, one in sorted(effects.outcomes, key=lambda told: told[0])
            ],
            "conflicts": [one.id for one in effects.conflicts],
            "views": [
                _view(self.replica.view((channel, key)))
                for channel, key in self._case["documents"]
                if channel in self._channels
            ],
            "wanted": {
                channel: dict(documents.wanted)
                for channel, documents in self.replica.channels.items()
                if documents.wanted
            },
            "question": queue.question,
            "kept": self._kept(),
        }

    def _inputs(self) -> dict[str, Callable[[Any, Json], Json]]:
        return {
            "edit": self._edit,
            "prepare": lambda wishes, step: self._prepare(wishes, step),
            "accept": lambda _, __: self.replica.accept(),
            "send": lambda _, __: self._send(),
            "answer": self._answer,
            "failed": lambda n, _: self.replica.queue.failed(self.requests[n]),
            "gap": lambda n, _: self.replica.queue.gap(self.requests[n]),
            "mismatched": lambda n, _: self.replica.mismatched(self.requests[n]),
            "taken": lambda n, _: self.replica.taken(self.requests[n]),
            "unacceptable": self._unacceptable,
            "told": lambda told, _: self.replica.told(*told),
            "take": lambda change, step: self.replica.take(change_of(change), step["epoch"]),
            "fetched": lambda one, _: self.replica.fetched(decode_document(json.dumps(one))),
            "missing": lambda one, _: self.replica.missing((one[0], one[1]), one[2]),
            "agrees": lambda one, _: self.replica.agrees(*one),
            "agrees_now": lambda channel, _: self.replica.agrees_now(channel),
            "decide": lambda place, _: self.replica.decided(self.replica.waiting[place]),
            "restart": lambda channels, _: self._restart(channels),
        }

    def _opened(self) -> Replica:
        stored = self._store.open("a")
        kept: dict[str, list[Document]] = {channel: [] for channel in self._channels}
        for document in stored.documents:
            if document.channel in kept:
                kept[document.channel].append(document)
        queue = _queue_of(stored, self._new_client)
        resolved = self._case.get("resolved", [])
        return Replica(queue, kept, stored.waiting, CALLS, resolved)

    def _new_client(self) -> str:
        self._ids += 1
        return f"c{self._ids}"

    def _restart(self, channels: Json) -> None:
        if channels is not True:
            self._channels = channels
        self.replica = self._opened()

    def _edit(self, wishes: Json, step: Json) -> Json:
        self._prepare(wishes, step)
        return self.replica.accept()

    def _prepare(self, wishes: Json, step: Json) -> None:
        at = step.get("made_at")
        made_at = None if at is None else datetime.fromisoformat(at)
        made = [
            Wish(
                one["channel"],
                one["key"],
                decode_operation(one["do"]),
                one.get("metadata"),
                one.get("base"),
            )
            for one in wishes
        ]
        atomic, decides = step.get("atomic", False), step.get("decides")
        self._store.write(self.replica.prepare(made, made_at, atomic=atomic, decides=decides))

    def _send(self) -> Json:
        request = self.replica.queue.request()
        if request is None:
            return None
        self.requests.append(request)
        return json.loads(request.body)

    def _answer(self, told: Json, _: Json) -> Json:
        outcomes = [decode_outcome(json.dumps(one)) for one in told["outcomes"]]
        return self.replica.answered(self.requests[told["request"]], outcomes)

    def _unacceptable(self, told: Json, _: Json) -> None:
        problem = msgspec.convert(told["problem"], Problem)
        refused = EditOutcome(0, "refused", problem=problem)
        self.replica.unacceptable(self.requests[told["request"]], refused)

    def _kept(self) -> Json:
        stored = self._store.open("a")
        counters = stored.counters
        return {
            "counters": None
            if counters is None
            else [counters.client, counters.next_n, counters.next_id, counters.epoch],
            "entries": [_row(row) for row in stored.entries],
            "documents": sorted(
                [one.channel, one.key, one.version, _absent(one.value)] for one in stored.documents
            ),
            "waiting": [_waiting(one) for one in stored.waiting],
        }


def change_of(told: Json) -> Any:
    """A channel's change in a case: an event, or a reset with documents."""
    if told.get("type") != "reset":
        return decode_document_event(json.dumps(told))
    documents = tuple(decode_document(json.dumps(one)) for one in told["documents"])
    return DocumentReset(told["channel"], told["reason"], told["head"], documents)


def answer_state(case: Json) -> Json:
    """The results of all steps of a case."""
    subject = StateSubject(case)
    return [subject.step(step) for step in case["steps"]]


def _view(view: View) -> Json:
    error = view.error
    return {
        "value": view.value,
        "version": view.version,
        "pending": view.pending,
        "loading": view.loading,
        "left_out": view.left_out,
        "conflict": None if view.conflict is None else _waiting(view.conflict),
        "error": None if error is None else [error.slug, error.detail, error.pointer],
    }


def _waiting(waiting: OpenConflict) -> Json:
    conflict = waiting.conflict
    told = {"id": waiting.id, "document": f"{waiting.channel} {waiting.key}", "slug": waiting.slug}
    parts = {name: _absent(getattr(conflict, name)) for name in ("current", "base", "own")}
    return told | {"version": conflict.version} | parts


def _absent(value: Json) -> Json:
    """A value that is absent on the wire is "absent" in a case, as null is a value."""
    return "absent" if value is msgspec.UNSET else value


def _row(row: EntryRow) -> Json:
    outcome = None if row.outcome is None else _outcome(decode_outcome(row.outcome))
    return [row.id, row.client, json.loads(row.body), row.group, outcome, row.at, row.shown]


def _outcome(outcome: EditOutcome) -> Json:
    return {
        "n": outcome.n,
        "outcome": outcome.outcome,
        "version": outcome.version,
        "problem": None if outcome.problem is None else outcome.problem.slug,
    }
