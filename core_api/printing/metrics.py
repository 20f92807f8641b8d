"""Metrics of printing."""

from __future__ import annotations

from typing import get_args

from prometheus_client import CollectorRegistry

from core_api.printing.jobs import JobState
from server_common.ops.metric_factory import MetricFactory


class PrintMetrics:
    """The numbers of printing, in Core's registry.

    Args:
        registry: where they are kept. Each series is there from the start, at 0.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        metrics = MetricFactory(registry)
        self.made = metrics.counter("yabam_core_made_prints", "Print jobs made of orders")
        self.not_made = metrics.counter(
            "yabam_core_unmade_prints",
            "Events of orders that made no job, and print jobs that could not be rendered",
        )
        self.settled = metrics.counter(
            "yabam_core_stepped_prints",
            "Steps of print jobs, by the state that each led to",
            state=get_args(JobState),
        )
        self.waiting = metrics.gauge(
            "yabam_core_waiting_printers",
            "Printers with a job that is not printed for more than a minute",
        )
