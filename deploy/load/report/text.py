"""The result of a load test, for a terminal and as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from deploy.load.measured.timeline import PERCENTILES
from deploy.load.measured.usage import CLIENTS, GENERATOR
from deploy.load.run import Fault, LoadResult

_GENERATOR_BUSY = 85.0


def machine() -> str:
    """The cores, the memory and the kernel of this machine, as one text."""
    cores = psutil.cpu_count() or 0
    memory = psutil.virtual_memory().total / 2**30
    return f"{cores} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def failures(outcome: LoadResult) -> list[str]:
    """Why the test failed; empty: it passed."""
    verdict = outcome.verdict
    found = [
        f"{count:,} events {what}"
        for count, what in (
            (verdict.lost, "lost"),
            (verdict.doubled, "doubled"),
            (verdict.out_of_order, "out of order"),
            (verdict.unlogged, "acknowledged and not in the log"),
        )
        if count
    ]
    if verdict.resets:
        found.append(f"{verdict.resets:,} resets, before which nothing is proven")
    if verdict.gave_up:
        found.append(f"{verdict.gave_up:,} clients gave up")
    if verdict.never_synced:
        found.append(f"{verdict.never_synced:,} clients never completed a sync")
    found += [
        f"after {fault.name} not all clients were live again"
        for fault in outcome.faults
        if fault.live_again is None
    ]
    return found + outcome.missed


def generator_share(outcome: LoadResult) -> float:
    """The most CPU that one process of the load test itself used, in percent of one core."""
    return max(
        (
            max(
                second.cpu.get(GENERATOR, 0.0),
                second.cpu.get(CLIENTS, 0.0) / outcome.client_processes,
            )
            for second in outcome.timeline.seconds
        ),
        default=0.0,
    )


def storm_figures(outcome: LoadResult, fault: Fault) -> dict[str, float | None]:
    """The greatest p99 of any second from a fault's begin until recovery, in milliseconds."""
    end = (fault.live_again or fault.ended) + 1
    return {
        kind: outcome.timeline.worst(f"{kind}_ms", fault.began, end)
        for kind in ("command", "health", "sync", "delivery")
    }


class Table(NamedTuple):
    """A table of figures; the first cell of its head says what they are."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(outcome: LoadResult) -> list[Table]:
    """The tables of the report."""
    tally, seconds = outcome.tally, outcome.timeline.seconds
    memory = seconds[-1].memory if seconds else {}
    latencies = [
        (name, f"{tally.size(kind):,}", *_milliseconds(tally.whole(kind)))
        for kind, name in (
            ("delivery", "order sent to order seen"),
            ("command", "command, till it is stored"),
            ("sync", "Fetch Sync, connection included"),
            ("health", "health of Core and event server"),
        )
    ]
    found = [Table(("latency, ms", "count", "p50", "p95", "p99"), latencies)]
    if outcome.way:
        way = [(part.name, f"{part.p50:,.1f}", f"{part.p99:,.1f}") for part in outcome.way]
        found.append(Table(("a step in calm, ms", "p50", "p99"), way))
    processes = [
        (name, f"{used:,.1f}", f"{memory.get(name, 0.0):,.0f}")
        for name, used in sorted(outcome.cpu_s.items(), key=lambda item: -item[1])
    ]
    found.append(Table(("process", "CPU s", "MiB at the end"), processes))
    if outcome.faults:
        head = (
            "fault (p99s, ms: of its worst second)", "at, s", "lasted, s", "least live",
            "all live after, s", "commands", "health", "sync", "delivery",
        )  # fmt: skip
        found.append(Table(head, [_fault_row(outcome, fault) for fault in outcome.faults]))
    return found


def _milliseconds(percentiles: Sequence[float]) -> Sequence[str]:
    return [f"{value:,.1f}" for value in percentiles] or ["–"] * len(PERCENTILES)


def _fault_row(outcome: LoadResult, fault: Fault) -> Sequence[str]:
    again = "not" if fault.live_again is None else f"{fault.live_again - fault.ended:.1f}"
    worst = storm_figures(outcome, fault).values()
    return (
        fault.name, f"{fault.began:.0f}", f"{fault.ended - fault.began:.1f}",
        f"{fault.least_live:,}", again,
        *("–" if value is None else f"{value:,.0f}" for value in worst),
    )  # fmt: skip


def text(outcome: LoadResult) -> str:
    """The report for a terminal."""
    plan, verdict, counts = outcome.plan, outcome.verdict, outcome.tally.counts
    lines = [
        "",
        f"{plan.clients:,} {'compiled ' if plan.compiled_clients else ''}clients of "
        f"{plan.stores:,} stores, {plan.orders_per_s:g} orders/s for "
        f"{plan.duration_s:g} s, on {machine()}",
        f"  orders' steps committed {counts['committed']:,}, delivered {counts['delivered']:,}, "
        f"proven against the log {verdict.checked:,}",
        f"  lost {verdict.lost:,}, doubled {verdict.doubled:,}, out of order "
        f"{verdict.out_of_order:,}, acknowledged but not stored {verdict.unlogged:,}, "
        f"resets {verdict.resets:,}",
        f"  clients were live for {outcome.live_share:.2%} of the time; streams opened "
        f"{counts['opened']:,}, syncs {counts['synced']:,}, refusals {counts['refused']:,}",
    ]
    for table in tables(outcome):
        lines += ["", *(_aligned(row, table.head) for row in (table.head, *table.rows))]
    lines += [f"  {note}" for note in verdict.notes]
    if generator_share(outcome) > _GENERATOR_BUSY:
        lines.append(
            f"  A process of the load test itself used up to {generator_share(outcome):.0f} % of a "
            "core: part of the latency is its own."
        )
    return "\n".join(lines)


def _aligned(row: Sequence[str], head: Sequence[str]) -> str:
    """A row of a table: each column is as wide as its head, and wide enough for figures."""
    widths = [max(10, len(name) + 2) for name in head[1:]]
    figures = (f"{cell:>{width}}" for cell, width in zip(row[1:], widths, strict=True))
    return f"  {row[0]:<44}{''.join(figures)}"


def as_json(outcome: LoadResult) -> dict[str, Any]:
    """The whole result, as values for JSON."""
    tally = outcome.tally
    plan = {key: str(v) if isinstance(v, Path) else v for key, v in asdict(outcome.plan).items()}
    return {
        "plan": plan,
        "machine": machine(),
        "failures": failures(outcome),
        "verdict": asdict(outcome.verdict),
        "counts": dict(tally.counts),
        "latency_ms": {kind: list(tally.whole(kind)) for kind in tally.KINDS},
        "way_ms": [asdict(part) for part in outcome.way],
        "client_processes": outcome.client_processes,
        "live_share": outcome.live_share,
        "cpu_s": outcome.cpu_s,
        "faults": [asdict(f) | {"worst_p99_ms": storm_figures(outcome, f)} for f in outcome.faults],
        "seconds": outcome.timeline.as_rows(),
    }


def write_json(outcome: LoadResult, path: Path) -> None:
    """Write the result to a file as JSON; its folder is created if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_json(outcome), indent=1))
