"""Measures one system: the cost of connecting and delivering, and how long events take."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.fanout.child import Child
from tests.bench.fanout.measure import Subscribers, cpu_seconds, private_kib
from tests.bench.fanout.system import System
from tests.bench.fanout.yabam import FETCH_WAIT_MS, Yabam

LATENCY_EVENTS_PER_S: Final = 500
LATENCY_S: Final = 5.0
FULL_PACE: Final = 60_000
_SETTLE_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Cost:
    """The costs of one system with a number of subscribers of one channel."""

    cpu_us_per_delivery: float
    cpu_us_per_connect: float
    kib_per_connection: float


@dataclass(frozen=True, slots=True)
class Delay:
    """How long events take, in milliseconds."""

    p50_ms: float
    p99_ms: float


async def cost(system: System, program: Path, folder: Path, n: int, deliveries: int) -> Cost:
    """One channel with `n` subscribers: the costs of connecting, of idling and of a delivery.

    Args:
        system: must not be started.
        program: the program of the subscribers.
        folder: for files.
        n: how many subscribers.
        deliveries: how many to count; fewer for a slower system.

    Raises:
        RuntimeError: an event was lost, or a subscriber was refused.
    """
    subscribers = Subscribers(program, folder)
    try:
        await system.start()
        pids = system.pids()
        memory, cpu = private_kib(pids), cpu_seconds(pids)
        await subscribers.connect(system.port, [system.request(0)] * n)
        connecting = cpu_seconds(pids) - cpu
        await asyncio.sleep(_SETTLE_S)
        keeping = private_kib(pids) - memory
        idle, began = cpu_seconds(pids), time.monotonic()
        await asyncio.sleep(_SETTLE_S)
        idle_rate = (cpu_seconds(pids) - idle) / (time.monotonic() - began)
        rounds = max(5, deliveries * system.deliveries_per_s // FULL_PACE // n)
        cpu, began = cpu_seconds(pids), time.monotonic()
        for _ in range(rounds):
            await system.publish([0])
            await asyncio.sleep(n / system.deliveries_per_s)
        came = await subscribers.gather(n * rounds, 60)
        spent = cpu_seconds(pids) - cpu - idle_rate * (time.monotonic() - began)
        if came.events != n * rounds or came.closed:
            raise RuntimeError(f"{system.name}: {came} of {n * rounds} events came")
    finally:
        await subscribers.close()
        await system.stop()
    return Cost(spent / (n * rounds) * 1e6, connecting / n * 1e6, keeping / n)


async def delay(system: System, program: Path, folder: Path, n: int) -> Delay:
    """The delay with two subscribers per channel at 500 events a second.

    Raises:
        RuntimeError: an event was lost, or a subscriber was refused.
    """
    subscribers = Subscribers(program, folder)
    try:
        await system.start()
        await subscribers.connect(system.port, [system.request(1 + i // 2) for i in range(n)])
        await asyncio.sleep(_SETTLE_S)
        return await _timed(system, subscribers, n)
    finally:
        await subscribers.close()
        await system.stop()


async def delay_beside_bare(
    system: Yabam, program: Path, folder: Path, n: int
) -> tuple[Delay, Delay]:
    """The same delay, and that of an aiokafka consumer of the same events, in its own process.

    Raises:
        RuntimeError: an event was lost, or a subscriber was refused.
    """
    subscribers, bare = Subscribers(program, folder), Child()
    try:
        await system.start()
        await subscribers.connect(system.port, [system.request(1 + i // 2) for i in range(n)])
        module = ("-m", "tests.bench.fanout.consumer")
        await bare.start(sys.executable, *module, system.kafka, system.topic, str(FETCH_WAIT_MS))
        await bare.hear()
        await asyncio.sleep(_SETTLE_S)
        await bare.ask("")
        ours = await _timed(system, subscribers, n)
        said = json.loads(await bare.ask(""))
        if said["events"] != _timed_events():
            raise RuntimeError(f"the bare consumer got {said['events']} of {_timed_events()}")
        return ours, Delay(said["p50_ms"], said["p99_ms"])
    finally:
        await bare.stop()
        await subscribers.close()
        await system.stop()


def _timed_events() -> int:
    return int(LATENCY_EVENTS_PER_S * LATENCY_S)


async def _timed(system: System, subscribers: Subscribers, n: int) -> Delay:
    await subscribers.mark()
    count, began = _timed_events(), time.monotonic()
    for number in range(count):
        await system.publish([1 + number % (n // 2)])
        await asyncio.sleep(max(0.0, began + number / LATENCY_EVENTS_PER_S - time.monotonic()))
    await asyncio.sleep(_SETTLE_S)
    came = await subscribers.mark()
    if came.events != count * 2:
        raise RuntimeError(f"{system.name}: {came} of {count * 2} events came")
    return Delay(came.p50_ms, came.p99_ms)
