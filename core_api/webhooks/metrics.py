"""The numbers of webhooks, for the person on call."""

from __future__ import annotations

import time
from typing import get_args

from prometheus_client import CollectorRegistry

from core_api.webhooks.retries import OutcomeKind
from core_api.webhooks.subscriptions import Standing
from server_common.ops.metric_factory import MetricFactory


class WebhookMetrics:
    """Its numbers, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._looked_at = time.monotonic()
        metrics = MetricFactory(registry)
        self.attempts = metrics.counter(
            "yabam_webhooks_attempts",
            "Requests to receivers, by outcome",
            outcome=get_args(OutcomeKind),
        )
        self.set_aside = metrics.counter(
            "yabam_webhooks_set_aside",
            "Events set aside because their receiver refuses them and takes others",
        )
        self.bugs = metrics.counter(
            "yabam_webhooks_bugs",
            "Stores of a webhook that were skipped for a while because of a bug",
        )
        self.unreadable = metrics.gauge(
            "yabam_webhooks_unreadable",
            "Stores of webhooks that are not sent because the database cannot read their rows",
        )
        self.under_way = metrics.gauge("yabam_webhooks_under_way", "Stores that are being sent now")
        self.subscriptions = metrics.gauge("yabam_webhooks_active", "Active webhooks")
        self.late = metrics.gauge(
            "yabam_webhooks_late", "Webhooks whose receiver has failed for more than five minutes"
        )
        self.parked = metrics.gauge(
            "yabam_webhooks_parked",
            "Webhooks of which a store is parked: its receiver has failed for three days",
        )
        self.waiting_s = metrics.gauge(
            "yabam_webhooks_waiting_seconds",
            "Age of the oldest event that waits although its receiver does not fail",
        )
        self.unlooked = metrics.gauge(
            "yabam_webhooks_unlooked_seconds",
            "How long ago the last look for stores that have something to send succeeded",
        )
        # Rises also if the task hangs, or fails at each start.
        self.unlooked.set_function(lambda: time.monotonic() - self._looked_at)
        self.restarts = metrics.counter(
            "yabam_webhooks_task_restarts",
            "Background tasks that ended and were started again",
            task=(),
        )

    def looked(self) -> None:
        """Record a successful look for events."""
        self._looked_at = time.monotonic()

    def stands(self, standing: Standing) -> None:
        """Record the state of all webhooks."""
        self.subscriptions.set(standing.active)
        self.late.set(standing.late)
        self.parked.set(standing.parked)
        self.waiting_s.set(standing.waiting_s)
