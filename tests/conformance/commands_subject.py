"""Runs cases of commands to orders with the Python queue: what it shows, stores and sends.

The steps of a case are:
    book       Core's open orders, as the log has them
    contained  the log contains this version of an order
    follow     the name of the log
    reset      a channel begins anew with the orders of `book`; `same_log` is false after a restore,
               and `log` names the log from then on
    make       a command to an order as it is shown, or as it was `seen` after an earlier step
    kept       a command that another release has stored
    begin      the time; what is stored before the first command is sent
    send       the next request
    applied, refused  Core's answers; `epoch` is the log that they name
    failed     there was no answer
    restart    begin anew with what was stored
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from client_sdk.contract.errors import StateError
from client_sdk.contract.order import Order, decode_order
from client_sdk.contract.problem import Problem
from client_sdk.contract.text import time_text
from client_sdk.state.orders.command_queue import CommandQueue, CommandSettlement
from client_sdk.state.orders.commands import (
    CommandRequest,
    CommandWish,
    decode_command,
    encode_command,
)
from client_sdk.state.orders.view import ShownOrder, newest, shown_order, shown_orders
from client_sdk.state.records import PutCommand
from client_sdk.state.store import MemoryState
from tests.conformance.cases import Json, order

FOLLOWED = ("store:12", "table:12/5")


class CommandsSubject:
    """One Python queue with its store; inputs and results are JSON."""

    def __init__(self) -> None:
        self._store = MemoryState()
        self._place = 0
        self._book: list[Order] = []
        self._flight: CommandRequest | None = None
        self._seen: list[dict[str, ShownOrder]] = []
        self.queue = self._opened()

    def step(self, step: Json) -> Json:
        """Handle one step. Returns its result."""
        (kind,) = step.keys() - {"made_at", "seen", "keep", "repeated", "same_log", "log", "epoch"}
        self._outcomes: list[Json] = []
        try:
            result = self._inputs()[kind](step[kind], step)
        except StateError:
            result = "refused"
        shown = shown_orders(self._book, self.queue.own)
        self._seen.append({one.order.id: one for one in shown})
        return {
            "result": result,
            "outcomes": self._outcomes,
            "shown": [_shown(one) for one in shown],
            "errors": {key: error.slug for key, error in self.queue.own.errors.items()},
            "known": sorted(self.queue.own.known),
            "ahead": sorted(self.queue.own.ahead),
            "kept": [json.loads(body) for body in self._store.open("a").commands],
        }

    def _inputs(self) -> dict[str, Callable[[Any, Json], Json]]:
        return {
            "book": self._booked,
            "contained": lambda told, _: self.queue.answered.contained(*told),
            "reset": self._reset,
            "follow": lambda log, _: self.queue.answered.follow(log),
            "make": self._make,
            "begin": self._begin,
            "send": lambda _, __: self._send(),
            "applied": self._applied,
            "refused": self._refused,
            "kept": lambda command, _: self._keep(command),
            "failed": lambda _, __: self._failed(),
            "restart": lambda _, __: self._restart(),
        }

    def _opened(self) -> CommandQueue:
        commands = self._store.open("a").commands
        return CommandQueue((decode_command(body) for body in commands), FOLLOWED)

    def _failed(self) -> None:
        if self._flight is not None:
            self.queue.failed(self._flight)

    def _keep(self, command: Json) -> None:
        self._store.write([PutCommand(command["id"], json.dumps(command).encode())])
        self._place = max(self._place, command["id"])
        self._restart()

    def _restart(self) -> None:
        self.queue, self._flight = self._opened(), None

    def _booked(self, orders: Json, _: Json) -> None:
        self._book = [decode_order(json.dumps(order(one))) for one in orders]

    def _reset(self, channel: Json, step: Json) -> None:
        answered = self.queue.answered
        log, same_log = step.get("log", answered.log), step.get("same_log", True)
        answered.reset(channel, self._listed, log=log, same_log=same_log)

    @property
    def _listed(self) -> dict[str, int]:
        return {one.id: one.version for one in self._book}

    def _make(self, told: Json, step: Json) -> Json:
        wish = CommandWish(told["kind"], told["body"])
        name = told.get("order")
        if name is not None:
            seen = self._look(name) if "seen" not in step else self._seen[step["seen"]].get(name)
            if seen is None:
                return None
            one = seen.order
            seen_at = one.version, one.updated_at
            wish = CommandWish(wish.kind, wish.body, one.id, *seen_at, one.status, seen.after)
        at = step.get("made_at")
        made_at = None if at is None else datetime.fromisoformat(at)
        command = self.queue.prepare(wish, self._place + 1, "c1", made_at)
        self._place += 1
        self._store.write([PutCommand(command.id, encode_command(command))])
        self.queue.accept(command)
        return command.shown_as

    def _look(self, name: str) -> ShownOrder | None:
        named, own = self.queue.id_of(name), self.queue.own
        core = newest((one for one in self._book if one.id == named), own)
        return shown_order(core.get(named), named, own)

    def _begin(self, now: Json, _: Json) -> Json:
        if self.queue.first is None:
            return None
        settlement = self.queue.before_sending(datetime.fromisoformat(now))
        return None if settlement is None else self._settle(settlement, {})

    def _send(self) -> Json:
        request = self.queue.request()
        if request is None:
            return None
        self._flight = request
        told = request.id, request.method, request.path, request.key, request.version
        at = None if request.updated_at is None else time_text(request.updated_at)
        return [*told, at, json.loads(request.body)]

    def _applied(self, told: Json, step: Json) -> Json:
        done, repeated = decode_order(json.dumps(order(told))), step.get("repeated", False)
        return self._settle(self.queue.applied(done, repeated=repeated), step)

    def _refused(self, told: Json, step: Json) -> Json:
        problem = msgspec.convert(told["problem"], Problem)
        stands = told.get("order")
        found = None if stands is None else decode_order(json.dumps(order(stands)))
        return self._settle(self.queue.refused(problem, found), step)

    def _settle(self, settlement: CommandSettlement, step: Json) -> Json:
        self._store.write(settlement.writes)
        order = settlement.order
        listed = order is not None and order.id in self._listed
        keep, epoch = step.get("keep", True), step.get("epoch")
        self.queue.settle(settlement, keep=keep, listed=listed, epoch=epoch)
        for command, outcome in settlement.outcomes:
            slug = None if outcome.problem is None else outcome.problem.slug
            detail = None if outcome.problem is None else outcome.problem.detail
            self._outcomes.append([command.id, outcome.outcome, slug, detail])
        return "settled"


def _shown(shown: ShownOrder) -> Json:
    one = shown.order
    return {
        "order": [one.id, one.status, one.version, one.total, one.note, one.reason, one.is_open],
        "items": [[item.name, item.quantity, item.unit_price, item.note] for item in one.items],
        "pending": shown.pending,
        "left_out": shown.left_out,
        "error": None if shown.error is None else [shown.error.slug, shown.error.detail],
        "after": shown.after,
    }


def answer_commands(case: Json) -> Json:
    """The results of all steps of a case."""
    subject = CommandsSubject()
    return [subject.step(step) for step in case["steps"]]
