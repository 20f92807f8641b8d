"""Makes counters, gauges and histograms, each of whose series exists from the start, at 0.

The names of the metrics are in the `metrics.py` of each part; docs/metrics.md lists all.
A series that only appears with its first fault raises no alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

M = TypeVar("M", Counter, Gauge, Histogram)


class MetricFactory:
    """Makes the metrics of one registry.

    Its methods take a name, a help text, and for each label its values, as far as they are known.

    Args:
        registry: where the metrics are.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, /, **labels: Iterable[str]) -> Counter:
        """A counter."""
        return _begun(Counter(name, text, list(labels), registry=self._registry), labels)

    def gauge(self, name: str, text: str, /, **labels: Iterable[str]) -> Gauge:
        """A gauge."""
        return _begun(Gauge(name, text, list(labels), registry=self._registry), labels)

    def histogram(
        self, name: str, text: str, buckets: Sequence[float], /, **labels: Iterable[str]
    ) -> Histogram:
        """A histogram.

        Args:
            name: as Prometheus has it.
            text: the help text.
            buckets: the upper bounds, ascending, in the unit of the name.
            labels: for each label the values that are known.
        """
        made = Histogram(name, text, list(labels), buckets=buckets, registry=self._registry)
        return _begun(made, labels)


def _begun(metric: M, labels: Mapping[str, Iterable[str]]) -> M:
    if labels:
        for values in product(*labels.values()):
            metric.labels(*values)
    return metric
