"""Planted bugs: each removes one protection of the client over MQTT, and must be found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final
from unittest.mock import patch

from client_sdk.buffered.machine import BufferedStart
from client_sdk.contract.order import OrderEvent
from client_sdk.machine.sequencing import Positions, Verdict
from client_sdk.mqtt.connection import Following
from client_sdk.mqtt.marks import MarkWatch
from tests.simulation.mqtt.world import Parts

Planted = Callable[[], AbstractContextManager[Any]]


def _takes_gaps() -> AbstractContextManager[Any]:
    def judge(self: Positions, event: OrderEvent) -> Verdict:
        verdict = judged(self, event)
        return Verdict.APPLY if verdict is Verdict.GAP else verdict

    judged = Positions.judge
    return patch.object(Positions, "judge", judge)


def _takes_duplicates() -> AbstractContextManager[Any]:
    def judge(self: Positions, event: OrderEvent) -> Verdict:
        verdict = judged(self, event)
        return Verdict.APPLY if verdict is Verdict.DUPLICATE else verdict

    judged = Positions.judge
    return patch.object(Positions, "judge", judge)


def _ignores_marks() -> AbstractContextManager[Any]:
    return patch.object(MarkWatch, "due", lambda *_: None)


def _believes_in_silence() -> AbstractContextManager[Any]:
    return patch.object(MarkWatch, "is_silent", lambda *_: False)


def _ignores_epochs() -> AbstractContextManager[Any]:
    return patch.object(BufferedStart, "_judge", lambda self, event: self.positions.take(event))


def _does_not_hear_of_a_lost_connection() -> AbstractContextManager[Any]:
    return patch.object(Following, "lose", lambda *_: None)


PLANTED: Final[Mapping[str, tuple[Planted, Parts]]] = {
    "take a gap": (_takes_gaps, Parts()),
    "take an event twice": (_takes_duplicates, Parts()),
    "ignore the marks": (_ignores_marks, Parts()),
    "believe in silence": (_believes_in_silence, Parts()),
    "ignore the epoch of an event": (_ignores_epochs, Parts()),
    "do not hear of a lost connection": (_does_not_hear_of_a_lost_connection, Parts()),
    "save the cursor before the effect": (nullcontext, Parts(cursor_before_effect=True)),
}
