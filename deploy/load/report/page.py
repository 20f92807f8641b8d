"""The report as one HTML file, without scripts, that needs no other files."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

from deploy.load.report.chart import Chart, ChartSeries, draw, legend
from deploy.load.report.text import Table, failures, generator_share, machine, tables
from deploy.load.run import LoadResult

_STYLE: Final = Path(__file__).with_name("page.css")
_COLOURS: Final = 8
_MODES: Final = ("live", "polling", "offline", "starting")


def page(outcome: LoadResult) -> str:
    """The whole page."""
    colours = "".join(
        f".line{n}{{fill:none;stroke:var(--c{n});stroke-width:1.8}}"
        f".fill{n}{{fill:var(--c{n});background:var(--c{n})}}"
        for n in range(_COLOURS)
    )
    plan = outcome.plan
    title = f"{plan.clients:,} clients, {plan.orders_per_s:g} orders a second"
    parts = [_verdict(outcome), *map(_table, tables(outcome)), *_charts(outcome)]
    about = (
        f"{plan.stores:,} stores, {plan.duration_s:g} s after a ramp of {plan.ramp_s:g} s, streams "
        f"of {plan.lifetime_s[0]:g} to {plan.lifetime_s[1]:g} s, seed {plan.seed}; {machine()}"
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Yabam load test: {title}</title>"
        f"<style>{_STYLE.read_text()}{colours}</style><main>"
        f'<h1>{title}</h1><p class="soft">{escape(about)}</p>{"".join(parts)}</main></html>\n'
    )


def _verdict(outcome: LoadResult) -> str:
    verdict, counts, wrong = outcome.verdict, outcome.tally.counts, failures(outcome)
    said = "Nothing lost, nothing doubled, all in order" if not wrong else "Failed"
    reasons = "".join(f"<li>{escape(text)}</li>" for text in [*wrong, *verdict.notes])
    busy = generator_share(outcome)
    figures = _figures(
        (f"{verdict.checked:,}", "deliveries proven against the log"),
        (f"{counts['committed']:,}", "commands stored"),
        (f"{outcome.live_share:.2%}", "of the time live"),
        (f"{counts['opened']:,}", "streams opened"),
        (f"{counts['synced']:,}", "syncs"),
        (f"{counts['refused']:,}", "refusals, tried again"),
        (f"{verdict.resets:,}", "resets"),
        (f"{busy:.0f} %", "of a core, at most, for the clients themselves"),
    )
    return (
        f'<section class="{"bad" if wrong else "good"}"><p class="verdict">{said}</p>'
        f"<ul>{reasons}</ul>{figures}</section>"
    )


def _figures(*pairs: tuple[str, str]) -> str:
    cells = "".join(
        f'<div><b>{value}</b><span class="soft">{name}</span></div>' for value, name in pairs
    )
    return f'<div class="figures">{cells}</div>'


def _table(table: Table) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in table.rows)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<section><div class="wide"><table><tr>{top}</tr>{body}</table></div></section>'


def _charts(outcome: LoadResult) -> list[str]:
    seconds = outcome.timeline.seconds
    times = [second.at for second in seconds]
    marks = [(mark.at, mark.name) for mark in outcome.timeline.marks]

    def chart(title: str, unit: str, series: list[ChartSeries], **more: bool | str) -> str:
        drawn = Chart(title, unit, times, series, marks, **more)  # type: ignore[arg-type]
        return f"<section><h2>{escape(title)}</h2>{draw(drawn)}<p>{legend(drawn)}</p></section>"

    def names(field: str) -> list[str]:
        return sorted({name for second in seconds for name in getattr(second, field)})

    def counted(what: str) -> ChartSeries:
        return ChartSeries(what, [float(second.counts.get(what, 0)) for second in seconds])

    return [
        chart("From sending an order until a client has it", "ms", [
            ChartSeries(f"p{p}", [_at(second.delivery_ms, n) for second in seconds])
            for n, p in enumerate((50, 95, 99))], scale="log"),
        chart("Clients by mode", "clients", [
            ChartSeries(mode, [float(second.modes.get(mode, 0)) for second in seconds])
            for mode in _MODES], stacked=True),
        chart("Reconnects and syncs", "per s", [counted("opened"), counted("synced"),
            counted("refused"), counted("failed")]),
        chart("Events", "per s", [counted("committed"), counted("delivered")]),
        chart("p99 of other requests", "ms", [
            ChartSeries("commands", [_at(second.command_ms, 2) for second in seconds]),
            ChartSeries("health", [_at(second.health_ms, 2) for second in seconds]),
            ChartSeries("syncs", [_at(second.sync_ms, 2) for second in seconds])], scale="log"),
        chart("CPU", "% of a core", [
            ChartSeries(name, [second.cpu.get(name) for second in seconds])
            for name in names("cpu")]),
        chart("Memory", "MiB", [
            ChartSeries(name, [second.memory.get(name) for second in seconds])
            for name in names("memory")]),
    ]  # fmt: skip


def _at(values: tuple[float, ...], place: int) -> float | None:
    return values[place] if values else None
