"""The processes as the ops page shows them, from their metrics. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from msgspec import Struct

Series: TypeAlias = Mapping[tuple[str, ...], float]
"""One metric's values by the values of its labels, in the order of the labels' names."""
ProcessKind = Literal["core", "events", "relay", "ingest", "unknown"]
ProcessState = Literal["ready", "not-ready", "down"]


class BusyChannel(Struct, frozen=True):
    """A channel that is followed."""

    channel: str
    followers: int
    events: int
    """Of the last two minutes, as far as the rings reach."""


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """The metrics of one process, or why there are none."""

    node: str
    """The address that was asked."""
    kind: ProcessKind
    """The kind of process; of one that is down, its last kind; unknown: it never answered."""
    state: ProcessState
    detail: str
    """Why it is not ready, or down."""
    values: Mapping[str, Series]
    busy: Sequence[BusyChannel] = ()
    name: str = ""
    """Its configured address, with its own where several are behind that name; empty: `node`."""

    def total(self, metric: str) -> float | None:
        """The sum over all labels; None: it has no such metric."""
        series = self.values.get(metric)
        return sum(series.values()) if series else None


class Node(Struct, frozen=True):
    """One process as the page shows it."""

    node: str
    name: str
    kind: ProcessKind
    state: ProcessState
    detail: str
    figures: dict[str, float]
    """The figures of its kind: streams, lag, shards, records behind."""


_SHOWN: Final[Mapping[ProcessKind, Mapping[str, str]]] = {
    "core": {
        "waiting": "yabam_core_waiting_requests",
        "under_way": "yabam_core_under_way_requests",
    },
    "events": {
        "streams": "yabam_events_streams_open_count",
        "lag_s": "yabam_events_watermark_lag_seconds",
        "channels": "yabam_events_channels_followed_count",
    },
    "relay": {
        "shards": "yabam_relay_leases_held",
        "watermark_age_s": "yabam_relay_watermark_age_seconds",
    },
    "ingest": {"behind": "yabam_ingest_behind_records"},
    "unknown": {},
}


def node_of(reading: ProcessReading) -> Node:
    """The process as the page shows it."""
    figures = {name: reading.total(metric) for name, metric in _SHOWN[reading.kind].items()}
    known = {name: round(value, 3) for name, value in figures.items() if value is not None}
    name = reading.name or reading.node
    return Node(reading.node, name, reading.kind, reading.state, reading.detail, known)
