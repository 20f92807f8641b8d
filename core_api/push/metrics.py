"""The numbers of pushes, for the person on call."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, get_args

from prometheus_client import CollectorRegistry

from core_api.push.retries import PushEnding
from core_api.push.subscriptions import Standing
from core_api.webhooks.retries import OutcomeKind
from server_common.ops.metric_factory import MetricFactory

Whose = Literal["owners", "guests"]


class PushMetrics:
    """Its numbers, in a registry of the caller's.

    Args:
        registry: where they are.
        monotonic_s: a clock that only goes forward, in seconds.
    """

    def __init__(
        self, registry: CollectorRegistry, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic_s = monotonic_s
        self._looked_at: dict[Whose, float] = dict.fromkeys(get_args(Whose), monotonic_s())
        metrics = MetricFactory(registry)
        self.attempts = metrics.counter(
            "yabam_pushes_attempts",
            "Requests to push services, by outcome",
            outcome=get_args(OutcomeKind),
        )
        self.ended = metrics.counter(
            "yabam_pushes_ended",
            "Browsers whose subscription ended, by reason",
            why=get_args(PushEnding),
        )
        self.bugs = metrics.counter(
            "yabam_pushes_bugs",
            "Browsers skipped for a while because of a bug",
        )
        self.under_way = metrics.gauge(
            "yabam_pushes_under_way", "Requests to push services in progress"
        )
        self.subscriptions = metrics.gauge(
            "yabam_pushes_subscriptions",
            "Subscribed browsers; an owner's browser counts once for each of its stores",
            whose=get_args(Whose),
        )
        self.late = metrics.gauge(
            "yabam_pushes_late",
            "Those whose push service has failed for more than five minutes",
            whose=get_args(Whose),
        )
        self.unreadable = metrics.gauge(
            "yabam_pushes_unreadable",
            "Subscribed browsers that are not told because the database cannot read their rows",
            whose=get_args(Whose),
        )
        self.unlooked = metrics.gauge(
            "yabam_pushes_unlooked_seconds",
            "How long ago the last look for browsers that are due succeeded",
        )
        # Rises also if the task hangs, or fails at each start.
        self.unlooked.set_function(lambda: self._monotonic_s() - min(self._looked_at.values()))

    def looked(self, whose: Whose) -> None:
        """Record a successful look for browsers of a kind."""
        self._looked_at[whose] = self._monotonic_s()

    def stands(self, whose: Whose, standing: Standing) -> None:
        """Record the state of the subscriptions of a kind."""
        self.subscriptions.labels(whose).set(standing.subscriptions)
        self.late.labels(whose).set(standing.late)
