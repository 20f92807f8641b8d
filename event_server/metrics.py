"""The event server's metrics, read from its parts when Prometheus asks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from client_sdk.contract.stream import ByeReason
from event_server.sockets.talk import Talk
from event_server.streams.health import HealthState
from event_server.streams.latency import PushLatency
from event_server.streams.registry import Streams
from server_common.tls.certificate import ServerCertificate
from server_common.tls.metrics import watched

Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

# Every series exists from the start, at 0: one that appears with its first fault raises no alert.
ENDS: Final = (*get_args(ByeReason), "sync-required", "client", "aborted", "failed")
REFUSALS: Final = (
    "bad-request",
    "upgrade-required",
    "bad-cursor",
    "unauthorized",
    "bad-ticket",
    "forbidden",
    "misdirected",
    "overloaded",
    "degraded",
    "unavailable",
)
SKIPS: Final = (
    "foreign", "malformed", "failed", "omitted", "missing", "unreadable", "ahead", "old_epoch"
)  # fmt: skip
SOURCE: Final = "source"
"""The task that reads Kafka."""
TIMER: Final = "timer"
"""The task that ends streams and sends heartbeats."""
WRITER: Final = "side_writer"
"""The task that writes messages and receipts of sockets to Kafka."""
READER: Final = "side_reader"
"""The task that reads messages of sockets from Kafka."""
REVOCATIONS: Final = "revocations"
"""The task that reads from Kafka which tokens are revoked."""
CERTIFICATE: Final = "certificate"
"""The task that looks for a renewed certificate."""
TALK: Final = ("sent", "delivered", "malformed", "receipts", "refused", "dropped")


class EventMetrics(Collector):
    """The metrics of one event server, in a registry of its own.

    Args:
        streams: the open streams, and through them the hub.
        talk: the open sockets, and their messages.
        latency: how long pushes take.
        monotonic: seconds.
    """

    def __init__(
        self, streams: Streams, talk: Talk, latency: PushLatency, monotonic: Callable[[], float]
    ) -> None:
        self.latency = latency
        self.skipped: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()
        self._sessions: Callable[[], int] = lambda: 0
        self._streams = streams
        self._talk = talk
        self._monotonic = monotonic
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def watch_certificates(
        self, files: tuple[str, str] | None, kafka: str
    ) -> ServerCertificate | None:
        """Show the numbers of the port's certificate, which is returned, and of that for Kafka."""
        return watched(files, self._registry, kafka)

    def count_sessions(self, sessions: Callable[[], int]) -> None:
        """Read the number of reading sessions from this function."""
        self._sessions = sessions

    def task_restarted(self, task: str) -> None:
        """Count that a background task has ended and is started again."""
        self.restarts[task] += 1

    def exposition(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Family]:
        """Nothing: the names are known only in `collect`."""
        return iter(())

    def collect(self) -> Iterator[Family]:
        """The metrics as they are now."""
        yield from self._streams_now()
        yield from self._log_now()
        yield from self._health_now()

    def _streams_now(self) -> Iterator[Family]:
        hub = self._streams.hub
        yield _gauge("streams_open_count", "Streams that are open", len(self._streams))
        yield _gauge("sockets_open_count", "Of these, WebSockets", len(self._talk))
        yield _counters(
            "socket_talk_total",
            "What sockets sent beside their tickets: messages to others that were taken (sent), "
            "passed on to one socket each (delivered), or unreadable in Kafka (malformed); "
            "receipts; what was refused; receipts that were left out (dropped)",
            "kind",
            self._talk.counts,
            TALK,
        )
        yield _gauge(
            "channels_followed_count", "Channels that a stream follows", hub.channels_followed
        )
        yield _counter("streams_opened_total", "Streams begun", self._streams.opened)
        yield _counters(
            "streams_ended_total",
            "Streams ended, by the reason in bye; client: it left; aborted: its last frame did not "
            "leave in time; failed: it could not be written to",
            "reason",
            self._streams.ended,
            ENDS,
        )
        yield _counters(
            "sync_required_total",
            "Streams told to sync because coverage cannot be proven, by reason",
            "reason",
            hub.sync_required,
        )
        yield _counters(
            "requests_refused_total",
            "Requests answered with a problem",
            "problem",
            self.refused,
            REFUSALS,
        )
        yield _counter("deliveries_total", "Events sent live to a stream", hub.deliveries)
        yield HistogramMetricFamily(
            "yabam_events_push_seconds",
            "From the relay's read of an event to its write to streams, for followed channels",
            buckets=[(_bound(most), float(n)) for most, n in self.latency.cumulative()],
            sum_value=self.latency.sum_s,
        )

    def _log_now(self) -> Iterator[Family]:
        hub = self._streams.hub
        yield _counter("events_total", "Events taken from Kafka, per channel", hub.published)
        yield _counter(
            "duplicates_total", "Events dropped because they had come before", hub.duplicates
        )
        yield _counter(
            "copies_total",
            "Events of brand and global channels that another partition had brought before",
            hub.copies,
        )
        yield _counter(
            "gaps_total",
            "Events that did not follow their channel's last one: look into Kafka",
            hub.gaps,
        )
        yield _counters(
            "records_skipped_total",
            "Records of the topic that were left out, or are missing in it",
            "kind",
            self.skipped,
            SKIPS,
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

    def _health_now(self) -> Iterator[Family]:
        now = self._monotonic()
        state: HealthState = self._streams.health.state(now)
        ready = state == "ok" and self._streams.health.trouble() is None
        yield _gauge("ready_state", "1 if streams are served", int(ready))
        yield _counters(
            "task_restarts_total",
            "Background tasks that had ended and were started again",
            "task",
            self.restarts,
            (SOURCE, TIMER, WRITER, READER, REVOCATIONS, CERTIFICATE),
        )
        states = GaugeMetricFamily(
            "yabam_events_health_state", "1 for the state that the server is in", labels=["state"]
        )
        for name in get_args(HealthState):
            states.add_metric([name], int(state == name))
        yield states
        lag = self._streams.hub.lag(now)
        if lag is not None:
            yield _gauge("watermark_lag_seconds", "How far the sent events are behind Core", lag)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"yabam_events_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"yabam_events_{name}", text, value=value)


def _counters(
    name: str, text: str, label: str, values: Mapping[str, int], known: Iterable[str] = ()
) -> CounterMetricFamily:
    family = CounterMetricFamily(f"yabam_events_{name}", text, labels=[label])
    for key in dict.fromkeys((*known, *values)):
        family.add_metric([key], values.get(key, 0))
    return family


def _bound(seconds: float) -> str:
    return "+Inf" if math.isinf(seconds) else str(seconds)
