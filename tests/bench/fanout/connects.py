"""Measures the cost of a connect in a storm: `python -m tests.bench.fanout.connects`.

In each round, every system serves a storm in turn, each in a new process. Only the CPU of the
server counts. Our server is `yabam events` without Kafka (`alone.py`): a connect does not use
Kafka, and so its fetches do not count as part of the storm. `--old DIRECTORY` adds the event server
of another checkout, to compare old and new code within one run. A ratio is the median of the
rounds' own ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from deploy.processes.ports import free_port
from server_common.access.tickets import Ticket
from tests.bench.fanout.alone import EPOCH
from tests.bench.fanout.child import Child
from tests.bench.fanout.machine import QuietMeter, allow_files, header
from tests.bench.fanout.measure import Subscribers, compiled, cpu_seconds
from tests.bench.fanout.peers import PEERS
from tests.bench.fanout.rivals import Bare, Nchan
from tests.bench.fanout.system import System, get, serves
from tests.bench.fanout.yabam import KEYS

_SETTLE_S: Final = 1.0
_WRITTEN: Final = Path("build/bench-connects.json")

Made = Mapping[str, Callable[[], System]]
Costs = Mapping[str, Sequence[float]]


class Alone:
    """This event server, or that of another checkout, with a clock in place of Kafka.

    Args:
        code: the folder of the checkout.
    """

    name = "yabam"
    deliveries_per_s = 60_000

    def __init__(self, code: Path) -> None:
        self.port = free_port()
        self._code = str(code.resolve())
        self._child = Child()

    async def start(self) -> None:
        script = str(Path(__file__).with_name("alone.py"))
        await self._child.start(
            sys.executable, script, str(self.port), PYTHONPATH=self._code, quiet=False
        )
        await serves(f"http://127.0.0.1:{self.port}/readyz")

    def pids(self) -> list[int]:
        return [self._child.pid]

    def request(self, channel: int) -> bytes:
        """A request with its own ticket, as every client has one."""
        now = time.time() + channel / 1e6
        ticket = Ticket(EPOCH, {"store:0": 0}, now, now + 300, f"bench-{channel}")
        return get(f"/v1/stream?ticket={KEYS.sign(ticket)}", self.port)

    async def publish(self, channels: Sequence[int]) -> None:
        raise NotImplementedError("only connects are measured of it")

    async def stop(self) -> None:
        await self._child.stop()


async def storm(system: System, program: Path, folder: Path, n: int) -> float:
    """The server's CPU in microseconds for each of `n` connects at once.

    Raises:
        RuntimeError: a subscriber was refused.
    """
    subscribers = Subscribers(program, folder)
    try:
        await system.start()
        await asyncio.sleep(_SETTLE_S)  # work that remains from the start is not counted
        requests = [system.request(number) for number in range(n)]
        cpu = cpu_seconds(system.pids())
        await subscribers.connect(system.port, requests)
        return (cpu_seconds(system.pids()) - cpu) / n * 1e6
    finally:
        await subscribers.close()
        await system.stop()


def ratio(costs: Costs, one: str, other: str) -> str:
    """The median of the rounds' ratios of two systems, with the smallest and the largest."""
    each = [a / b for a, b in zip(costs[one], costs[other], strict=True)]
    return f"{statistics.median(each):.2f} × ({min(each):.2f} to {max(each):.2f})"


def table(n: int, costs: Costs) -> list[str]:
    """The table's lines for one size of storm."""
    lines = [f"{n:,} connects at once:"]
    for name, each in costs.items():
        all_of_them = " ".join(f"{cost:.1f}" for cost in each)
        lines.append(f"  {name:<15} {statistics.median(each):6.1f} µs of CPU ({all_of_them})")
    lines += [
        f"  yabam beside {other}: {ratio(costs, 'yabam', other)}"
        for other in costs
        if other != "yabam" and "yabam" in costs
    ]
    return lines


async def run(options: argparse.Namespace, folder: Path) -> dict[int, Costs]:
    """Make all storms."""
    program = compiled("subscribers", Path("build/bench"))
    found: dict[int, Costs] = {}
    for n in options.connections:
        made = _made(options, folder)
        costs: dict[str, list[float]] = {name: [] for name in made}
        for number in range(options.rounds):
            # Every second round is in reverse order, so no system always follows the same one.
            for name in list(made)[:: 1 if number % 2 == 0 else -1]:
                costs[name].append(await storm(made[name](), program, folder, n))
                print(f"  {n:>6,}, round {number + 1}: {name} {costs[name][-1]:.1f}", flush=True)
        found[n] = costs
    return found


def _made(options: argparse.Namespace, folder: Path) -> Made:
    made: dict[str, Callable[[], System]] = {"yabam": lambda: Alone(Path())}
    if options.old is not None:
        made["old"] = lambda: Alone(options.old)
    made["bare"] = Bare
    if Nchan.is_installed():
        made["nchan"] = lambda: Nchan(folder)
    for peer in PEERS:
        if peer.is_built():
            made[peer.name] = partial(peer, folder)
    return {name: make for name, make in made.items() if name in options.systems}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fanout.connects")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, nargs="+", default=[2000, 8000])
    parser.add_argument("--old", type=Path, help="another checkout, whose event server is run, too")
    every = ["yabam", "old", "bare", "nchan", *(peer.name for peer in PEERS)]
    parser.add_argument("--systems", nargs="+", choices=every, default=every)
    return parser.parse_args()


def main() -> None:
    """Run, print, and write build/bench-connects.json."""
    options = _options()
    allow_files(max(options.connections))
    meter = QuietMeter()
    with tempfile.TemporaryDirectory(prefix="yabam-bench-") as folder:
        found = asyncio.run(run(options, Path(folder)))
    quiet = meter.read()
    print()
    for n, costs in found.items():
        print("\n".join(table(n, costs)))
    print(f"The machine: {quiet}")
    _WRITTEN.write_text(json.dumps({"header": header(), "connects": found}, indent=1, default=str))


if __name__ == "__main__":
    main()
