"""What clients that are far away notice: `python -m tests.bench.fanout.far`.

8,000 subscribers of one channel get five events a second: over loopback; through a link that does
nothing (`tests.bench.link`); through one that delays each packet by 100 ms in each direction and
loses one in a hundred; and through that one while a tenth reads one byte a second. p99 is that of
the good ones, from just before the publisher hands the event to Kafka. Rounds go over all in turn.
The run has a network of its own, so it must be root, or be allowed a user namespace.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from deploy.kafka.server import ensure_libs
from tests.bench.fanout.machine import allow_files
from tests.bench.fanout.measure import Subscribers, compiled
from tests.bench.fanout.on_kafka import measure_on_kafka
from tests.bench.fanout.results import FAR as FILE
from tests.bench.fanout.slow import Noticed, measure
from tests.bench.fanout.yabam import Yabam
from tests.bench.link.network import LinkError, enter_own_network, sent_again
from tests.bench.link.program import FAR, NEAR, Carried, Link, Quality
from tests.bench.link.program import compiled as compiled_link

_BUILD: Final = Path("build/bench")


@dataclass(frozen=True, slots=True)
class Case:
    """What is between the server and its clients."""

    between: str
    quality: Quality | None
    """Of the link; None: there is none."""
    slow_every: int = 0
    """One of this many clients is slow; 0: none is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One measurement."""

    noticed: Noticed
    sent_again: int
    """TCP segments that the server sent again."""
    carried: Carried | None

    def figures(self) -> dict[str, float]:
        """All of them."""
        carried = self.carried
        return asdict(self.noticed) | {
            "sent_again": self.sent_again,
            "packets": carried.came if carried else 0,
            "lost_share": carried.lost / carried.came if carried else 0.0,
            "overflowed": carried.overflowed if carried else 0,
        }


def cases(options: argparse.Namespace) -> list[Case]:
    """Those of a round, in their order."""
    quality = Quality(options.delay_ms, options.loss, options.seed)
    far = f"a link of {options.delay_ms:g} ms that loses {options.loss * 100:g} %"
    return [
        Case("nothing", None),
        Case("a link that does nothing", Quality(0, 0)),
        Case(far, quality),
        Case(far, quality, options.slow_every),
    ]


def rows(found: list[tuple[Case, list[Seen]]]) -> list[dict[str, Any]]:
    """The medians of each case."""

    def medians(seen: list[Seen]) -> Iterator[tuple[str, float]]:
        figures = [one.figures() for one in seen]
        for name in figures[0]:
            yield name, statistics.median(one[name] for one in figures)

    return [
        {"between": case.between, "slow_every": case.slow_every, **dict(medians(seen))}
        for case, seen in found
    ]


@asynccontextmanager
async def linked(program: Path, quality: Quality | None) -> AsyncIterator[Link | None]:
    """The link, if there is to be one."""
    if quality is None:
        yield None
        return
    link = Link(program, quality)
    try:
        await link.start()
        yield link
    finally:
        await link.stop()


class Bench:
    """One run.

    Args:
        options: the command's.
        kafka: where it is.
        folder: for files.
    """

    def __init__(self, options: argparse.Namespace, kafka: str, folder: Path) -> None:
        self._options = options
        self._kafka = kafka
        self._folder = folder
        self._subscribers = compiled("subscribers", _BUILD)
        self._link = compiled_link(_BUILD)

    async def measure(self, case: Case) -> Seen:
        """Serve clients through what is between."""
        system = Yabam(self._kafka, self._options.connections, host="0.0.0.0")
        async with linked(self._link, case.quality) as link:
            before = sent_again()
            subscribers = self._made(link, case.slow_every)
            noticed = await measure(self._options, system, subscribers, case.slow_every)
            carried = await link.carried() if link is not None else None
            return Seen(noticed, sent_again() - before, carried)

    def _made(self, link: Link | None, every: int) -> Subscribers:
        if link is None:
            return Subscribers(self._subscribers, self._folder, slow_every=every)
        return Subscribers(
            self._subscribers, self._folder, FAR, every, host=NEAR, started_by=link.at_far_end
        )


async def run(options: argparse.Namespace, kafka: str, folder: Path) -> list[dict[str, Any]]:
    """All rounds."""
    bench = Bench(options, kafka, folder)
    found: list[tuple[Case, list[Seen]]] = [(case, []) for case in cases(options)]
    for _ in range(options.rounds):
        for case, seen in found:
            seen.append(await bench.measure(case))
            print(f"  {case.between}, each {case.slow_every}th slow: {seen[-1]}", flush=True)
    return rows(found)


def main() -> None:
    """Run, print, and write build/bench-far.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fanout.far")
    parser.add_argument("--connections", type=int, default=8000)
    parser.add_argument("--delay-ms", type=float, default=100, help="in each direction")
    parser.add_argument("--loss", type=float, default=0.01, help="the probability of each packet")
    parser.add_argument("--seed", type=int, default=1, help="of the packets that are lost")
    parser.add_argument("--slow-every", type=int, default=10)
    parser.add_argument("--rate", type=float, default=5, help="events a second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--if-possible", action="store_true", help="where no link can be made, say so and succeed"
    )
    options = parser.parse_args()
    allow_files(options.connections)
    # Fetched from Maven Central the first time, which the run's own network does not reach.
    ensure_libs(Path("build/kafka"), print)
    said = {"connections": options.connections, "rounds": options.rounds}
    try:
        enter_own_network()
        measure_on_kafka(partial(run, options), said, FILE)
    except LinkError as error:
        text = f"far clients are not measured: {error}"
        if not options.if_possible:
            sys.exit(text)
        print(text, flush=True)


if __name__ == "__main__":
    main()
