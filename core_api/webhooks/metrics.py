"""The numbers of webhooks, for the person on call."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from core_api.webhooks.rules import Kind
from core_api.webhooks.subscriptions import Standing

TASKS: Final = ("send", "hints", "count", "push", "certificate")


class WebhookMetrics:
    """Its numbers, in a registry of the caller's.

    Args:
        registry: where they are.
        monotonic_s: a clock that only goes forward, in seconds.
    """

    def __init__(
        self, registry: CollectorRegistry, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic_s = monotonic_s
        self._looked_at = monotonic_s()
        self.attempts = Counter(
            "yabam_webhooks_attempts",
            "Requests to receivers, by what they came to",
            ["outcome"],
            registry=registry,
        )
        self.set_aside = Counter(
            "yabam_webhooks_set_aside",
            "Events that were left out because their receiver refuses them and takes others",
            registry=registry,
        )
        self.bugs = Counter(
            "yabam_webhooks_bugs",
            "Stores of a webhook that were left for a while because our own code failed",
            registry=registry,
        )
        self.unreadable = Gauge(
            "yabam_webhooks_unreadable",
            "Stores of webhooks that are not sent because the database cannot give their rows",
            registry=registry,
        )
        self.under_way = Gauge(
            "yabam_webhooks_under_way", "Stores that are being sent now", registry=registry
        )
        self.subscriptions = Gauge(
            "yabam_webhooks_active", "Webhooks that are to be sent", registry=registry
        )
        self.late = Gauge(
            "yabam_webhooks_late",
            "Webhooks whose receiver has failed for more than five minutes",
            registry=registry,
        )
        self.parked = Gauge(
            "yabam_webhooks_parked",
            "Webhooks of which a store is parked: its receiver has failed for three days",
            registry=registry,
        )
        self.waiting_s = Gauge(
            "yabam_webhooks_waiting_seconds",
            "How long the oldest event has waited whose receiver does not fail",
            registry=registry,
        )
        self.unlooked = Gauge(
            "yabam_webhooks_unlooked_seconds",
            "How long ago the last look for stores that have something to send succeeded",
            registry=registry,
        )
        # Also where the task hangs, or ends at its start again and again.
        self.unlooked.set_function(lambda: self._monotonic_s() - self._looked_at)
        self.restarts = Counter(
            "yabam_webhooks_task_restarts",
            "Background tasks that ended and were started again",
            ["task"],
            registry=registry,
        )
        for task in TASKS:
            self.restarts.labels(task)
        for kind in get_args(Kind):
            self.attempts.labels(kind)

    def looked(self) -> None:
        """Take that a look has succeeded."""
        self._looked_at = self._monotonic_s()

    def stands(self, standing: Standing) -> None:
        """Take how all webhooks stand."""
        self.subscriptions.set(standing.active)
        self.late.set(standing.late)
        self.parked.set(standing.parked)
        self.waiting_s.set(standing.waiting_s)
