"""The report of a run: the table, the ratios with their targets, and the cost of the load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.bench.edits.cases import (
    MANY_STORES,
    ONE_DOCUMENT,
    OPERATIONS,
    SPREAD,
    SYNC_WITHIN,
    EditsRun,
    Fanout,
    Point,
    SyncCase,
)
from tests.bench.sync.cases import Sample


def markdown(results: Mapping[Point, Sample]) -> Iterator[str]:
    """One line per case; CPU per edit in µs."""
    yield (
        "| system | operation | documents | edits/s | p50 ms | p99 ms | CPU of the server, µs "
        "| CPU of Postgres, µs | CPU of the load, µs |"
    )
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for point, sample in results.items():
        load = sample.load
        yield (
            f"| {point.system} | {OPERATIONS[point.operation]} | {point.stores:,} "
            f"| {load.req_s:,.0f} | {load.p50_ms:.1f} | {load.p99_ms:.1f} "
            f"| {_each(sample.server_cpu, sample):.0f} | {_each(sample.postgres_cpu, sample):.0f} "
            f"| {_each(sample.generator_cpu, sample):.0f} |"
        )


def ratios(results: Mapping[Point, Sample]) -> Iterator[str]:
    """Core compared with its rival and its targets.

    "Per CPU" means edits per CPU second of the server and Postgres together. Other work on the
    machine lowers the rate of a run, but hardly this figure.
    """
    for point, sample in results.items():
        if point.system != "yabam":
            continue
        target = SPREAD if point.stores == MANY_STORES else ONE_DOCUMENT
        met = "met" if sample.load.req_s >= target else "MISSED"
        documents = "one document" if point.stores == 1 else f"{point.stores:,} documents"
        line = (
            f"{OPERATIONS[point.operation]}, {documents}: {sample.load.req_s:,.0f}/s "
            f"(target {target:,}: {met})"
        )
        other = results.get(Point("sqlalchemy", point.operation, point.stores))
        if other is not None:
            line += (
                f"; {sample.load.req_s / other.load.req_s:.2f} × sqlalchemy, "
                f"{_cost(other) / _cost(sample):.2f} × per CPU"
            )
        yield line


def syncs(found: Mapping[SyncCase, Sample]) -> Iterator[str]:
    """The cost of a sync with and without documents."""
    bare = found.get("no document")
    for case, sample in found.items():
        line = (
            f"sync, {case}: {sample.load.req_s:,.0f}/s, Core {_each(sample.server_cpu, sample):.0f}"
            f" µs each, Postgres {_each(sample.postgres_cpu, sample):.0f} µs"
        )
        if case == "8 documents" and bare is not None:
            change = _cost(sample) / _cost(bare) - 1
            met = "met" if change <= SYNC_WITHIN else "MISSED"
            line += f"; CPU {change:+.1%} (target within {SYNC_WITHIN:.0%}: {met})"
        yield line


def fanout(found: Fanout) -> Iterator[str]:
    """The cost of one edit on its way to the phones."""
    costs = ", ".join(f"{name} {cpu:.0f} µs" for name, cpu in found.cpu_us.items())
    yield (
        f"a cart edit to {found.phones} phones ({found.tables} tables, "
        f"{found.edits_s:,.0f} edits/s): {costs}, together {sum(found.cpu_us.values()):.0f} µs "
        f"of CPU; {found.deliveries:,} events arrived, none was missing"
    )


def page(run: EditsRun) -> Iterator[str]:
    """The benchmark's part of `docs/performance.md`."""
    yield f"`{run.command}`: {run.machine}; medians of {run.rounds} rounds, {run.took_s:.0f} s."
    yield ""
    results = dict(run.results)
    yield from markdown(results)
    yield ""
    yield from (f"* {line}" for line in lines_of(run))


def lines_of(run: EditsRun) -> Iterator[str]:
    """The lines after the table."""
    yield from ratios(dict(run.results))
    yield from syncs(run.syncs)
    if run.fanout is not None:
        yield from fanout(run.fanout)


def _cost(sample: Sample) -> float:
    return _each(sample.server_cpu + sample.postgres_cpu, sample)


def _each(cpu: float, sample: Sample) -> float:
    return cpu / sample.load.req_s * 1e6
