"""What came of a load test, for a terminal and as JSON."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from deploy.load.measured.usage import CLIENTS, GENERATOR
from deploy.load.run import Fault, LoadResult

_GENERATOR_BUSY = 85.0


def machine() -> str:
    """What it ran on."""
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
        found.append(f"{verdict.never_synced:,} clients never had a sync")
    found += [
        f"after {fault.name} not all clients were live again"
        for fault in outcome.faults
        if fault.live_again is None
    ]
    return found + outcome.missed


def generator_share(outcome: LoadResult) -> float:
    """The CPU of the load test's own busiest process, in percent of one core, at the most."""
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
    """What others noticed of a fault: the worst p99 of a second, in milliseconds."""
    end = (fault.live_again or fault.ended) + 1
    return {
        kind: outcome.timeline.worst(f"{kind}_ms", fault.began, end)
        for kind in ("command", "health", "sync", "delivery")
    }


def text(outcome: LoadResult) -> str:
    """The report for a terminal."""
    plan, verdict, tally = outcome.plan, outcome.verdict, outcome.tally
    counts = tally.counts
    lines = [
        "",
        f"{plan.clients:,} clients of {plan.stores:,} stores, {plan.orders_per_s:g} orders/s for "
        f"{plan.duration_s:g} s, on {machine()}",
        f"  orders' steps committed {counts['committed']:,}, delivered {counts['delivered']:,}, "
        f"proven against the log {verdict.checked:,}",
        f"  lost {verdict.lost:,}, doubled {verdict.doubled:,}, out of order "
        f"{verdict.out_of_order:,}, acknowledged but not stored {verdict.unlogged:,}, "
        f"resets {verdict.resets:,}",
        f"  clients were live for {outcome.live_share:.2%} of the time; streams opened "
        f"{counts['opened']:,}, syncs {counts['synced']:,}, refusals {counts['refused']:,}",
        "",
        f"  {'latency, ms':<34}{'count':>10}{'p50':>9}{'p95':>9}{'p99':>9}",
    ]
    for kind, name in (
        ("delivery", "order sent to order seen"),
        ("command", "command, till it is stored"),
        ("sync", "Fetch Sync, connection included"),
        ("health", "health of Core and event server"),
    ):
        figures = "".join(f"{value:>9,.1f}" for value in tally.whole(kind))
        lines.append(f"  {name:<34}{tally.size(kind):>10,}{figures}")
    if outcome.way:
        lines += ["", f"  {'a step in calm, ms':<44}{'p50':>9}{'p99':>9}"]
        lines += [f"  {part.name:<44}{part.p50:>9,.1f}{part.p99:>9,.1f}" for part in outcome.way]
    lines += ["", f"  {'process':<34}{'CPU s':>10}{'MiB at the end':>18}"]
    last = outcome.timeline.seconds[-1].memory if outcome.timeline.seconds else {}
    for name, used in sorted(outcome.cpu_s.items(), key=lambda item: -item[1]):
        lines.append(f"  {name:<34}{used:>10,.1f}{last.get(name, 0.0):>18,.0f}")
    lines += _faults(outcome) + [f"  {note}" for note in verdict.notes]
    if generator_share(outcome) > _GENERATOR_BUSY:
        lines.append(
            f"  A process of the load test itself used up to {generator_share(outcome):.0f} % of a "
            "core: part of the latency is its own."
        )
    return "\n".join(lines)


def _faults(outcome: LoadResult) -> list[str]:
    if not outcome.faults:
        return []
    header = f"  {'fault':<18}{'at, s':>8}{'lasted':>8}{'least live':>12}{'all live after':>16}"
    lines = ["", header + f"{'commands p99':>15}{'health p99':>13}"]
    for fault in outcome.faults:
        worst = storm_figures(outcome, fault)
        again = "not" if fault.live_again is None else f"{fault.live_again - fault.ended:.1f} s"
        lines.append(
            f"  {fault.name:<18}{fault.began:>8.0f}{fault.ended - fault.began:>7.1f}s"
            f"{fault.least_live:>12,}{again:>16}"
            f"{_ms(worst['command']):>15}{_ms(worst['health']):>13}"
        )
    return lines


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms"


def as_json(outcome: LoadResult) -> dict[str, Any]:
    """Everything, for machines."""
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
    """Write it to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_json(outcome), indent=1))
