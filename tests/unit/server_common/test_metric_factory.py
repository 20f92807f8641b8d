from __future__ import annotations

from prometheus_client import CollectorRegistry

from server_common.ops.metric_factory import MetricFactory


def test_every_series_is_there_from_the_start_at_0() -> None:
    registry = CollectorRegistry()
    metrics = MetricFactory(registry)

    metrics.counter("told", "What was told", kind=("order", "edit"), outcome=("done", "refused"))
    metrics.gauge("waiting", "What waits", of=("guests",))
    metrics.histogram("taken_seconds", "How long it took", (1.0, 5.0), by=("sync",))
    metrics.counter("plain", "No labels")

    for kind in ("order", "edit"):
        for outcome in ("done", "refused"):
            series = {"kind": kind, "outcome": outcome}
            assert registry.get_sample_value("told_total", series) == 0
    assert registry.get_sample_value("waiting", {"of": "guests"}) == 0
    assert registry.get_sample_value("taken_seconds_count", {"by": "sync"}) == 0
    assert registry.get_sample_value("taken_seconds_bucket", {"by": "sync", "le": "5.0"}) == 0
    assert registry.get_sample_value("plain_total") == 0


def test_a_label_of_which_no_value_is_known_has_its_series_when_one_comes() -> None:
    registry = CollectorRegistry()
    restarts = MetricFactory(registry).counter("restarts", "Tasks begun again", task=())

    assert registry.get_sample_value("restarts_total", {"task": "trim"}) is None
    restarts.labels("trim").inc()
    assert registry.get_sample_value("restarts_total", {"task": "trim"}) == 1
