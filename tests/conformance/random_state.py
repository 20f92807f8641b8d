"""Random cases of the shared state by seed: edits, events, answers, losses and restarts.

A case is made while the Python replica runs with a small model of Core. Most inputs are such as
Core and network would send in that state; some come too late or twice, or are nonsense.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any, Final

import msgspec

from client_sdk.contract.state.document import Document
from client_sdk.machine.sequencing import DocumentReset
from tests.conformance.cases import Json, as_told
from tests.conformance.state_subject import StateSubject
from tests.unit.client_sdk.state.core_model import CoreModel

INPUTS: Final = 45
CHANNEL: Final = "party:12/5"
_KEYS: Final = ("cart", "first", "last", "ask", "bell")
_NAMES: Final = ("a", "b", "lines", "~/", "0", "__proto__", "constructor")
_TEXTS: Final = ("", "김밥", "a" * 30, "\u2028\x1f", "🍜")
_LARGE: Final = 90


def state_play(seed: str) -> tuple[Json, Json]:
    """A random case for the replica, and the Python replica's results."""
    return _Play(seed).played()


def patch_case(seed: str) -> Json:
    """A random value and a random JSON patch."""
    random = Random(seed)
    return {"name": seed, "value": random_document(random), "patch": random_patch(random)}


def merge_patch_case(seed: str) -> Json:
    """A random value and a random merge patch."""
    random = Random(seed)
    return {"name": seed, "target": random_document(random), "patch": random_document(random)}


def diff_case(seed: str) -> Json:
    """Two random values."""
    random = Random(seed)
    return {"name": seed, "before": random_document(random), "after": random_document(random)}


def random_value(random: Random, depth: int = 3) -> Json:
    """A random value of a member of a document."""
    kind = random.randrange(8 if depth > 0 else 6)
    if kind < 2:
        return random.choice((0, 1, -1, 7, -(2**50)))
    if kind == 2:
        return random.choice(_TEXTS)
    if kind < 6:
        return random.choice((True, False, None, 1))
    if kind == 6:
        return [random_value(random, depth - 1) for _ in range(random.randrange(4))]
    return random_document(random, depth - 1)


def random_document(random: Random, depth: int = 3) -> Json:
    """A random value of a document."""
    names = random.sample(_NAMES, random.randrange(4))
    return {name: random_value(random, depth) for name in names}


def random_pointer(random: Random) -> str:
    """A random JSON Pointer; mostly there is a value at it."""
    parts = [*(name.replace("~", "~0").replace("/", "~1") for name in _NAMES), "-", "1", "2"]
    return "".join(f"/{random.choice(parts)}" for _ in range(random.randrange(4)))


def random_patch(random: Random) -> Json:
    """A random JSON patch; some can be applied."""
    return [_operation(random) for _ in range(random.randint(1, 3))]


def _operation(random: Random) -> Json:
    op = random.choice(("add", "add", "add", "replace", "remove", "test", "move", "copy"))
    told: Json = {"op": op, "path": random_pointer(random)}
    if op in ("add", "replace", "test"):
        told["value"] = random_value(random, 2)
    if op in ("move", "copy"):
        told["from"] = random_pointer(random)
    return told


def random_do(random: Random) -> Json:
    """A random operation; most can be applied."""
    match random.choice(("set", "merge", "merge", "add", "add", "patch", "delete", "call")):
        case "set":
            return {"set": random_document(random)}
        case "merge":
            return {"merge": random_document(random)}
        case "add":
            return {"add": {f"/{random.choice('ab')}": random.choice((1, -2, 5))}}
        case "patch":
            return {"patch": random_patch(random)}
        case "delete":
            return {"delete": True}
    times = random.choice((0, 1, 2))
    return {"call": {"name": random.choice(("ring", "other")), "arguments": {"times": times}}}


class _Play:
    """A replica, a model of Core, and a network with random faults."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)
        self._core = CoreModel(large=_LARGE)
        self._case: Json = {
            "name": seed,
            "channels": [CHANNEL],
            "documents": [[CHANNEL, key] for key in _KEYS],
            "resolved": self._random.choice(([], ["first"])),
            "steps": [],
        }
        self._subject = StateSubject(self._case)
        self._said: list[Json] = []
        self._answers: list[tuple[int, int, Json]] = []
        self._seq: int | None = None
        self._epoch = ""

    def played(self) -> tuple[Json, Json]:
        """The whole case, and the results of its steps."""
        acts = [
            *[self._edit] * 6, *[self._send] * 5, *[self._hear] * 5, *[self._event] * 8,
            *[self._load] * 4, *[self._write] * 3, self._lose, self._reset, self._restart,
            self._between, self._nonsense, self._stray, self._backup, self._inquire, self._agree,
            self._decide,
        ]  # fmt: skip
        while len(self._case["steps"]) < INPUTS:
            self._random.choice(acts)()
        return self._case, as_told(self._said)

    def _tell(self, step: Json) -> Json:
        self._case["steps"].append(step)
        self._said.append(self._subject.step(step))
        return self._said[-1]

    def _wishes(self, limit: int) -> Json:
        random = self._random
        return [
            {"channel": CHANNEL, "key": random.choice(_KEYS), "do": random_do(random)}
            | random.choice(({}, {}, {"metadata": {"by": "hand"}}, {"base": random.randrange(3)}))
            for _ in range(random.randint(1, limit))
        ]

    def _time(self) -> Json:
        return self._random.choice((None, "2026-11-21T12:00:00Z"))

    def _edit(self) -> None:
        atomic = self._random.random() < 0.15
        self._tell({"edit": self._wishes(3), "made_at": self._time(), "atomic": atomic})

    def _between(self) -> None:
        """Let something arrive while an edit is being stored."""
        prepared = self._tell({"prepare": self._wishes(2), "made_at": self._time()})
        if prepared["result"] == "refused":
            return
        self._random.choice((self._event, self._hear, self._send, self._inquire))()
        self._tell({"accept": True})

    def _send(self) -> None:
        if self._tell({"send": True})["result"] is not None:
            number = len(self._subject.requests) - 1
            answer = self._core.post(self._subject.requests[-1].body)
            self._answers.append((number, *answer))

    def _hear(self) -> None:
        if not self._answers:
            return
        number, status, body = self._answers[0]
        if self._random.random() < 0.8:
            self._answers.pop(0)
        if status == 200:
            self._tell({"answer": {"request": number, "outcomes": body["outcomes"]}})
        elif body["title"] == "edit-gap":
            self._tell({"gap": number})
        else:
            self._tell({"mismatched": number})

    def _lose(self) -> None:
        if self._answers:
            self._tell({"failed": self._answers.pop()[0]})

    def _nonsense(self) -> None:
        if not self._subject.requests:
            return
        number = self._random.randrange(len(self._subject.requests))
        problem = {"type": "urn:yabam:problem:invalid", "title": "Invalid", "status": 422}
        refused = {"unacceptable": {"request": number, "problem": problem}}
        self._tell(self._random.choice(({"taken": number}, refused, {"mismatched": number})))

    def _stray(self) -> None:
        """Send an event out of order."""
        head = self._core.head(CHANNEL)
        if head and self._seq is not None and self._epoch == self._core.epoch:
            event = _json(
                self._core.event(CHANNEL, self._random.randint(min(self._seq + 1, head), head))
            )
            event.pop("data", None)
            self._tell({"take": event, "epoch": self._core.epoch})

    def _inquire(self) -> None:
        client = self._subject.replica.queue.question
        if client is not None:
            followed = self._seq is not None and self._epoch == self._core.epoch
            log = self._random.choice((None, self._core.epoch)) if followed else self._core.epoch
            self._tell({"told": [client, self._core.settled(client), log]})

    def _event(self) -> None:
        if self._seq is None or self._epoch != self._core.epoch:
            self._inquire()
            self._reset()
        elif self._seq < self._core.head(CHANNEL):
            self._seq += 1
            event = _json(self._core.event(CHANNEL, self._seq))
            self._tell({"take": event, "epoch": self._core.epoch})

    def _reset(self) -> None:
        anew = bool(self._epoch) and self._epoch != self._core.epoch
        reason = "epoch" if anew else self._random.choice(("retention", "digest"))
        reset = self._core.snapshot(CHANNEL, reason)
        self._seq, self._epoch = reset.head, self._core.epoch
        self._tell({"take": _reset_json(reset), "epoch": self._core.epoch})

    def _load(self) -> None:
        for key, version in list(self._subject.replica.channels[CHANNEL].wanted.items())[:1]:
            found = self._core.document(CHANNEL, key, version)
            if found is None:
                self._tell({"missing": [CHANNEL, key, version]})
            else:
                self._tell({"fetched": _json(found)})

    def _write(self) -> None:
        random = self._random
        value = None if random.random() < 0.2 else random_document(random)
        key = random.choice(_KEYS)
        if value is not None or self._core.value(CHANNEL, key) is not None:
            self._core.write(CHANNEL, key, value)

    def _restart(self) -> None:
        self._tell({"restart": True})
        self._seq = None
        self._answers.clear()

    def _backup(self) -> None:
        if self._random.random() < 0.5:
            self._core.back_up()
        else:
            self._core.restore()
            self._answers.clear()
            self._seq = None

    def _agree(self) -> None:
        if self._seq == self._core.head(CHANNEL) and self._epoch == self._core.epoch:
            self._tell({"agrees": [CHANNEL, self._core.digest(CHANNEL)]})
        else:
            self._tell({"agrees_now": CHANNEL})

    def _decide(self) -> None:
        waiting = list(self._subject.replica.waiting)
        if waiting:
            self._tell({"decide": self._random.choice(waiting)})


def _json(value: Any) -> Json:
    return json.loads(msgspec.json.encode(value))


def _reset_json(reset: DocumentReset) -> Json:
    documents: list[Document] = list(reset.documents)
    told = {"channel": reset.channel, "reason": reset.reason, "head": reset.head, "type": "reset"}
    return told | {"documents": [_json(one) for one in documents]}
