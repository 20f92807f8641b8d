"""How long pushes take: the histogram, and whose clock it believes."""

from __future__ import annotations

from event_server.replay.database_clock import DatabaseClock
from event_server.streams.latency import BOUNDS_S, PushLatency

INFINITY = float("inf")


class Times:
    """A database's clock known to show 1000 at monotonic 0, and this machine's."""

    def __init__(self, wall: float) -> None:
        self.wall = wall
        clock = DatabaseClock()
        clock.observe(1000.0, 0.0)
        self.latency = PushLatency(clock, lambda: self.wall)

    def push(self, at: float, handed_out: float) -> None:
        """An event that the relay read at `at`, handed out at monotonic `handed_out`."""
        self.latency.handed(at)
        self.latency.settle(handed_out)

    @property
    def count(self) -> int:
        return dict(self.latency.cumulative())[INFINITY]


def test_a_push_is_counted_in_every_bucket_that_it_was_quick_enough_for() -> None:
    times = Times(wall=0.0)
    times.push(at=1000.0, handed_out=0.02)
    buckets = dict(times.latency.cumulative())
    assert [buckets[bound] for bound in BOUNDS_S if bound < 0.02] == [0, 0, 0, 0]
    assert buckets[0.025] == buckets[30.0] == buckets[INFINITY] == 1
    assert round(times.latency.sum_s, 6) == 0.02


def test_one_slower_than_all_bounds_is_counted_still() -> None:
    times = Times(wall=0.0)
    times.push(at=900.0, handed_out=0.0)
    buckets = dict(times.latency.cumulative())
    assert (buckets[30.0], buckets[INFINITY]) == (0, 1)


def test_this_machines_clock_is_believed_where_it_agrees_with_the_estimate() -> None:
    times = Times(wall=1000.04)
    times.push(at=1000.0, handed_out=0.01)
    assert round(times.latency.sum_s, 6) == 0.04


def test_a_clock_that_is_ahead_or_behind_is_not_believed() -> None:
    for wall in (1300.0, 700.0):
        times = Times(wall)
        times.push(at=1000.0, handed_out=0.01)
        assert round(times.latency.sum_s, 6) == 0.01


def test_a_record_from_the_future_of_the_estimate_took_no_time() -> None:
    times = Times(wall=0.0)
    times.push(at=1000.5, handed_out=0.0)
    assert (times.count, times.latency.sum_s) == (1, 0.0)


def test_nothing_is_counted_while_the_time_is_not_known() -> None:
    latency = PushLatency(DatabaseClock(), lambda: 0.0)
    latency.handed(1000.0)
    latency.settle(1.0)
    assert dict(latency.cumulative())[INFINITY] == 0


def test_what_was_settled_is_not_counted_again() -> None:
    times = Times(wall=0.0)
    times.push(at=1000.0, handed_out=0.01)
    times.latency.settle(5.0)
    assert times.count == 1
