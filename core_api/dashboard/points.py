"""What the charts of the ops page keep of a moment, and what is stored of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, cast, get_args

import msgspec
from msgspec import Struct

from client_sdk.contract.json_decoding import decode
from core_api.dashboard.figures import Figures
from core_api.dashboard.processes import ProcessKind
from server_common.limits import OPS_POINT_BYTES

_KINDS: Final = frozenset(get_args(ProcessKind))


class Point(Struct, frozen=True):
    """What the charts keep of one moment. null: it was not known."""

    at_ms: int
    connections: int | None
    events_per_s: float | None
    p50_ms: float | None
    p99_ms: float | None
    watermark_age_s: float | None
    outbox_rows: int | None
    webhooks_failing: int | None = None
    """Those that are late and those that are parked."""


class StoredPoints(Struct, frozen=True):
    """A point as it is kept for a day."""

    point: Point
    alerts: list[str] = []
    """The names of what was wrong."""
    kinds: dict[str, str] = {}
    """The kind of process that last answered at each configured address."""


_stored: Final = msgspec.json.Decoder(StoredPoints)


def point_of(figures: Figures) -> Point:
    """What the charts keep."""
    latency = figures.latency
    return Point(
        figures.at_ms,
        figures.connections,
        figures.events_per_s,
        latency.p50_ms if latency else None,
        latency.p99_ms if latency else None,
        figures.watermark_age_s,
        figures.outbox.rows if figures.outbox else None,
        figures.webhooks.late + figures.webhooks.parked if figures.webhooks else None,
    )


def to_store(figures: Figures, kinds: Mapping[str, ProcessKind]) -> str:
    """The JSON of what is kept of these figures, at most `OPS_POINT_BYTES`.

    With more addresses than that has room for, all of them are left out.
    """
    names = [alert.name for alert in figures.alerts]
    point = point_of(figures)
    for kept in (
        StoredPoints(point, names, dict(kinds)),
        StoredPoints(point, names),
        StoredPoints(point),
    ):
        text = msgspec.json.encode(kept)
        if len(text) <= OPS_POINT_BYTES:
            break
    return text.decode()


def stored_of(texts: Iterable[str]) -> list[StoredPoints]:
    """The stored points, without those that another release wrote in another form."""
    found = []
    for text in texts:
        try:
            found.append(decode(_stored, text))
        except msgspec.DecodeError:
            continue
    return found


def kinds_of(points: Iterable[StoredPoints]) -> dict[str, ProcessKind]:
    """The kind of process that last answered at each address, by the newest point that has one."""
    return {
        address: cast(ProcessKind, kind)
        for one in points
        for address, kind in one.kinds.items()
        if kind in _KINDS
    }
