"""What the ops page shows, worked out from what the processes told of themselves. Pure.

Counters only grow until their process restarts, so all rates come from two readings of the same
process; a counter that fell was reset to zero in between. Latencies come from the buckets that
filled up within the window, over all event servers together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from core_api.dashboard.alerts import (
    Alert,
    AlertVerdict,
    Signs,
    Spells,
    alerts_of,
    dated,
    late_stores,
    verdict_of,
)
from core_api.dashboard.processes import BusyChannel, Node, ProcessReading, Series, node_of
from core_api.dashboard.waiting import Acknowledged, LateStore, Overview, Waiting
from core_api.webhooks.subscriptions import Standing

WINDOW_S: Final = 60.0
"""How far latencies look back."""
RATE_S: Final = 10.0
"""How far rates look back."""
_PUSH_BUCKETS: Final = "yabam_events_push_seconds_bucket"


class Latency(Struct, frozen=True):
    """How long pushes took in the window, in milliseconds."""

    p50_ms: float
    p99_ms: float
    events: int


class Figures(Struct, frozen=True):
    """All that the page shows of one moment. null: not known now."""

    at_ms: int
    connections: int | None
    events_per_s: float | None
    deliveries_per_s: float | None
    latency: Latency | None
    """null: nothing was pushed in the window."""
    watermark_age_s: float | None
    """Of the event server that is furthest behind."""
    outbox: Waiting | None
    webhooks: Standing | None
    clients: dict[str, int] | None
    top: list[BusyChannel]
    late: list[LateStore] | None
    nodes: list[Node]
    database: str
    """Why Postgres does not answer; empty: it does."""
    alerts: list[Alert]
    """What is wrong, the worst first; stores that must be phoned stand in `late`."""
    verdict: AlertVerdict


@dataclass(frozen=True, slots=True)
class Round:
    """One look at everything."""

    at_s: float
    """Monotonic seconds."""
    at_ms: int
    """Milliseconds since the Unix epoch."""
    readings: Sequence[ProcessReading]
    overview: Overview | None
    database: str


class RoundHistory:
    """The rounds of the window, and what follows from them.

    Args:
        spells: since when what is wrong lasts.
        window_s: how far latencies look back.
        rate_s: how far rates look back.
    """

    def __init__(self, spells: Spells, window_s: float = WINDOW_S, rate_s: float = RATE_S) -> None:
        self._spells = spells
        self._window_s = window_s
        self._rate_s = rate_s
        self._rounds: deque[Round] = deque()
        self._acknowledged: Mapping[str, Acknowledged] = {}

    def figures(self, now: Round) -> Figures:
        """Take a round; what the page shows after it."""
        self._rounds.append(now)
        while self._rounds[0].at_s < now.at_s - self._window_s:
            self._rounds.popleft()
        overview = now.overview
        nodes = [node_of(reading) for reading in now.readings]
        latency = self._latency()
        watermark_age_s = _greatest(now.readings, "yabam_events_watermark_lag_seconds")
        late = late_stores(overview) if overview else None
        alerts = self._alerts(
            now,
            Signs(
                nodes,
                now.database,
                watermark_age_s,
                overview.outbox.age_s if overview else 0.0,
                latency.p99_ms if latency else 0.0,
                overview.webhooks if overview else None,
            ),
        )
        return Figures(
            at_ms=now.at_ms,
            connections=_whole(_sum(now.readings, "yabam_events_streams_open_count")),
            events_per_s=self._events_per_s(),
            deliveries_per_s=self._rate("yabam_events_deliveries_total"),
            latency=latency,
            watermark_age_s=watermark_age_s,
            outbox=overview.outbox if overview else None,
            webhooks=overview.webhooks if overview else None,
            clients=overview.modes if overview else None,
            top=merged(reading.busy for reading in now.readings),
            late=late,
            nodes=nodes,
            database=now.database,
            alerts=alerts,
            verdict=verdict_of(alerts, late or []),
        )

    def _alerts(self, now: Round, signs: Signs) -> list[Alert]:
        alerts = alerts_of(signs)
        spells = self._spells.take(now.at_ms, [alert.name for alert in alerts])
        if now.overview is not None:
            self._acknowledged = now.overview.acknowledged
        return dated(alerts, spells, self._acknowledged)

    def _events_per_s(self) -> float | None:
        """Events are counted once where they are published; each event server counts them anew."""
        published = self._rate("yabam_relay_published_events_total")
        return self._rate("yabam_events_events_total") if published is None else published

    def _rate(self, metric: str) -> float | None:
        rounds = self._since(self._rate_s)
        grown = growth(rounds, metric)
        if grown is None:
            return None
        seconds = rounds[-1].at_s - rounds[0].at_s
        return round(sum(grown.values()) / seconds, 2) if seconds > 0 else 0.0

    def _latency(self) -> Latency | None:
        grown = growth(self._since(self._window_s), _PUSH_BUCKETS)
        buckets = sorted((float(labels[0]), count) for labels, count in (grown or {}).items())
        if not buckets or buckets[-1][1] < 1:
            return None
        p50, p99 = (round(quantile(share, buckets) * 1000, 2) for share in (0.5, 0.99))
        return Latency(p50, p99, round(buckets[-1][1]))

    def _since(self, seconds: float) -> list[Round]:
        after = self._rounds[-1].at_s - seconds
        return [one for one in self._rounds if one.at_s >= after]


def growth(rounds: Sequence[Round], metric: str) -> dict[tuple[str, ...], float] | None:
    """By how much a counter grew over the rounds, by its labels, over all processes.

    A process counts from its first reading on; None: none of them has the metric.
    """
    grown: dict[tuple[str, ...], float] = {}
    known = False
    last: dict[str, Series] = {}
    for one in rounds:
        for reading in one.readings:
            series = reading.values.get(metric)
            if series is None:
                continue
            known = True
            before = last.get(reading.node, series)
            for labels, value in series.items():
                old = before.get(labels, 0.0)
                more = value - old if value >= old else value
                grown[labels] = grown.get(labels, 0.0) + more
            last[reading.node] = series
    return grown if known else None


def quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float:
    """The quantile of a histogram, evenly spread within its bucket, as Prometheus has it.

    Args:
        share: 0 to 1.
        buckets: the bounds, rising, each with the count up to it; the last bound is infinite.
    """
    rank = share * buckets[-1][1]
    at = bisect_left([count for _, count in buckets], rank)
    if at >= len(buckets) - 1:
        return buckets[-2][0]
    low, below = buckets[at - 1] if at else (0.0, 0.0)
    high, count = buckets[at]
    return low + (high - low) * (rank - below) / (count - below) if count > below else high


def merged(lists: Iterable[Sequence[BusyChannel]], limit: int = 10) -> list[BusyChannel]:
    """The busiest channels of all event servers together."""
    found: dict[str, BusyChannel] = {}
    for channels in lists:
        for one in channels:
            other = found.get(one.channel, BusyChannel(one.channel, 0, 0))
            found[one.channel] = BusyChannel(
                one.channel, one.followers + other.followers, max(one.events, other.events)
            )
    ranked = sorted(
        found.values(), key=lambda c: (-c.events * c.followers, -c.followers, c.channel)
    )
    return ranked[:limit]


def _totals(readings: Iterable[ProcessReading], metric: str) -> list[float]:
    return [total for reading in readings if (total := reading.total(metric)) is not None]


def _sum(readings: Iterable[ProcessReading], metric: str) -> float | None:
    totals = _totals(readings, metric)
    return sum(totals) if totals else None


def _greatest(readings: Iterable[ProcessReading], metric: str) -> float | None:
    return max(_totals(readings, metric), default=None)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
