"""Any interleaving of edits, events, answers, losses, crashes and restores (promises 10 to 12).

Each edit adds 1 to a name of its own, so that it can be counted: in Core's value, and in each
view. At rest every client shows Core's values, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from random import Random
from typing import Any, Final
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from client_sdk.contract.digest import canonical
from client_sdk.contract.state.edit import EditOutcome
from client_sdk.contract.state.operations import Add
from client_sdk.state.entries import Entry, Wish
from client_sdk.state.queue import EditQueue
from client_sdk.state.replica import Replica
from client_sdk.state.requests import Request
from client_sdk.state.store import MemoryState
from client_sdk.state.view import Composed, compose
from tests.unit.client_sdk.state.core_model import NOW, CoreModel
from tests.unit.client_sdk.state.rig import CHANNEL, Answer, Rig

KEYS: Final = ("cart", "first", "last", "ask")
CLIENTS: Final = st.sampled_from([0, 1])


class Interleavings(RuleBasedStateMachine):
    """Two clients of one Core, and a network that does what it likes."""

    restores = False

    def __init__(self) -> None:
        super().__init__()
        self.core = CoreModel(large=400)
        self.rigs = [Rig(self.core, "a"), Rig(self.core, "b")]
        self.answers: list[list[Answer]] = [[], []]
        self.made: list[dict[int, tuple[str, str]]] = [{}, {}]
        """Each client's accepted edits: document and own name by id."""
        self.count = 0
        for rig in self.rigs:
            rig.sync()

    # ── what may happen ──────────────────────────────────────────────────────

    def _wish(self, key: str) -> tuple[Wish, str]:
        self.count += 1
        mark = f"m{self.count}"
        return Wish(CHANNEL, key, Add({f"/{mark}": 1})), mark

    @rule(who=CLIENTS, key=st.sampled_from(KEYS))
    def edit(self, who: int, key: str) -> None:
        wish, mark = self._wish(key)
        (place,) = self.rigs[who].edit(wish)
        self.made[who][place] = key, mark

    @rule(who=CLIENTS, key=st.sampled_from(KEYS), accepted=st.booleans())
    def edit_and_die(self, who: int, key: str, accepted: bool) -> None:
        """The edit is kept, and the process dies before anything else."""
        rig = self.rigs[who]
        wish, mark = self._wish(key)
        rig.store.write(rig.replica.prepare([wish], NOW))
        place = rig.replica.queue.next_id
        if accepted:
            rig.replica.accept()
        self.made[who][place] = key, mark
        rig.crash()
        self.answers[who] = []

    @rule(who=CLIENTS)
    def send(self, who: int) -> None:
        answer = self.rigs[who].ask()
        if answer is not None:
            self.answers[who].append(answer)

    @precondition(lambda self: any(self.answers))
    @rule(who=CLIENTS, kept=st.booleans())
    def hear(self, who: int, kept: bool) -> None:
        """The oldest answer arrives; perhaps it will come again."""
        if self.answers[who]:
            self.rigs[who].hear(self.answers[who][0])
            if not kept:
                self.answers[who].pop(0)

    @rule(who=CLIENTS)
    def lose_answer(self, who: int) -> None:
        if self.answers[who]:
            self.rigs[who].replica.queue.failed(self.answers[who][-1][0])

    @rule(who=CLIENTS)
    def event(self, who: int) -> None:
        rig = self.rigs[who]
        if rig.seqs[CHANNEL] is None or rig.log != self.core.epoch:
            rig.sync()
        else:
            rig.next_event()

    @rule(who=CLIENTS)
    def fetch(self, who: int) -> None:
        self.rigs[who].load()

    @rule(who=CLIENTS)
    def reconnect(self, who: int) -> None:
        rig = self.rigs[who]
        rig.begin(reason="epoch" if rig.log != self.core.epoch else "retention")

    @rule(who=CLIENTS)
    def crash(self, who: int) -> None:
        self.rigs[who].crash()
        self.answers[who] = []

    @rule(key=st.sampled_from(KEYS), deleted=st.integers(0, 4))
    def somebody_else_writes(self, key: str, deleted: int) -> None:
        value = self.core.value(CHANNEL, key)
        if deleted == 0 and key != "cart":
            self.core.write(CHANNEL, key, None)
        else:
            self.count += 1
            self.core.write(CHANNEL, key, {**(value or {}), f"o{self.count}": 1})

    @rule(who=CLIENTS)
    def inquire(self, who: int) -> None:
        self.rigs[who].inquire()

    # ── what must hold ───────────────────────────────────────────────────────

    @invariant()
    def no_edit_is_in_core_twice(self) -> None:
        for key in KEYS:
            value = self.core.value(CHANNEL, key) or {}
            assert all(number == 1 for number in value.values()), value

    @invariant()
    def each_view_is_cores_value_with_the_pending_edits_on_top(self) -> None:
        for rig in self.rigs:
            self._check_views(rig)

    def _check_views(self, rig: Rig) -> None:
        if rig.log != self.core.epoch:
            return
        for key in KEYS:
            view = rig.view(key)
            versions = self.core.state.values.get((CHANNEL, key), [None])
            known = rig.replica.channels[CHANNEL].get(key)
            if known is not None and known.value is not None and known.version:
                assert known.value == versions[view.version]
            expected = dict(known.value or {}) if known is not None else {}
            for entry in rig.replica.queue.entries:
                if entry.document == (CHANNEL, key) and entry.shown:
                    assert isinstance(entry.edit.do, Add)
                    for pointer in entry.edit.do.numbers:
                        expected[pointer[1:]] = expected.get(pointer[1:], 0) + 1
            assert (view.value or {}) == expected

    @invariant()
    def no_edit_is_shown_twice(self) -> None:
        for rig in self.rigs:
            for key in KEYS if rig.log == self.core.epoch else ():
                value = rig.value(key) or {}
                assert all(number == 1 for number in value.values()), (rig.name, key, value)

    @invariant()
    def an_edit_that_was_answered_is_shown_exactly_once(self) -> None:
        for who, rig in enumerate(self.rigs):
            if rig.replica.queue.asking or rig.log != self.core.epoch:
                continue
            for place, (key, mark) in self.made[who].items():
                outcome = rig.outcomes.get(place)
                if outcome is None or rig.seqs[CHANNEL] is None:
                    continue
                gone = self._is_gone(key, mark)
                shown = (rig.value(key) or {}).get(mark, 0)
                if outcome.outcome == "applied":
                    assert shown == 1 or (shown == 0 and gone), (place, key, mark)
                elif outcome.outcome == "refused":
                    assert shown == 0

    def _is_gone(self, key: str, mark: str) -> bool:
        """Whether somebody has deleted the document, or the log that had the mark is no more."""
        versions = self.core.state.values.get((CHANNEL, key), [None])
        having = [bool(value) and mark in (value or {}) for value in versions]
        return not having[-1] or self.restores

    def teardown(self) -> None:
        """At rest: everything is sent, answered and synced."""
        for rig, answers in zip(self.rigs, self.answers, strict=True):
            for request, *_ in answers:
                rig.replica.queue.failed(request)
        for _ in range(3):
            for rig in self.rigs:
                rig.sync()
                rig.send()
        for who, rig in enumerate(self.rigs):
            rig.sync()
            assert rig.replica.queue.entries == []
            assert rig.replica.agrees(CHANNEL, self.core.digest(CHANNEL))
            for key in KEYS:
                shown, core = rig.value(key), self.core.value(CHANNEL, key)
                assert canonical(shown) == canonical(core)
            self._check_nothing_lost(who)

    def _check_nothing_lost(self, who: int) -> None:
        history = self.core.state.values
        for place, (key, mark) in self.made[who].items():
            was_there = any(mark in (value or {}) for value in history.get((CHANNEL, key), []))
            outcome = self.rigs[who].outcomes.get(place)
            if outcome is None or outcome.outcome == "applied":
                assert was_there or self._is_lost(who, place), (place, key, mark)
            else:
                assert not was_there

    def _is_lost(self, who: int, place: int) -> bool:
        """Whether a crash took the answer with it, or a restore what was settled and seen."""
        return self.restores or self._told(who, place)

    def _told(self, who: int, place: int) -> bool:
        # Refused or put aside, and the process died before it could say so: Core knows.
        _, mark = self.made[who][place]
        for batch in self.core.requests:
            for edit in batch.edits:
                do = getattr(edit, "do", None)
                if isinstance(do, Add) and f"/{mark}" in do.numbers:
                    return place not in self.rigs[who].outcomes
        return False


class Restores(Interleavings):
    """The same with a Core that goes back to a backup."""

    restores = True

    @rule()
    def back_up(self) -> None:
        self.core.back_up()

    @rule()
    def restore(self) -> None:
        self.core.restore()
        self.answers = [[], []]


_SETTINGS: Final = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class TestInterleavings(Interleavings.TestCase):  # type: ignore[misc, valid-type]
    settings = _SETTINGS


class TestRestores(Restores.TestCase):  # type: ignore[misc, valid-type]
    settings = _SETTINGS


# ── planted bugs are found ───────────────────────────────────────────────────


def _applied_twice() -> AbstractContextManager[Any]:
    """An event that contains a pending edit does not take it out of the view."""

    def shown(self: Replica, name: tuple[str, str]) -> None:
        self._composed.pop(name, None)

    return patch.object(Replica, "_shown", shown)


def _new_number_for_a_repeat() -> AbstractContextManager[Any]:
    """What may have been settled goes out again under another client id."""

    def failed(self: EditQueue, request: Request) -> None:
        if self._landed(request):
            self._rename(self.unanswered, anew=True)

    return patch.object(EditQueue, "failed", failed)


def _queue_lost_at_a_crash() -> AbstractContextManager[Any]:
    def lost(self: MemoryState, writes: Sequence[Any]) -> None:
        written(self, [write for write in writes if type(write).__name__ != "PutEntry"])

    written = MemoryState.write
    return patch.object(MemoryState, "write", lost)


def _rebased_on_the_wrong_base() -> AbstractContextManager[Any]:
    """The view goes on from what it showed, not from Core's value."""

    def composed(self: Replica, name: tuple[str, str]) -> Composed:
        before = kept.get((id(self), name))
        document = self._documents(name).get(name[1])
        value = None if document is None else document.value
        result = compose(before or value, self._pending(name), {})  # type: ignore[arg-type]
        if self._pending(name):
            kept[id(self), name] = value  # type: ignore[assignment]
        return result

    kept: dict[tuple[int, tuple[str, str]], dict[str, Any] | None] = {}
    return patch.object(Replica, "_compose", composed)


def _taken_out_on_the_answer() -> AbstractContextManager[Any]:
    def outcome(self: Replica, entry: Entry, answer: EditOutcome) -> None:
        entry.shown = False
        taken(self, entry, answer)

    taken = Replica._outcome
    return patch.object(Replica, "_outcome", outcome)


def _stalled_behind_a_refusal() -> AbstractContextManager[Any]:
    def take(
        self: EditQueue, request: Request, outcomes: Sequence[EditOutcome]
    ) -> list[tuple[Entry, EditOutcome]]:
        return taken(self, request, [one for one in outcomes if one.outcome != "refused"])

    taken = EditQueue.take
    return patch.object(EditQueue, "take", take)


def _shown_twice() -> AbstractContextManager[Any]:
    """What a lost answer has done is taken for what is still to be done."""
    return patch.object(Replica, "_is_unsure", lambda _self, _name: False)


def _play(seed: int) -> None:
    """One schedule that only the seed decides, with every check after every step."""
    random = Random(seed)
    machine = Interleavings()
    for _ in range(40):
        who, key, chance = random.randrange(2), random.choice(KEYS), random.random() < 0.5
        acts: list[Callable[[], None]] = [
            partial(machine.edit, who, key),
            partial(machine.edit_and_die, who, key, chance),
            partial(machine.send, who),
            partial(machine.hear, who, chance),
            partial(machine.lose_answer, who),
            partial(machine.event, who),
            partial(machine.fetch, who),
            partial(machine.reconnect, who),
            partial(machine.crash, who),
            partial(machine.somebody_else_writes, key, random.randrange(5)),
            partial(machine.inquire, who),
        ]
        random.choice(acts)()
        machine.no_edit_is_in_core_twice()
        machine.each_view_is_cores_value_with_the_pending_edits_on_top()
        machine.no_edit_is_shown_twice()
        machine.an_edit_that_was_answered_is_shown_exactly_once()
    machine.teardown()


SEEDS: Final = 100
"""Even the rarest of the planted bugs is found by ten of them."""


def _play_all() -> None:
    for seed in range(SEEDS):
        _play(seed)


def test_no_schedule_of_these_seeds_breaks_a_promise() -> None:
    _play_all()


@pytest.mark.parametrize(
    "planted",
    [
        _applied_twice,
        _shown_twice,
        _new_number_for_a_repeat,
        _queue_lost_at_a_crash,
        _rebased_on_the_wrong_base,
        _taken_out_on_the_answer,
        _stalled_behind_a_refusal,
    ],
)
def test_a_planted_bug_is_found(planted: Callable[[], AbstractContextManager[Any]]) -> None:
    with planted(), pytest.raises(AssertionError):
        _play_all()
