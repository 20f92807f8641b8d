"""The numbers of webhooks, for the person on call."""

from __future__ import annotations

import time
from typing import get_args

from prometheus_client import CollectorRegistry

from core_api.webhooks.rules import OutcomeKind
from core_api.webhooks.subscriptions import Standing
from server_common.ops.metrics import MetricFactory


class WebhookMetrics:
    """Its numbers, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._looked_at = time.monotonic()
        metrics = MetricFactory(registry)
        self.attempts = metrics.counter(
            "yabam_webhooks_attempts",
            "Requests to receivers, by what they came to",
            outcome=get_args(OutcomeKind),
        )
        self.set_aside = metrics.counter(
            "yabam_webhooks_set_aside",
            "Events that were left out because their receiver refuses them and takes others",
        )
        self.bugs = metrics.counter(
            "yabam_webhooks_bugs",
            "Stores of a webhook that were left for a while because our own code failed",
        )
        self.unreadable = metrics.gauge(
            "yabam_webhooks_unreadable",
            "Stores of webhooks that are not sent because the database cannot give their rows",
        )
        self.under_way = metrics.gauge("yabam_webhooks_under_way", "Stores that are being sent now")
        self.subscriptions = metrics.gauge("yabam_webhooks_active", "Webhooks that are to be sent")
        self.late = metrics.gauge(
            "yabam_webhooks_late", "Webhooks whose receiver has failed for more than five minutes"
        )
        self.parked = metrics.gauge(
            "yabam_webhooks_parked",
            "Webhooks of which a store is parked: its receiver has failed for three days",
        )
        self.waiting_s = metrics.gauge(
            "yabam_webhooks_waiting_seconds",
            "How long the oldest event has waited whose receiver does not fail",
        )
        self.unlooked = metrics.gauge(
            "yabam_webhooks_unlooked_seconds",
            "How long ago the last look for stores that have something to send succeeded",
        )
        # Also where the task hangs, or ends at its start again and again.
        self.unlooked.set_function(lambda: time.monotonic() - self._looked_at)
        self.restarts = metrics.counter(
            "yabam_webhooks_task_restarts",
            "Background tasks that ended and were started again",
            task=(),
        )

    def looked(self) -> None:
        """Take that a look has succeeded."""
        self._looked_at = time.monotonic()

    def stands(self, standing: Standing) -> None:
        """Take how all webhooks stand."""
        self.subscriptions.set(standing.active)
        self.late.set(standing.late)
        self.parked.set(standing.parked)
        self.waiting_s.set(standing.waiting_s)
