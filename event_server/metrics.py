"""What the event server counts, read from its parts when Prometheus asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from event_server.health import State
from event_server.streams import Streams


class EventMetrics(Collector):
    """The metrics of one event server, in a registry of its own.

    Args:
        streams: the open streams, and through them the hub.
        monotonic: seconds.
    """

    def __init__(self, streams: Streams, monotonic: Callable[[], float]) -> None:
        self.skipped: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._sessions: Callable[[], int] = lambda: 0
        self._streams = streams
        self._monotonic = monotonic
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count_sessions(self, sessions: Callable[[], int]) -> None:
        """Where to read how often reading from Kafka was begun."""
        self._sessions = sessions

    def exposition(self) -> bytes:
        """All of it as text."""
        return generate_latest(self._registry)

    def describe(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Nothing in advance: names are fixed in `collect`."""
        return iter(())

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """The state of this moment."""
        yield from self._streams_now()
        yield from self._log_now()
        yield from self._health_now()

    def _streams_now(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        hub = self._streams.hub
        yield _gauge("streams_open_count", "Streams that are open", len(self._streams))
        yield _gauge(
            "channels_followed_count", "Channels that a stream follows", hub.channels_followed
        )
        yield _counter("streams_opened_total", "Streams begun", self._streams.opened)
        yield _counters(
            "streams_ended_total",
            "Streams ended, by the reason in bye; client: it left; aborted: its connection was cut",
            "reason",
            self._streams.ended,
        )
        yield _counters(
            "sync_required_total",
            "Streams told to sync because coverage cannot be proven, by reason",
            "reason",
            hub.sync_required,
        )
        yield _counters(
            "requests_refused_total", "Requests answered with a problem", "problem", self.refused
        )
        yield _counter("deliveries_total", "Events sent live to a stream", hub.deliveries)

    def _log_now(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        hub = self._streams.hub
        yield _counter("events_total", "Events taken from Kafka, per channel", hub.published)
        yield _counter(
            "duplicates_total", "Events dropped because they had come before", hub.duplicates
        )
        yield _counter(
            "gaps_total",
            "Events that did not follow their channel's last one: look into Kafka",
            hub.gaps,
        )
        yield _counters(
            "records_skipped_total", "Records of the topic that were left out", "kind", self.skipped
        )
        yield _counter(
            "sessions_total", "Times that reading from Kafka was begun", self._sessions()
        )
        yield _gauge("ring_size_bytes", "Memory of the rings", hub.rings.bytes)
        yield _gauge("ring_events_count", "Events kept in the rings", hub.rings.events)
        yield _gauge("ring_channels_count", "Channels with a ring", len(hub.rings))
        yield _counter(
            "ring_evictions_total",
            "Seconds of events dropped from the rings early, for lack of space",
            hub.rings.evicted_for_space,
        )

    def _health_now(self) -> Iterator[GaugeMetricFamily]:
        now = self._monotonic()
        state: State = self._streams.health.state(now)
        yield _gauge("ready_state", "1 if streams are served", int(state == "ok"))
        lag = self._streams.hub.lag(now)
        if lag is not None:
            yield _gauge("watermark_lag_seconds", "How far what was handed out is behind Core", lag)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"yabam_events_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"yabam_events_{name}", text, value=value)


def _counters(
    name: str, text: str, label: str, values: Counter[str] | dict[str, int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(f"yabam_events_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
