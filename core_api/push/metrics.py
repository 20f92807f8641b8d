"""The numbers of pushes, for the person on call."""

from __future__ import annotations

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from core_api.push.rules import Ending
from core_api.push.subscriptions import Standing
from core_api.webhooks.rules import Kind

Whose = Literal["owners", "guests"]


class PushMetrics:
    """Its numbers, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter(
            "yabam_pushes_attempts",
            "Requests to push services, by what they came to",
            ["outcome"],
            registry=registry,
        )
        self.ended = Counter(
            "yabam_pushes_ended",
            "Browsers that are told nothing any more, by why",
            ["why"],
            registry=registry,
        )
        self.bugs = Counter(
            "yabam_pushes_bugs",
            "Browsers that were left for a while because our own code failed",
            registry=registry,
        )
        self.under_way = Gauge(
            "yabam_pushes_under_way", "Requests to push services under way", registry=registry
        )
        self.subscriptions = Gauge(
            "yabam_pushes_subscriptions",
            "Browsers that are told of orders, each of an owner for each of its stores",
            ["whose"],
            registry=registry,
        )
        self.late = Gauge(
            "yabam_pushes_late",
            "Those whose push service has failed for more than five minutes",
            ["whose"],
            registry=registry,
        )
        for kind in get_args(Kind):
            self.attempts.labels(kind)
        for why in get_args(Ending):
            self.ended.labels(why)
        for whose in get_args(Whose):
            self.subscriptions.labels(whose)
            self.late.labels(whose)

    def stands(self, whose: Whose, standing: Standing) -> None:
        """Take how the subscriptions of a kind stand."""
        self.subscriptions.labels(whose).set(standing.subscriptions)
        self.late.labels(whose).set(standing.late)
