"""Which connection gives way to one that has come."""

from __future__ import annotations

from core_api.http.open_connections import OpenConnections, most_for


class Fake:
    """A connection that is at rest or not."""

    def __init__(self, rests: bool) -> None:
        self.rests = rests
        self.asked = 0

    def give_way(self) -> bool:
        self.asked += 1
        return self.rests


def test_nobody_gives_way_below_the_bound() -> None:
    connections = OpenConnections(3)
    all_ = [Fake(True) for _ in range(3)]
    for one in all_:
        connections.came(one)
    assert [one.asked for one in all_] == [0, 0, 0]


def test_the_oldest_at_rest_gives_way_and_those_before_it_are_looked_at_last() -> None:
    connections = OpenConnections(3)
    busy, resting, other = Fake(False), Fake(True), Fake(True)
    for one in (busy, resting, other, Fake(True)):
        connections.came(one)
    assert (busy.asked, resting.asked, other.asked) == (1, 1, 0)
    connections.came(Fake(True))
    assert (busy.asked, other.asked) == (1, 1)


def test_only_so_many_busy_ones_are_looked_at_and_the_newest_is_never_asked() -> None:
    connections = OpenConnections(1)
    busy = [Fake(False) for _ in range(1000)]
    for one in busy:
        connections.came(one)
    newest = Fake(True)
    before = sum(one.asked for one in busy)
    connections.came(newest)
    assert newest.asked == 0
    assert sum(one.asked for one in busy) - before == 64


def test_those_that_were_busy_give_way_later_all_that_are_too_many() -> None:
    connections = OpenConnections(2)
    all_ = [Fake(False) for _ in range(10)]
    for one in all_:
        connections.came(one)
    assert (len(connections), connections.given_way) == (10, 0)
    for one in all_:
        one.rests = True
    connections.came(Fake(True))
    assert (len(connections), connections.given_way) == (2, 9)


def test_who_asks_often_gives_way_last_though_it_came_first() -> None:
    connections = OpenConnections(2)
    frequent, quiet = Fake(True), Fake(True)
    for one in (frequent, quiet):
        connections.came(one)
    for one in (frequent, quiet, frequent):
        connections.answered(one)
    connections.came(Fake(True))
    assert (frequent.asked, quiet.asked) == (0, 1)


def test_one_that_has_given_way_and_answers_still_does_not_come_back() -> None:
    connections = OpenConnections(1)
    first = Fake(True)
    connections.came(first)
    connections.came(Fake(True))
    connections.answered(first)
    assert len(connections) == 1


def test_a_twentieth_of_the_files_and_those_of_other_uses_are_left_free() -> None:
    assert most_for(20_000, 64) == 18_936
    assert most_for(64, 64) == 1
