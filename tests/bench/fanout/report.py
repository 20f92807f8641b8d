"""What a run says, as Markdown: on the terminal, and in the documentation.

    python -m tests.bench.fanout.report [--write docs/performance.md]

Reads what `make bench` has written. `--write` puts it between the file's two marks, so that no
figure there was ever typed by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench.fanout.machine import Quiet
from tests.bench.fanout.results import (
    FIGURES,
    FIREHOSE,
    MANY,
    SLOW,
    SYSTEMS,
    WORKERS,
    Figure,
    Results,
)

BEGIN: Final = "<!-- make bench writes from here -->"
END: Final = "<!-- to here -->"
KIB_TARGET: Final = 6.0
_BY_SOCKET: Final[Sequence[tuple[str, Figure, float | None]]] = (
    ("a delivery by WebSocket, beside one by server-sent events", "cpu_us_per_delivery", 1.2),
    ("a connect by WebSocket, beside one by server-sent events", "cpu_us_per_connect", None),
    ("memory of an idle WebSocket, beside a stream's", "kib_per_connection", None),
)
_RATIOS: Final[Sequence[tuple[str, Figure, str, float | None]]] = (
    ("a delivery, beside nchan's", "cpu_us_per_delivery", "nchan", 1.0),
    ("a delivery, beside the limit's", "cpu_us_per_delivery", "c-send", 1.3),
    ("a delivery, beside a bare protocol's", "cpu_us_per_delivery", "bare", None),
    ("a delivery, beside sse-starlette's", "cpu_us_per_delivery", "sse-starlette", None),
    ("a delivery, beside durable-streams'", "cpu_us_per_delivery", "durable-streams", None),
    ("a delivery, beside mercure's", "cpu_us_per_delivery", "mercure", None),
    ("a delivery, beside centrifugo's", "cpu_us_per_delivery", "centrifugo", None),
    ("a connect, beside nchan's (ours checks a ticket)", "cpu_us_per_connect", "nchan", 2.0),
    ("a connect, beside durable-streams'", "cpu_us_per_connect", "durable-streams", 1.0),
    ("a connect, beside mercure's", "cpu_us_per_connect", "mercure", None),
    ("a connect, beside centrifugo's", "cpu_us_per_connect", "centrifugo", None),
    ("a connect, beside a bare protocol's", "cpu_us_per_connect", "bare", None),
    ("p99, beside a bare aiokafka consumer's", "p99_ms", "aiokafka", 3.0),
)


def markdown(
    results: Results,
    firehose: dict[str, Any] | None = None,
    workers: dict[str, Any] | None = None,
    many: dict[str, Any] | None = None,
    slow: dict[str, Any] | None = None,
) -> str:
    """All that is to be told; the others as their programs wrote them."""
    parts = [
        _about(results),
        "\n".join(_table(results)),
        "\n".join(f"* Left out: {failure}." for failure in results.failures),
        "\n".join(_ratios(results)),
        "\n".join(_scale(results)),
    ]
    if firehose is not None:
        parts.append("\n".join(_firehose(firehose)))
    if workers is not None:
        parts.append("\n".join(_workers(workers)))
    if many is not None:
        parts.append("\n".join(_many(many)))
    if slow is not None:
        parts.append("\n".join(_slow(slow)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(results: Results) -> str:
    head = results.header
    versions = ", ".join(
        f"{name} {value}" for name, value in head.items()
        if name not in ("machine", "cores", "kernel", "date")
    )  # fmt: skip
    quiet = f" The machine: {results.quiet}." if results.quiet else ""
    return (
        f"`{results.command}` on {head['date']}: {head['cores']} cores of {head['machine']}, Linux "
        f"{head['kernel']}; {versions}. Medians of {results.rounds} rounds.{quiet}"
    )


def _table(results: Results) -> Iterator[str]:
    yield (
        "| system | connections | µs per delivery | µs per connect | KiB per connection | p50 ms "
        "| p99 ms |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for n in results.compared:
        for system in (*SYSTEMS, "bare", "aiokafka"):
            values = [results.median(system, n, figure) for figure in FIGURES]
            if any(value is not None for value in values):
                shown = " | ".join("" if value is None else f"{value:.2f}" for value in values)
                yield f"| {system} | {n:,} | {shown} |"


def _ratios(results: Results) -> Iterator[str]:
    yield "| wanted | " + " | ".join(f"at {n:,}" for n in results.compared) + " |"
    yield "| --- |" + " --- |" * len(results.compared)
    wanted_ratios = [(name, figure, "yabam", other, most) for name, figure, other, most in _RATIOS]
    wanted_ratios += [
        (name, figure, "yabam-socket", "yabam", most) for name, figure, most in _BY_SOCKET
    ]
    for name, figure, one, other, target in wanted_ratios:
        cells = []
        for n in results.compared:
            spread = results.ratio(one, other, n, figure)
            if spread is None:
                cells.append("not measured")
                continue
            verdict = "" if target is None else f": {_met(spread.median <= target)}"
            range_ = f"{spread.least:.2f} to {spread.greatest:.2f}"
            cells.append(f"{spread.median:.2f} × ({range_}){verdict}")
        wanted = "" if target is None else f": at most {target:g} ×"
        yield f"| {name}{wanted} | " + " | ".join(cells) + " |"
    cells = []
    for n in results.compared:
        kib = results.median("yabam", n, "kib_per_connection")
        cells.append("not measured" if kib is None else f"{kib:.1f}: {_met(kib <= KIB_TARGET)}")
    yield f"| KiB per idle connection: at most {KIB_TARGET:g} | " + " | ".join(cells) + " |"


def _scale(results: Results) -> Iterator[str]:
    found = sorted({sample.connections for sample in results.samples})
    if len(found) < 2:
        return
    yield "| connections | yabam, µs per delivery | c-send, µs per delivery | ratio |"
    yield "| ---: | ---: | ---: | ---: |"
    for n in found:
        ours = results.median("yabam", n, "cpu_us_per_delivery")
        limit = results.median("c-send", n, "cpu_us_per_delivery")
        if ours is not None and limit is not None:
            yield f"| {n:,} | {ours:.2f} | {limit:.2f} | {ours / limit:.2f} |"


def _firehose(said: dict[str, Any]) -> Iterator[str]:
    yield "| firehose | stores | records/s per core | µs per record |"
    yield "| --- | ---: | ---: | ---: |"
    for row in said["rows"]:
        rate = row["records_per_s"]
        target = row["target"]
        verdict = "" if target is None else f" (at least {target:,}: {_met(rate >= target)})"
        yield f"| {row['through']} | {row['stores']:,} | {rate:,.0f}{verdict} | {1e6 / rate:.2f} |"


def _workers(said: dict[str, Any]) -> Iterator[str]:
    yield (
        f"Several workers, {said['connections']:,} subscribers, medians of {said['rounds']} "
        f"rounds. The machine: {Quiet.read(said['quiet'])}."
    )
    yield ""
    yield "| workers | deliveries/s | µs of CPU per delivery | streams of each worker |"
    yield "| ---: | ---: | ---: | --- |"
    for row in said["rows"]:
        spread = ", ".join(f"{streams:,}" for streams in row["streams"])
        cost = row["cpu_us_per_delivery"]
        yield f"| {row['workers']} | {row['deliveries_per_s']:,.0f} | {cost:.2f} | {spread} |"


def _many(said: dict[str, Any]) -> Iterator[str]:
    yield (
        f"Several nodes, each with its part of the partitions, and many followers by "
        f"{said['workers']} workers; medians of {said['rounds']} rounds. The machine: "
        f"{Quiet.read(said['quiet'])}."
    )
    yield ""
    yield (
        "| | followers | deliveries/s | µs of CPU per delivery | µs per connect "
        "| KiB per connection |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for row in said["rows"]:
        yield (
            f"| {row['case']} | {row['followers']:,} | {row['deliveries_per_s']:,.0f} "
            f"| {row['cpu_us_per_delivery']:.2f} | {row['cpu_us_per_connect']:.2f} "
            f"| {row['kib_per_connection']:.2f} |"
        )


def _slow(said: dict[str, Any]) -> Iterator[str]:
    yield (
        f"Slow clients among {said['connections']:,}, medians of {said['rounds']} rounds; p50 and "
        f"p99 are those of the others. The machine: {Quiet.read(said['quiet'])}."
    )
    yield ""
    yield (
        "| one byte a second is read by | p50 ms | p99 ms | µs of CPU per delivery "
        "| MiB more at the end | hung up on |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for row in said["rows"]:
        who = f"each {row['slow_every']}th" if row["slow_every"] else "none"
        yield (
            f"| {who} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} "
            f"| {row['cpu_us_per_delivery']:.2f} | {row['mib_more']:.1f} | {row['hung_up']:,.0f} |"
        )


def _met(well: bool) -> str:
    return "met" if well else "**not met**"


def written_into(text: str, said: str) -> str:
    """A document with what stood between its marks replaced.

    Raises:
        ValueError: it lacks a mark.
    """
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return f"{text[:begin]}\n\n{said}\n{text[end:]}"


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    said: dict[str, Any] = json.loads(path.read_text())
    return said


def main() -> None:
    """Print the report, or write it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fanout.report")
    parser.add_argument("--write", type=Path, help="the document with the marks")
    options = parser.parse_args()
    try:
        results = Results.read()
    except FileNotFoundError as error:
        sys.exit(f"{error.filename} is not there: run make bench first")
    said = markdown(results, _read(FIREHOSE), _read(WORKERS), _read(MANY), _read(SLOW))
    if options.write is None:
        print(said)
        return
    options.write.write_text(written_into(options.write.read_text(), said))
    print(f"written: {options.write}")


if __name__ == "__main__":
    main()
