"""What Core counts of edits and documents, in Prometheus's terms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, get_args

from prometheus_client import CollectorRegistry

from client_sdk.contract.state.edit import EditOutcome, Outcome
from core_api.documents.refusals import REFUSALS
from server_common.ops.metric_factory import MetricFactory

OUTCOMES: Final[tuple[str, ...]] = (*get_args(Outcome), "repeated")
PROBLEMS: Final[tuple[str, ...]] = (
    *REFUSALS,
    "bad-channel",
    "forbidden",
    "internal",
    "too-many-documents",
    "unknown-document",
)
"""What an edit can be refused with."""
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class EditMetrics:
    """The metrics of edits, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        metrics = MetricFactory(registry)
        self._edits = metrics.counter(
            "yabam_core_edits",
            "Edits answered, by outcome; repeated: the stored first answer",
            outcome=OUTCOMES,
        )
        self._refused = metrics.counter(
            "yabam_core_refused_edits", "Edits refused, by problem", problem=PROBLEMS
        )
        self.seconds = metrics.histogram(
            "yabam_core_settle_seconds",
            "From when a client's edits came to when they were settled",
            _BUCKETS,
        )
        self.races = metrics.counter(
            "yabam_core_edit_races",
            "Requests of edits that were settled again because others wrote first",
        )
        self.overtaken = metrics.counter(
            "yabam_core_overtaken_requests",
            "Requests of edits refused as `conflict` because others kept writing first",
        )
        self.ended = metrics.counter(
            "yabam_core_ended_documents", "Documents that Core deleted because their lifetime ended"
        )
        self.not_ended = metrics.counter(
            "yabam_core_unended_documents", "Failed tries to end documents"
        )
        self.trimmed = metrics.counter(
            "yabam_core_trimmed_entries",
            "Entries deleted from document histories because they were older than they are kept",
        )

    def answered(self, outcomes: Iterable[EditOutcome]) -> None:
        """Count edits by outcome, and refusals by problem."""
        for one in outcomes:
            if one.repeated:
                self._edits.labels("repeated").inc()
                continue
            self._edits.labels(one.outcome).inc()
            if one.problem is not None:
                self._refused.labels(one.problem.slug).inc()
