"""The CPU of an order's step in all processes together: `python -m tests.bench.steps`.

Orders are placed at a fixed rate and taken through all steps on a whole installation. Each step is
pushed to two terminals and a table. The CPU that the same installation and its followers use
without orders is subtracted. Prints a table in the form of `docs/performance.md`. The run fails if
a follower lacks a step at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from dataclasses import dataclass
from typing import Final

import uvloop

from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.load.clients.crowd import Crowd
from deploy.load.clients.messages import Begin
from deploy.load.clients.notes import Notes
from deploy.load.clients.writer import BETWEEN_STEPS_S, STEPS, Door, Writer
from deploy.load.measured.timeline import Tally
from deploy.load.measured.way import Times
from deploy.load.site import address_of
from deploy.local.stack import Stack
from tests.bench.fanout.machine import QuietMeter
from tests.bench.installation import Spent, installation
from tests.integration.core_service import KEYS

STORES: Final = 50
FOLLOWERS: Final = 3
"""Followers of each store: two terminals and the table of all its orders."""
STEPS_OF_AN_ORDER: Final = 1 + len(STEPS)
SETTLES_S: Final = 10.0
LIFE_S: Final = BETWEEN_STEPS_S[1] * len(STEPS)
"""The longest life of an order. From then on, six steps are taken for each placed order."""
TARGETS_MS: Final = {10: 1.0, 500: 0.4}
"""The targets for all processes together, by steps per second."""
WITHIN_S: Final = 30.0
PREFIX: Final = "bench-"
SETTINGS: Final = {
    # No stream may end during the measurement, because a sync is not a step.
    "YABAM_EVENTS_LIFETIME_MIN_S": "3000",
    "YABAM_EVENTS_LIFETIME_MAX_S": "3600",
}


class BenchError(Exception):
    """The measurement is not valid; the text says why."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a step in each process, in microseconds of CPU, and the steps per second."""

    rate: float
    by_process: dict[str, float]

    @property
    def total_ms(self) -> float:
        """The cost of all processes together."""
        return sum(self.by_process.values()) / 1000


async def spending(spent: Spent, seconds: float) -> dict[str, float]:
    """CPU seconds of each process, per second."""
    before = {name: read() for name, read in spent.items()}
    began = time.monotonic()
    await asyncio.sleep(seconds)
    passed = time.monotonic() - began
    return {name: (read() - before[name]) / passed for name, read in spent.items()}


async def cost_at(
    steps_per_s: float,
    stack: Stack,
    spent: Spent,
    idle: dict[str, float],
    seconds: float,
    run: str,
) -> tuple[Cost, int]:
    """Place orders, measure in the middle, and take all orders to their end.

    Args:
        steps_per_s: how many steps to take per second.
        stack: the installation.
        spent: the CPU of its processes so far.
        idle: the CPU per second without orders, from `spending`.
        seconds: how long to measure.
        run: the start of each order's reference.

    Returns:
        The cost, and how many steps were taken in all.
    """
    tokens = token_keys({"local": KEYS.token}, "local")
    names = [f"{PREFIX}{number}" for number in range(STORES)]
    door = Door(
        address_of(stack.core_url),
        {
            name: tokens.sign(Caller(f"door-{name}", "owner", frozenset({name})), 86_400)
            for name in names
        },
        [(name, "1") for name in names],
    )
    times = Times()
    writer = Writer(
        door, steps_per_s / STEPS_OF_AN_ORDER, times, Tally(), random.Random(7), run, time.monotonic
    )  # fmt: skip
    placing = asyncio.create_task(writer.place_for(LIFE_S + seconds))
    await asyncio.sleep(LIFE_S)
    before, began = len(times.answered), time.monotonic()
    busy = await spending(spent, seconds)
    rate = (len(times.answered) - before) / (time.monotonic() - began)
    await placing
    await writer.finish()
    per_step = {name: (busy[name] - idle[name]) / rate * 1e6 for name in busy}
    return Cost(rate, per_step), len(times.answered)


async def measured(
    stack: Stack, spent: Spent, rates: list[float], seconds: float, rounds: int
) -> dict[float, list[Cost]]:
    """The costs at each rate, round by round.

    Raises:
        BenchError: a follower lacks a step.
    """
    found: dict[float, list[Cost]] = {rate: [] for rate in rates}
    notes = Notes()
    begin = Begin(
        core=address_of(stack.core_url), source=None, token_key=KEYS.token, seed=7, prefix=PREFIX,
        clients=STORES * FOLLOWERS, stores=STORES, first=0, step=1, began=time.monotonic(),
        ramp_s=2.0,
    )  # fmt: skip
    crowd = Crowd(begin, notes)
    await crowd.come()
    await asyncio.sleep(SETTLES_S)
    steps = delivered = 0
    for number in range(rounds):
        idle = await spending(spent, seconds)
        for rate in rates:
            run = f"{number}-{rate:g}-"
            cost, taken = await cost_at(rate, stack, spent, idle, seconds, run)
            found[rate].append(cost)
            steps += taken
    deadline = time.monotonic() + WITHIN_S
    while delivered < steps * FOLLOWERS and time.monotonic() < deadline:
        delivered += notes.take().counts.get("delivered", 0)
        await asyncio.sleep(0.05)
    crowd.close()
    if delivered != steps * FOLLOWERS:
        raise BenchError(f"{steps} steps were told {delivered} times, to {FOLLOWERS} each")
    return found


def table(found: dict[float, list[Cost]]) -> str:
    """Medians over the rounds, process by process, and of the totals."""
    names = list(next(iter(found.values()))[0].by_process)
    lines = [
        f"| steps a second | {' | '.join(f'{name}, µs' for name in names)} | in all, ms | target |",
        f"| ---: |{' ---: |' * (len(names) + 1)} --- |",
    ]
    for rate, costs in found.items():
        each = [statistics.median(cost.by_process[name] for cost in costs) for name in names]
        total = statistics.median(cost.total_ms for cost in costs)
        target = TARGETS_MS.get(round(rate))
        verdict = "" if target is None else f"{target:g} ms: "
        verdict += "" if target is None else "met" if total <= target else "**not met**"
        shown = statistics.median(cost.rate for cost in costs)
        cells = " | ".join(f"{value:,.0f}" for value in each)
        lines.append(f"| {shown:,.1f} | {cells} | {total:.2f} | {verdict} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.steps", description=__doc__)
    parser.add_argument(
        "--rates", type=float, nargs="+", default=list(TARGETS_MS), help="steps a second"
    )
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    meter = QuietMeter()
    with installation(SETTINGS) as (stack, spent):
        found = uvloop.run(measured(stack, spent, options.rates, options.seconds, options.rounds))
    print(f"Medians of {options.rounds} rounds. The machine: {meter.read()}.\n")
    print(table(found))


if __name__ == "__main__":
    main()
