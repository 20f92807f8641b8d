"""Random cases of commands to orders by seed: commands, answers, losses, restarts.

A case is made while the Python queue runs with a small model of Core. Most inputs are such as Core
and network would send in that state; some come too late or twice, or are nonsense.
"""

from __future__ import annotations

import json
from datetime import timedelta
from random import Random
from typing import Any, Final

import msgspec

from client_sdk.contract.order import Order
from core_api.errors import CoreError
from tests.conformance.cases import Json, as_told
from tests.conformance.commands_subject import CommandsSubject
from tests.unit.client_sdk.state.order_core import NOW, OrderCore

INPUTS: Final = 60
STORE: Final = "12"
_STEPS: Final = ("accepted", "rejected", "preparing", "ready", "served", "paid", "cancelled")
_NOTES: Final = ("", "hot", "김밥\u2028", "no \x1f nuts")


def command_play(seed: str) -> tuple[Json, Json]:
    """A random case for the queue of commands, and the Python queue's results."""
    return _Play(seed).played()


class _Play:
    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._random = Random(seed)
        self._core = OrderCore()
        self._subject = CommandsSubject()
        self._steps: list[Json] = []
        self._said: list[Json] = []
        self._request: Any = None
        self._now = NOW
        self._log = "A"

    def played(self) -> tuple[Json, Json]:
        """The whole case, and the results of its steps."""
        self._tell({"follow": self._log})
        for _ in range(2):
            self._core.placed(STORE)
        self._sync()
        moves = (
            [self._make] * 6 + [self._send] * 5 + [self._others] * 3 + [self._sync] * 3
            + [self._restart, self._reset, self._wait, self._nonsense]
        )  # fmt: skip
        while len(self._steps) < INPUTS:
            self._random.choice(moves)()
        return {"name": self._seed, "steps": self._steps}, as_told(self._said)

    def _tell(self, step: Json) -> Json:
        self._steps.append(step)
        self._said.append(self._subject.step(step))
        return self._said[-1]["result"]

    def _make(self) -> None:
        random = self._random
        shown = [entry.shown_as for entry in self._subject.queue.own.entries]
        names = [*self._core.orders, *shown, "c1-1"]
        items = [
            {"name": "김밥", "quantity": random.randint(1, 3), "unit_price": random.randint(0, 9)}
            for _ in range(random.randint(0, 2))
        ]
        place = {"store_id": STORE, "table_id": "5", "currency": "KRW", "items": items}
        body: Json = random.choice(
            (
                {"kind": "place", "body": place},
                {"kind": "transition", "body": {"to": random.choice(_STEPS)}},
                {"kind": "transition", "body": {"to": random.choice(_STEPS)}},
                {"kind": "change", "body": {"note": random.choice(_NOTES)}},
                {"kind": "change", "body": {"items": items}},
            )
        )
        step: Json = {"make": body}
        if body["kind"] != "place":
            body["order"] = random.choice(names)
            if random.random() < 0.2 and self._steps:
                step["seen"] = random.randrange(len(self._steps))
        if random.random() < 0.8:
            step["made_at"] = _text(self._now)
        self._tell(step)

    def _send(self) -> None:
        self._tell({"begin": _text(self._now)})
        request = self._tell({"send": True})
        if request is None:
            return
        _, method, path, key, version, updated_at, body = request
        asked = None if version is None else f'"{version}"'
        if self._random.random() < 0.1:
            self._tell({"failed": True})
            return
        try:
            seen = asked, updated_at
            told = self._core.ask(method, path, key, seen, json.dumps(body).encode())
        except (CoreError, msgspec.ValidationError):
            told = 422, b'{"type": "urn:yabam:problem:invalid", "title": "", "status": 422}'
        if self._random.random() < 0.15:
            self._tell({"failed": True})
            return
        status, answer = told[0], json.loads(told[1])
        rest: Json = {"keep": self._random.random() < 0.8}
        if self._random.random() < 0.7:
            rest["epoch"] = self._random.choice((self._log, self._log, "AB", "C", "D"))
        if status < 400:
            repeated = self._random.random() < 0.2
            self._tell({"applied": answer, "repeated": repeated, **rest})
            return
        order = answer.pop("order", None)
        refused = {"problem": {"detail": "", **answer}} | ({"order": order} if order else {})
        self._tell({"refused": refused, **rest})

    def _others(self) -> None:
        random = self._random
        if random.random() < 0.3:
            self._core.placed(STORE)
            return
        number = random.randint(1, len(self._core.orders))
        body = random.choice(({"to": random.choice(_STEPS)}, {"note": random.choice(_NOTES)}))
        try:
            self._core.do(number, body)
        except CoreError:
            return

    def _sync(self) -> None:
        """Let the log bring all changes of Core, or some of them."""
        orders = [order for order in self._core.orders.values() if order.is_open]
        self._tell({"book": [_json(order) for order in orders]})
        for order in self._core.orders.values():
            if self._random.random() < 0.7:
                self._tell({"contained": [order.id, order.version]})

    def _restart(self) -> None:
        self._tell({"restart": True})

    def _reset(self) -> None:
        channel = self._random.choice((f"store:{STORE}", f"table:{STORE}/5", "store:9"))
        same_log = self._random.random() < 0.7
        if not same_log:
            self._log = self._random.choice((self._log, "B", "C", "D"))
        self._tell({"reset": channel, "same_log": same_log, "log": self._log})

    def _wait(self) -> None:
        self._now += timedelta(hours=self._random.choice((1, 5, 25, 150)))

    def _nonsense(self) -> None:
        self._tell(self._random.choice(({"failed": True}, {"contained": ["x", None]})))


def _json(order: Order) -> Json:
    return json.loads(msgspec.json.encode(order))


def _text(at: Any) -> str:
    return str(at.isoformat().replace("+00:00", "Z"))
