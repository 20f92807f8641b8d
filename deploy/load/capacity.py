"""How many servers a load needs, from load tests: `python -m deploy.load.capacity build/*.json`.

A report says for each second how much CPU each process used and how often each action happened.
From many seconds, non-negative least squares estimates the CPU cost of each action. From these
costs the need of a number of connections and orders is computed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from client_sdk.contract.errors import YabamError

COSTS: Final[Mapping[str, tuple[str, ...]]] = {
    "events": ("opened", "committed", "live"),
    "core": ("synced", "committed", "idle"),
    "postgres": ("synced", "committed", "idle"),
    "relay": ("committed", "idle"),
    "kafka": ("committed", "idle"),
}
"""The actions that cost CPU in each process; `live`: a connected client, per second; `idle`: the
process itself, per second."""
STEPS_PER_ORDER: Final = 6
TARGET: Final = 0.5
"""The share of a core that a process may use: then the others can carry the load if half fail."""
LEAST_SECONDS: Final = 60
CASES: Final = (
    (1_000, 67.5, 5.0),
    (10_000, 67.5, 20.0),
    (50_000, 67.5, 100.0),
    (100_000, 67.5, 200.0),
    (100_000, 300.0, 200.0),
)
"""Connections, the mean life of a stream in seconds, orders per second."""
BEGIN: Final = "<!-- capacity: begin -->"
END: Final = "<!-- capacity: end -->"
_ROUNDS: Final = 2_000


class CapacityError(YabamError):
    """There is not enough data; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Costs:
    """The measured costs: CPU microseconds per action and process, memory of an event server."""

    cpu_us: Mapping[str, Mapping[str, float]]
    events_base_mib: float
    connection_kib: float
    seconds: int
    machine: str


def fit(rows: Sequence[Sequence[float]], wanted: Sequence[float]) -> list[float]:
    """The factors x ≥ 0 for which `rows · x` is nearest to `wanted` (least squares).

    The method is coordinate descent, which works with columns of very different sizes.
    """
    width = len(rows[0])
    gram = [[sum(r[i] * r[j] for r in rows) for j in range(width)] for i in range(width)]
    right = [sum(r[i] * w for r, w in zip(rows, wanted, strict=True)) for i in range(width)]
    found = [0.0] * width
    for _ in range(_ROUNDS):
        for i in range(width):
            if gram[i][i] > 0:
                rest = sum(gram[i][j] * found[j] for j in range(width) if j != i)
                found[i] = max(0.0, (right[i] - rest) / gram[i][i])
    return found


def costs_of(reports: Sequence[Mapping[str, Any]]) -> Costs:
    """The cost of each action, estimated from the seconds of these reports.

    Raises:
        CapacityError: the reports have too few seconds.
    """
    seconds = [second for report in reports for second in report["seconds"]]
    cpu_us = {}
    for process, things in COSTS.items():
        used = [second for second in seconds if process in second["cpu"]]
        if len(used) < LEAST_SECONDS:
            raise CapacityError(
                f"the reports have {len(used)} seconds of {process}, and {LEAST_SECONDS} are "
                "needed: give reports of load tests that started their own system"
            )
        rows = [[_amount(second, thing) for thing in things] for second in used]
        factors = fit(rows, [second["cpu"][process] * 1e4 for second in used])
        cpu_us[process] = dict(zip(things, factors, strict=True))
    memory = [second for second in seconds if second["memory"].get("events")]
    base, each = fit_line(
        [_amount(second, "live") for second in memory],
        [second["memory"]["events"] for second in memory],
    )
    return Costs(cpu_us, base, each * 1024, len(seconds), str(reports[0]["machine"]))


def fit_line(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """The line nearest to the points, as its value at 0 and its slope; neither is below 0."""
    base, slope = fit([[1.0, x] for x in xs], ys)
    return base, slope


def _amount(second: Mapping[str, Any], thing: str) -> float:
    if thing == "idle":
        return 1.0
    if thing == "live":
        return float(second["modes"].get("live", 0))
    return float(second["counts"].get(thing, 0))


@dataclass(frozen=True, slots=True)
class Need:
    """What a load needs."""

    cores: Mapping[str, float]
    """The CPU that each part uses, in cores."""
    memory_mib: float
    """The memory of all event servers together."""

    @property
    def processes(self) -> dict[str, int]:
        """The number of processes of each part, at `TARGET`; two at least, so that one may fail."""
        return {part: max(2, math.ceil(used / TARGET)) for part, used in self.cores.items()}


def need(costs: Costs, connections: int, lifetime_s: float, orders_per_s: float) -> Need:
    """What a load needs.

    Args:
        costs: the measured costs of actions.
        connections: how many clients are connected.
        lifetime_s: the mean life of a stream, in seconds; each new stream also costs a sync.
        orders_per_s: new orders per second, of `STEPS_PER_ORDER` commands each.
    """
    commands = orders_per_s * STEPS_PER_ORDER
    per_second = {
        "opened": connections / lifetime_s,
        "synced": connections / lifetime_s,
        "committed": commands,
        "live": float(connections),
        "idle": 1.0,
    }
    cores = {
        part: sum(us * per_second[thing] for thing, us in things.items()) / 1e6
        for part, things in costs.cpu_us.items()
    }
    servers = max(2, math.ceil(cores["events"] / TARGET))
    memory = servers * costs.events_base_mib + connections * costs.connection_kib / 1024
    return Need(cores, memory)


def as_markdown(costs: Costs) -> str:
    """Two tables: what each action costs, and what each load of `CASES` needs."""
    names = {
        "opened": "a stream opened",
        "synced": "a sync, connection included",
        "committed": "a step of an order, pushed to three clients",
        "live": "a client, per second",
        "idle": "without load, per second",
    }
    lines = [
        f"Computed from {costs.seconds:,} seconds of load on {costs.machine}. CPU in µs:",
        "",
        "| | " + " | ".join(COSTS) + " |",
        "| --- |" + " ---: |" * len(COSTS),
    ]
    for thing, name in names.items():
        cells = [costs.cpu_us[part].get(thing) for part in COSTS]
        shown = ("" if cell is None else f"{cell:,.3g}" for cell in cells)
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    lines += [
        "",
        f"An event server takes {costs.events_base_mib:.0f} MiB and {costs.connection_kib:.1f} KiB "
        "per connection, its channels included.",
        "",
        "| connections | life of a stream | orders/s | event servers (cores) | memory of all | "
        "Core (cores) | relays (cores) | Postgres, cores | Kafka, cores |",
        "| ---: |" * 1 + " ---: |" * 8,
    ]
    for connections, lifetime_s, orders in CASES:
        found = need(costs, connections, lifetime_s, orders)
        count, cores = found.processes, found.cores
        lines.append(
            f"| {connections:,} | {lifetime_s:g} s | {orders:g} "
            f"| {count['events']} ({cores['events']:.2f}) | {found.memory_mib:,.0f} MiB "
            f"| {count['core']} ({cores['core']:.2f}) | {count['relay']} ({cores['relay']:.2f}) "
            f"| {cores['postgres']:.2f} | {cores['kafka']:.2f} |"
        )
    return "\n".join(lines)


def put_between(text: str, part: str) -> str:
    """The text, with what stands between its two markers replaced by `part`.

    Raises:
        CapacityError: the text lacks a marker.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise CapacityError(f"the document lacks the markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{part}\n{END}{after}"


def main() -> int:
    """Print the tables, and write them into the document of --write. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.load.capacity", description=__doc__)
    parser.add_argument("reports", nargs="+", type=Path, help="load-test.json of several runs")
    parser.add_argument("--write", type=Path, help="a document with the markers")
    options = parser.parse_args()
    try:
        costs = costs_of([json.loads(path.read_text()) for path in options.reports])
        tables = as_markdown(costs)
        if options.write is not None:
            options.write.write_text(put_between(options.write.read_text(), tables))
    except (OSError, ValueError, KeyError) as error:
        print(f"a report cannot be read: {error!r}", file=sys.stderr)
        return 1
    except YabamError as error:
        print(error, file=sys.stderr)
        return 1
    print(tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
