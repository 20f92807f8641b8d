"""Runs cases with the Python machine: its commands and its state after each input."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from itertools import cycle
from typing import Final

from client_sdk.contract.order import decode_event
from client_sdk.contract.sync import decode_sync
from client_sdk.errors import ClientError
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    CheckDigest,
    Close,
    Command,
    Deliver,
    Diverged,
    Failure,
    Finished,
    GiveUp,
    Input,
    OpenStream,
    Start,
    StartSync,
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
from client_sdk.machine.sequencing import Change
from client_sdk.machine.status import Mode, mode_of
from client_sdk.settings import Settings
from tests.conformance.cases import Json

_NO_PRESSURE: Final = 10**9
Teller = Callable[[Change], Json]
FailureTeller = Callable[[Failure], Json]


class MachineSubject:
    """One Python machine; inputs and results are JSON.

    A browser's client stores its order book together with the cursor, and handles each change at
    once. So this machine starts with a filled book, and never waits for its consumer.
    """

    def __init__(self, case: Json, change_of: Teller, failure_of: FailureTeller) -> None:
        self._change_of, self._failure_of = change_of, failure_of
        fractions = cycle(case["chance"])

        def uniform(low: float, high: float) -> float:
            return float(low + (high - low) * next(fractions))

        settings = Settings(**case["settings"], max_pending=_NO_PRESSURE)
        self.machine = Machine(case["positions"], case["epoch"], settings, uniform)
        self.machine._client.sync_state._unfilled.clear()
        self._mode: Mode = "starting"

    def step(self, told: Json, now: float) -> Json:
        """Handle one input. Returns its result."""
        machine = self.machine
        said = [self._command(command) for command in machine.handle(input_of(told), now)]
        self._mode = mode_of(machine, self._mode)
        deadline = machine.deadline
        return {
            "commands": said,
            "state": machine.state.value,
            "mode": self._mode,
            "deadline": None if deadline == float("inf") else deadline,
            "certain_at": machine.freshness.certain_at,
        }

    def end(self) -> Json:
        """The state at the end of the case."""
        machine = self.machine
        failure, watermark = machine.last_failure, machine.watermark
        return {
            "positions": machine.positions.all,
            "epoch": machine.epoch,
            "watermark": None if watermark is None else watermark.timestamp(),
            "diverged": machine.diverged,
            "counters": {key: n for key, n in vars(machine.counters).items() if n},
            "last_failure": None if failure is None else self._failure_of(failure),
        }

    def _command(self, command: Command) -> Json:
        kind = type(command).__name__
        match command:
            case StartSync():
                told = asdict(command)
                return {"type": kind, "wait": told.pop("wait_s"), **told}
            case OpenStream():
                opened = asdict(command)
                if opened["via"] == "sse":
                    del opened["via"]
                return {"type": kind, **opened}
            case Deliver():
                return {"type": kind, "epoch": command.epoch, **self._change_of(command.change)}
            case CheckDigest():
                told = {key: value for key, value in asdict(command).items() if value is not None}
                return {"type": kind, **told}
            case Finished(cause):
                known = self._failure_of(cause) if isinstance(cause, Failure) else None
                raised = str(cause) if isinstance(cause, Exception) else None
                return {"type": kind, "cause": known or raised}
        return {"type": kind, **asdict(command)}


def answer_machine(case: Json, change_of: Teller, failure_of: FailureTeller) -> Json:
    """The results of all steps of a case, and the state at the end."""
    subject = MachineSubject(case, change_of, failure_of)
    steps = [subject.step(step["input"], step["now"]) for step in case["steps"]]
    return {"steps": steps, "end": subject.end()}


def cells(case: Json, steps: Iterable[Json]) -> Iterator[tuple[str, str, bool]]:
    """The cells of the transition table that the case uses, and whether each had an effect.

    Args:
        case: the case.
        steps: the result of each of its inputs.
    """
    state, deadline = "idle", None
    for step, after in zip(case["steps"], steps, strict=True):
        did = bool(after["commands"]) or (after["state"], after["deadline"]) != (state, deadline)
        yield state, step["input"]["type"], did
        state, deadline = after["state"], after["deadline"]


def input_of(told: Json) -> Input:
    """The machine's input for an input of a case."""
    generation = told.get("generation", 0)
    match told["type"]:
        case "SyncDone":
            return SyncDone(generation, decode_sync(json.dumps(told["response"]).encode()))
        case "SyncFailed":
            return SyncFailed(generation, Failure(**told["failure"]))
        case "StreamHello":
            return StreamHello(generation, told["epoch"], _time(told["watermark"]))
        case "StreamEvent":
            return StreamEvent(generation, decode_event(json.dumps(told["event"])))
        case "StreamHeartbeat":
            return StreamHeartbeat(generation, _time(told["watermark"]))
        case "StreamSyncRequired":
            return StreamSyncRequired(generation, told["channel"], told["reason"])
        case "StreamBye":
            return StreamBye(generation, told["reason"], told["reconnect_after_ms"])
        case "StreamEnded":
            return StreamEnded(generation, Failure(**told["failure"]))
        case "Diverged":
            return Diverged(told["channel"])
        case "GiveUp":
            return GiveUp(ClientError(told["cause"]))
    return _PLAIN[told["type"]]()


_PLAIN: Final[dict[str, Callable[[], Input]]] = {"Start": Start, "Tick": Tick, "Close": Close}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
