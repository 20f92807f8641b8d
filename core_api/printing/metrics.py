"""Metrics of printing."""

from __future__ import annotations

from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from core_api.printing.jobs import State


class PrintMetrics:
    """The numbers of printing, in Core's registry.

    Args:
        registry: where they are kept. Each series is there from the start, at 0.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.made = Counter(
            "yabam_core_made_prints", "Print jobs made of orders", registry=registry
        )
        self.not_made = Counter(
            "yabam_core_unmade_prints",
            "Events of orders, and print jobs, that could not be made into paper",
            registry=registry,
        )
        self.settled = Counter(
            "yabam_core_stepped_prints",
            "Steps of print jobs, by the state that each led to",
            ["state"],
            registry=registry,
        )
        self.waiting = Gauge(
            "yabam_core_waiting_printers",
            "Printers with a job that is not printed for more than a minute",
            registry=registry,
        )
        for state in get_args(State):
            self.settled.labels(state)
