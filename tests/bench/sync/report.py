"""The report of a run: the table, the ratios with their targets, and the cost of the load."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping

from tests.bench.sync.cases import (
    COMMANDS_MANY,
    COMMANDS_ONE,
    FLAT_WITHIN,
    OVER_ASYNCPG,
    OVER_SQLALCHEMY,
    OVER_SQLALCHEMY_PER_CPU,
    Case,
    Point,
    Sample,
    System,
    per_request_us,
)

Results = Mapping[Point, Sample]


def machine() -> str:
    """The machine of the run, and how busy it was before."""
    return (
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"load average {os.getloadavg()[2]:.1f} over the last quarter of an hour"
    )


def table(results: Results) -> Iterator[str]:
    """One line per case. CPU is in % of one core, and per request in µs."""
    yield (
        f"{'system':<11}{'clients':>7}  {'case':<13}{'events':>10}{'req/s':>9}{'p50 ms':>8}"
        f"{'p99 ms':>8}{'server %':>9}{'µs/req':>7}{'Postgres %':>11}{'µs/req':>7}{'load %':>7}"
        f"{'failed':>7}"
    )
    for point, sample in results.items():
        load = sample.load
        yield (
            f"{point.system:<11}{point.clients:>7}  {point.case:<13}{point.log_events:>10,}"
            f"{load.req_s:>9,.0f}{load.p50_ms:>8.1f}{load.p99_ms:>8.1f}"
            f"{sample.server_cpu:>9.0%}{per_request_us(sample.server_cpu, sample):>7.0f}"
            f"{sample.postgres_cpu:>11.0%}{per_request_us(sample.postgres_cpu, sample):>7.0f}"
            f"{sample.generator_cpu:>7.0%}{load.failed:>7}"
        )


def markdown(results: Results) -> Iterator[str]:
    """The same as Markdown; CPU per answer in µs."""
    yield (
        "| system | clients | case | events in the log | req/s | p50 ms | p99 ms "
        "| CPU of the server, µs | CPU of Postgres, µs |"
    )
    yield "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for point, sample in results.items():
        load = sample.load
        yield (
            f"| {point.system} | {point.clients} | {point.case} | {point.log_events:,} "
            f"| {load.req_s:,.0f} | {load.p50_ms:.1f} | {load.p99_ms:.1f} "
            f"| {per_request_us(sample.server_cpu, sample):.0f} "
            f"| {per_request_us(sample.postgres_cpu, sample):.0f} |"
        )


def ratios(results: Results) -> Iterator[str]:
    """Core compared with each rival, and the longer log compared with the shorter one.

    "Per CPU" means answers per CPU second of the server and Postgres together. Other work on the
    machine lowers the rate of a run, but hardly this figure.
    """
    for point, sample in results.items():
        if point.system != "yabam":
            continue
        per_cpu = OVER_SQLALCHEMY_PER_CPU.get(point.case)
        targets: dict[System, tuple[float | None, float | None]] = {
            "sqlalchemy": (OVER_SQLALCHEMY[point.case], per_cpu),
            "asyncpg": (OVER_ASYNCPG, None),
            "pgbench": (None, None),
        }
        said = []
        for rival, held in targets.items():
            other = results.get(Point(rival, point.clients, point.case, point.log_events))
            if other is not None:
                ratio = sample.load.req_s / other.load.req_s
                by_rate, by_cpu = held if point.clients == 64 else (None, None)
                cost = _cost(other) / _cost(sample)
                said.append(
                    f"{ratio:.2f} × {rival}{_against(ratio, by_rate)}, "
                    f"{cost:.2f} × per CPU{_against(cost, by_cpu)}"
                )
        yield f"{_where(point.clients, point.case, point.log_events)}: {'; '.join(said)}"
    yield from _flatness(results)


def commands(results: Mapping[str, Sample]) -> Iterator[str]:
    """The write path, by how many stores the orders go to."""
    for name, sample in results.items():
        target = COMMANDS_ONE if name == "one store" else COMMANDS_MANY
        load = sample.load
        yield (
            f"orders to {name}: {load.req_s:,.0f}/s{_against(load.req_s, target)}, p50 "
            f"{load.p50_ms:.1f} ms, p99 {load.p99_ms:.1f} ms, Core {sample.server_cpu:.0%} "
            f"({per_request_us(sample.server_cpu, sample):.0f} µs each), Postgres "
            f"{sample.postgres_cpu:.0%}, failed {load.failed}"
        )


def _flatness(results: Results) -> Iterator[str]:
    lengths = sorted({point.log_events for point in results})
    if len(lengths) < 2:
        return
    short, long = lengths[0], lengths[-1]
    for point, sample in results.items():
        if point.system != "yabam" or point.log_events != short:
            continue
        longer = results[Point("yabam", point.clients, point.case, long)]
        change = longer.load.req_s / sample.load.req_s - 1
        verdict = "met" if change >= -FLAT_WITHIN else "MISSED"
        yield (
            f"{_where(point.clients, point.case, long)} beside {short:,}: {change:+.1%} "
            f"(target within {FLAT_WITHIN:.0%}: {verdict}); CPU of an answer "
            f"{_cost(longer) / _cost(sample) - 1:+.1%}"
        )


def _where(clients: int, case: Case, events: int) -> str:
    return f"{clients} clients, {case}, {events:,} events"


def _against(value: float, target: float | None) -> str:
    if target is None:
        return ""
    return f" (target {target:,g}: {'met' if value >= target else 'MISSED'})"


def _cost(sample: Sample) -> float:
    return per_request_us(sample.server_cpu + sample.postgres_cpu, sample)
