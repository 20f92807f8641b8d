"""The network between clients and servers stalls, breaks, and is slow in latency or bandwidth."""

from __future__ import annotations

from tests.chaos.runner import Field, Scenario
from tests.chaos.wire import FaultProxy


def _fronts(ground: Field) -> list[FaultProxy]:
    return [ground.site.core_front, ground.site.events_front]


async def _stall(ground: Field) -> str:
    for front in _fronts(ground):
        front.stall()
    await ground.last(25)
    await ground.all_in("polling", "offline", within_s=30)
    return f"then {dict(ground.crowd.modes())}"


async def _stall_streams(ground: Field) -> str:
    ground.site.events_front.stall()
    await ground.last(25)
    await ground.all_in("polling", within_s=30)
    return f"then {dict(ground.crowd.modes())}"


async def _tear(ground: Field) -> str:
    torn = 0
    for _ in range(5):
        torn += sum(front.tear() for front in _fronts(ground))
        await ground.last(3)
        for front in _fronts(ground):
            front.clear()
        await ground.last(1)
    return f"{torn} connections marked; each torn in its next piece"


async def _cut(ground: Field) -> str:
    cut = 0
    for _ in range(10):
        cut += sum(front.cut() for front in _fronts(ground))
        await ground.last(ground.chance.uniform(0.5, 2))
    return f"{cut} connections reset"


async def _latency(ground: Field) -> str:
    for front in _fronts(ground):
        front.latency_s = 2.0
        front.cut()
    await ground.last(20)
    return f"then {dict(ground.crowd.modes())}"


async def _trickle(ground: Field) -> str:
    for front in _fronts(ground):
        front.bytes_per_s = 1000
        front.cut()
    await ground.last(20)
    return f"then {dict(ground.crowd.modes())}"


SCENARIOS = [
    Scenario("net-stall", "nothing passes for 25 s, no FIN", _stall),
    Scenario("net-stall-streams", "the same before the event servers only", _stall_streams),
    Scenario("net-tear", "resets in the middle of a frame or answer", _tear),
    Scenario("net-cut", "ten times every connection reset", _cut),
    Scenario("net-latency", "2 s latency each way and at connecting, 20 s", _latency),
    Scenario("net-trickle", "1 KB/s per connection and direction, 20 s", _trickle),
]
