"""What the ops page shows, from what the processes tell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from core_api.dashboard.alerts import Spells
from core_api.dashboard.figures import Figures, Round, RoundHistory, growth, merged, quantile
from core_api.dashboard.processes import BusyChannel, ProcessKind, ProcessReading, Series
from core_api.dashboard.waiting import LateStore, Overview, Waiting

DELIVERIES = "yabam_events_deliveries_total"
PUBLISHED = "yabam_relay_published_events_total"
EVENTS = "yabam_events_events_total"


def reading(node: str, values: Mapping[str, float], kind: ProcessKind = "events") -> ProcessReading:
    return ProcessReading(
        node, kind, "ready", "", {name: {(): value} for name, value in values.items()}
    )


def labelled(node: str, metric: str, values: Mapping[tuple[str, ...], float]) -> ProcessReading:
    return ProcessReading(node, "events", "ready", "", {metric: values})


def a_round(at_s: float, *readings: ProcessReading, overview: Overview | None = None) -> Round:
    return Round(at_s, round(at_s * 1000), readings, overview, "" if overview else "it is away")


def after(*rounds: Round) -> Figures:
    history = RoundHistory(Spells())
    figures = [history.figures(one) for one in rounds]
    return figures[-1]


class TestRates:
    def test_a_rate_is_the_growth_of_all_processes_over_ten_seconds(self) -> None:
        rounds = [
            a_round(at, reading("a", {DELIVERIES: 100 + at}), reading("b", {DELIVERIES: 3 * at}))
            for at in range(0, 22, 2)
        ]
        assert after(*rounds).deliveries_per_s == 4.0

    def test_a_process_that_began_anew_counts_from_zero(self) -> None:
        first, second = (
            a_round(0, reading("a", {DELIVERIES: 1000})),
            reading("a", {DELIVERIES: 20}),
        )
        assert after(first, a_round(10, second)).deliveries_per_s == 2.0

    def test_a_process_counts_from_its_first_reading_on(self) -> None:
        late = reading("b", {DELIVERIES: 5000})
        rounds = [a_round(0, reading("a", {DELIVERIES: 0})), a_round(5, late), a_round(10, late)]
        assert after(*rounds).deliveries_per_s == 0.0

    def test_one_that_was_silent_for_a_round_loses_nothing(self) -> None:
        rounds = [
            a_round(0, reading("a", {DELIVERIES: 0})),
            a_round(5),
            a_round(10, reading("a", {DELIVERIES: 30})),
        ]
        assert after(*rounds).deliveries_per_s == 3.0

    def test_the_first_round_has_no_rate_yet(self) -> None:
        assert after(a_round(0, reading("a", {DELIVERIES: 9}))).deliveries_per_s == 0.0

    def test_what_nobody_exports_is_not_known(self) -> None:
        figures = after(a_round(0), a_round(10))
        assert figures.deliveries_per_s is None
        assert figures.connections is None
        assert figures.watermark_age_s is None

    def test_events_are_counted_where_they_are_published(self) -> None:
        both = [
            a_round(at, reading("r", {PUBLISHED: at}, "relay"), reading("e", {EVENTS: 4 * at}))
            for at in (0, 10)
        ]
        assert after(*both).events_per_s == 1.0
        alone = [a_round(at, reading("e", {EVENTS: 4 * at})) for at in (0, 10)]
        assert after(*alone).events_per_s == 4.0


class TestLatency:
    METRIC = "yabam_events_push_seconds_bucket"

    def pushes(self, at: float, node: str, quick: float, slow: float) -> Round:
        series: Series = {
            ("0.01",): quick,
            ("0.1",): quick,
            ("1.0",): quick + slow,
            ("+Inf",): quick + slow,
        }
        return a_round(at, labelled(node, self.METRIC, series))

    def test_it_is_that_of_the_pushes_of_the_last_minute(self) -> None:
        rounds = [
            self.pushes(0, "e", 0, 1000),
            self.pushes(30, "e", 0, 1000),
            self.pushes(70, "e", 100, 1000),
        ]
        latency = after(*rounds).latency
        assert latency is not None
        assert (latency.events, latency.p50_ms) == (100, 5.0)
        assert latency.p99_ms < 10

    def test_it_is_over_all_event_servers_together(self) -> None:
        rounds = []
        for at, grown in ((0, 0), (10, 1)):
            quick, slow = self.pushes(at, "a", 98 * grown, 0), self.pushes(at, "b", 0, 2 * grown)
            rounds.append(a_round(at, *quick.readings, *slow.readings))
        latency = after(*rounds).latency
        assert latency is not None
        assert latency.p50_ms < 10
        assert 100 < latency.p99_ms <= 1000

    def test_without_a_push_there_is_none(self) -> None:
        assert after(self.pushes(0, "e", 50, 1), self.pushes(10, "e", 50, 1)).latency is None


class TestQuantile:
    BUCKETS = ((1.0, 10.0), (2.0, 20.0), (float("inf"), 20.0))

    @pytest.mark.parametrize(
        ("share", "value"), [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.75, 1.5), (1.0, 2.0)]
    )
    def test_it_is_spread_evenly_within_its_bucket(self, share: float, value: float) -> None:
        assert quantile(share, self.BUCKETS) == pytest.approx(value)

    def test_beyond_the_last_bound_nothing_more_is_known(self) -> None:
        assert quantile(0.99, ((1.0, 0.0), (float("inf"), 5.0))) == 1.0


def test_growth_is_none_for_a_metric_that_nobody_has() -> None:
    assert growth([a_round(0), a_round(1)], DELIVERIES) is None


def test_the_watermark_is_that_of_the_server_furthest_behind() -> None:
    lag = "yabam_events_watermark_lag_seconds"
    assert (
        after(a_round(0, reading("a", {lag: 0.2}), reading("b", {lag: 7.5}))).watermark_age_s == 7.5
    )


def test_the_busiest_channels_of_all_servers_are_put_together() -> None:
    shared = BusyChannel("store:1", 3, 10)
    found = merged(
        [[shared, BusyChannel("store:2", 100, 1)], [shared, BusyChannel("store:3", 1, 1)]]
    )
    assert found == [
        BusyChannel("store:2", 100, 1),
        BusyChannel("store:1", 6, 10),
        BusyChannel("store:3", 1, 1),
    ]
    assert len(merged([[BusyChannel(f"store:{n}", 1, n) for n in range(50)]])) == 10


def test_what_postgres_knows_is_passed_on_and_its_absence_told() -> None:
    late = [LateStore("unreceived", "12", 2, 200.0, "01A")]
    there = Overview(datetime(2026, 11, 21, tzinfo=UTC), Waiting(3, 1.5), {"live": 4}, late)
    figures = after(a_round(0, overview=there))
    assert (figures.outbox, figures.clients, figures.late) == (Waiting(3, 1.5), {"live": 4}, late)
    assert figures.database == ""
    away = after(a_round(0))
    assert (away.outbox, away.clients, away.late) == (None, None, None)
    assert away.database == "it is away"


def test_a_node_is_shown_with_what_tells_how_its_kind_is() -> None:
    relay = reading(
        "r", {"yabam_relay_leases_held": 4, "yabam_relay_watermark_age_seconds": 0.1234}, "relay"
    )
    gone = ProcessReading("http://e:8001", "unknown", "down", "connection refused", {})
    first, second = after(a_round(0, relay, gone)).nodes
    assert first.figures == {"shards": 4, "watermark_age_s": 0.123}
    assert (second.state, second.detail, second.figures) == ("down", "connection refused", {})
