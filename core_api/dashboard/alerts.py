"""What is wrong, what it means for orders, and since when: the rules of the ops page. Pure.

An alert has a name that stays the same for as long as it lasts. When it began is known from earlier
samples, and an acknowledgement counts if it came after the last sample without the alert. So nobody
has to withdraw it, and the same fault on another day is a new alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from core_api.dashboard.processes import Node, ProcessKind
from core_api.dashboard.waiting import Acknowledged, LateStore, Overview
from core_api.webhooks.subscriptions import Standing

Level = Literal["red", "amber"]
Cause = Literal[
    "database", "down", "not-ready", "watermark", "outbox", "latency", "unwatched", "webhooks",
    "webhooks-wait",
]  # fmt: skip
Effect = Literal["stopped", "late", "commands", "stores", "weaker", "watch", "well"]
"""What it means for orders, the worst first: they cannot be placed; they arrive late; commands from
Kafka wait; somebody must phone; all works with less in reserve; it may become worse."""

MAX_ALERT_CHARS: Final = 400
"""The longest name of an alert: an address and what is wrong with it, or a store."""
_EFFECTS: Final[Sequence[Effect]] = (
    "stopped", "late", "commands", "stores", "weaker", "watch",
)  # fmt: skip
_OF_THE_LAST: Final[Mapping[ProcessKind, Effect]] = {
    "events": "late",
    "relay": "late",
    "ingest": "commands",
}
"""The effect on orders if no process of a kind works."""
_NOT_READY_ENTRY: Final[Mapping[ProcessKind, str]] = {
    "core": "core-refuses",
    "events": "no-event-server-is-ready",
    "relay": "the-outbox-grows",
    "ingest": "ingest-is-behind",
}
_FIGURES: Final[Mapping[ProcessKind, str]] = {
    "events": "connections",
    "relay": "events",
}
"""The tile that shows what a kind of process does."""
WEBHOOKS_WAIT_S: Final = 60.0
"""An event that waits longer has no receiver that works, in seconds."""
_STORES_ENTRY: Final = "orders-reach-nobody"


class Alert(Struct, frozen=True):
    """An alert: something is wrong."""

    name: str
    cause: Cause
    level: Level
    effect: Effect
    runbook: str
    """The heading of docs/operations.md that says what to do, as its anchor."""
    figure: str = ""
    """The tile that it colours; empty: none."""
    node: str = ""
    """The process's name."""
    kind: ProcessKind = "unknown"
    is_last: bool = False
    """Whether no other process of its kind is ready."""
    detail: str = ""
    since_ms: int = 0
    """Milliseconds since the Unix epoch, by the database's clock; it may have begun earlier."""
    acknowledged: Acknowledged | None = None


class AlertVerdict(Struct, frozen=True):
    """The state of the whole system, in one line."""

    level: Literal["red", "amber", "green"]
    effect: Effect
    runbook: str
    """The entry of the runbook; empty: all is well."""
    alert: Alert | None
    """The alert that decides; null: none, or that stores must be phoned."""
    unreceived: int
    """Stores of which no device has received an order."""
    unaccepted: int
    """Stores that have received all orders and have not accepted one."""


@dataclass(frozen=True, slots=True)
class Signs:
    """The observations from which the alerts of one moment are computed."""

    nodes: Sequence[Node]
    database: str
    watermark_age_s: float | None
    outbox_age_s: float
    p99_ms: float
    webhooks: Standing | None = None


@dataclass(frozen=True, slots=True)
class Spell:
    """For how long an alert has lasted."""

    since_ms: int
    absent_ms: int
    """The last moment that is known to be without it; 0: none."""


class Spells:
    """Since when each alert lasts.

    Args:
        past: moments before, the oldest first: the time in milliseconds, and the alerts' names.
    """

    def __init__(self, past: Iterable[tuple[int, Iterable[str]]] = ()) -> None:
        self._known: dict[str, Spell] = {}
        self._last_ms = 0
        for at_ms, names in past:
            self.take(at_ms, names)

    def take(self, at_ms: int, names: Iterable[str]) -> Mapping[str, Spell]:
        """The spells of the alerts at the next moment."""
        fresh = Spell(at_ms, self._last_ms)
        self._known = {name: self._known.get(name, fresh) for name in names}
        self._last_ms = at_ms
        return self._known


def alerts_of(signs: Signs) -> list[Alert]:
    """What is wrong, the worst first; of stores that must be phoned `LateStore` tells."""
    found = [
        *_of_the_database(signs),
        *_of_the_processes(signs.nodes),
        *_of_the_figures(signs),
        *_of_webhooks(signs.webhooks),
    ]
    return sorted(
        found,
        key=lambda one: (
            _EFFECTS.index(one.effect), one.level == "amber", one.cause == "not-ready",
        ),
    )  # fmt: skip


def dated(
    alerts: Iterable[Alert], spells: Mapping[str, Spell], known: Mapping[str, Acknowledged]
) -> list[Alert]:
    """The alerts, each with its beginning and with who has acknowledged it.

    Args:
        alerts: what is wrong at one moment.
        spells: since when each of them lasts, by its name.
        known: the newest acknowledgement of each alert, by its name; one of an earlier spell does
            not count.
    """
    return [
        replace(
            alert,
            since_ms=spells[alert.name].since_ms,
            acknowledged=_if_later(known.get(alert.name), spells[alert.name].absent_ms),
        )
        for alert in alerts
    ]


def late_stores(overview: Overview) -> list[LateStore]:
    """The stores that must be phoned, each with who has acknowledged it.

    An acknowledgement counts if it came after the oldest order that still waits.
    """
    known = overview.acknowledged
    return [
        replace(
            store,
            acknowledged=_if_later(
                known.get(store.alert), overview.at_ms - round(store.waiting_s * 1000)
            ),
        )
        for store in overview.late
    ]


def verdict_of(alerts: Sequence[Alert], late: Sequence[LateStore]) -> AlertVerdict:
    """The state of the whole system, by its worst alert.

    Args:
        alerts: as `alerts_of` sorts them.
        late: the stores that must be phoned.
    """
    unreceived = {store.store_id for store in late if store.kind == "unreceived"}
    unaccepted = {store.store_id for store in late} - unreceived
    counts = (len(unreceived), len(unaccepted))
    worst = alerts[0] if alerts else None
    stores_first = _EFFECTS.index("stores")
    if late and (worst is None or _EFFECTS.index(worst.effect) > stores_first):
        return AlertVerdict("red", "stores", _STORES_ENTRY, None, *counts)
    if worst is None:
        return AlertVerdict("green", "well", "", None, *counts)
    return AlertVerdict(worst.level, worst.effect, worst.runbook, worst, *counts)


def _of_the_database(signs: Signs) -> Iterator[Alert]:
    if signs.database:
        yield Alert(
            "database", "database", "red", "stopped", "core-refuses", "outbox",
            detail=signs.database,
        )  # fmt: skip


def _of_the_processes(nodes: Sequence[Node]) -> Iterator[Alert]:
    working = {node.kind for node in nodes if node.state == "ready"}
    for node in nodes:
        is_last = node.kind != "unknown" and node.kind not in working
        if node.state != "ready":
            yield _of_a_process(node, is_last)
    if all(node.kind == "core" for node in nodes):
        yield Alert("unwatched", "unwatched", "amber", "watch", "no-process-is-watched")


def _of_a_process(node: Node, is_last: bool) -> Alert:
    is_down = node.state == "down"
    effect: Effect = "weaker"
    if is_last:
        effect = _OF_THE_LAST.get(node.kind, "weaker")
    entry = "a-process-is-down"
    if not is_down or (is_last and node.kind == "events"):
        entry = _NOT_READY_ENTRY.get(node.kind, entry)
    return Alert(
        f"{node.state}:{node.name}"[:MAX_ALERT_CHARS],
        "down" if is_down else "not-ready",
        "red" if is_down or is_last else "amber",
        effect,
        entry,
        _FIGURES.get(node.kind, ""),
        node.name,
        node.kind,
        is_last,
        node.detail,
    )


def _of_the_figures(signs: Signs) -> Iterator[Alert]:
    for cause, value, amber, red, entry in (
        ("watermark", signs.watermark_age_s or 0.0, 2.5, 5.0, "the-watermark-is-old"),
        ("outbox", signs.outbox_age_s, 2.5, 5.0, "the-outbox-grows"),
        ("latency", signs.p99_ms, 1000.0, 5000.0, "pushes-are-slow"),
    ):
        if value >= amber:
            level, effect = ("red", "late") if value >= red else ("amber", "watch")
            yield Alert(cause, cause, level, effect, entry, cause)  # type: ignore[arg-type]


def _of_webhooks(webhooks: Standing | None) -> Iterator[Alert]:
    if webhooks is None:
        return
    if webhooks.waiting_s >= WEBHOOKS_WAIT_S:
        yield Alert("webhooks-wait", "webhooks-wait", "red", "weaker", "webhooks-wait", "webhooks")
    if webhooks.late or webhooks.parked:
        yield Alert("webhooks", "webhooks", "amber", "watch", "webhooks-receivers-fail", "webhooks")


def _if_later(one: Acknowledged | None, than_ms: int) -> Acknowledged | None:
    return one if one is not None and one.at_ms > than_ms else None
