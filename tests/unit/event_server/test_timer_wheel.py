"""The one timer: deadlines and turns, against the obvious."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from event_server.streams.timer_wheel import Deadlines, Rota


class TestDeadlines:
    def test_each_is_due_once_at_its_tick_the_earliest_first(self) -> None:
        deadlines: Deadlines[str] = Deadlines()
        deadlines.set("late", 5)
        deadlines.set("early", 2)
        assert deadlines.turn(1) == []
        assert deadlines.turn(9) == ["early", "late"]
        assert deadlines.turn(10) == []

    def test_setting_again_moves_it(self) -> None:
        deadlines: Deadlines[str] = Deadlines()
        deadlines.set("a", 5)
        deadlines.set("a", 7)
        assert deadlines.turn(6) == []
        assert deadlines.turn(7) == ["a"]

    def test_a_tick_that_is_past_means_the_next_turn(self) -> None:
        deadlines: Deadlines[str] = Deadlines()
        deadlines.turn(5)
        deadlines.set("a", 3)
        assert deadlines.turn(6) == ["a"]

    @given(st.lists(st.tuples(st.sampled_from("sdt"), st.integers(0, 5), st.integers(0, 30))))
    def test_it_is_a_dictionary_of_ticks(self, steps: list[tuple[str, int, int]]) -> None:
        deadlines: Deadlines[int] = Deadlines()
        model: dict[int, int] = {}
        turned = -1
        for action, item, tick in steps:
            if action == "s":
                deadlines.set(item, tick)
                model[item] = max(tick, turned + 1)
            elif action == "d":
                deadlines.discard(item)
                model.pop(item, None)
            else:
                turned = max(turned, tick)
                due = {i for i, t in model.items() if t <= tick}
                assert set(deadlines.turn(tick)) == due
                model = {i: t for i, t in model.items() if i not in due}
            assert set(deadlines.items()) == set(model)
            assert len(deadlines) == len(model)


class TestRota:
    def test_each_has_its_turn_once_in_a_period(self) -> None:
        rota: Rota[str] = Rota(3)
        for slot, item in enumerate("abc"):
            rota.add(item, slot)
        turns = [list(rota.turn(tick)) for tick in range(10, 16)]
        assert turns[:3] == turns[3:]
        assert sorted(turns[:3]) == [["a"], ["b"], ["c"]]

    def test_a_late_timer_skips_nobody_and_takes_nobody_twice(self) -> None:
        rota: Rota[str] = Rota(3)
        for slot, item in enumerate("abc"):
            rota.add(item, slot)
        list(rota.turn(10))
        assert sorted(rota.turn(12)) == ["a", "c"]
        assert sorted(rota.turn(99)) == ["a", "b", "c"]

    def test_who_has_left_has_no_turn(self) -> None:
        rota: Rota[str] = Rota(1)
        rota.add("a", 0)
        rota.discard("a")
        rota.discard("a")
        assert list(rota.turn(1)) == []
