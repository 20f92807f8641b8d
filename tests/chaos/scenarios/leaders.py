"""Three nodes of Kafka: leaders of partitions are killed, shut down, and moved to other nodes."""

from __future__ import annotations

from typing import Final

from tests.chaos.runner import Field, Scenario
from tests.chaos.site import aside
from tests.kafka_cluster import KafkaCluster
from tests.kafka_replicas import Place, Standing, move, standings

_TOPICS: Final = ("order-events", "orders.inbound")
_PARTITIONS: Final = 4
_MOVES_WITHIN_S: Final = 40.0
_SESSIONS = "yabam_events_sessions_total"


def _cluster(ground: Field) -> KafkaCluster:
    assert ground.site.cluster is not None
    return ground.site.cluster


async def _standings(ground: Field) -> dict[Place, Standing]:
    return await standings(ground.site.bootstrap, _TOPICS)


async def _kill(ground: Field) -> str:
    seen = []
    for _ in range(max(1, round(2 * ground.scale))):
        place = (_TOPICS[0], ground.chance.randrange(_PARTITIONS))
        victim = (await _all_in_sync(ground))[place].leader
        await aside(_cluster(ground).node(victim).kill)
        seconds = await _left(ground, victim)
        await ground.last(6)
        await aside(_cluster(ground).start)
        seen.append(f"node {victim} killed, others lead after {seconds:.1f} s")
    await _all_in_sync(ground)
    return "; ".join(seen)


async def _leave(ground: Field) -> str:
    slowest = 0.0
    nodes = [node.number for node in _cluster(ground).nodes]
    ground.chance.shuffle(nodes)
    for number in nodes:
        await _all_in_sync(ground)
        await aside(_cluster(ground).node(number).stop)
        slowest = max(slowest, await _left(ground, number))
        await ground.last(3)
        await aside(_cluster(ground).start)
    await _all_in_sync(ground)
    return f"nodes {nodes} left in turn; others led {slowest:.1f} s later at most"


async def _reassign(ground: Field) -> str:
    moved = 0
    everywhere = frozenset(node.number for node in _cluster(ground).nodes)
    sessions = await ground.site.metrics("events", _SESSIONS)
    for _ in range(max(1, round(3 * ground.scale))):
        before = await _all_in_sync(ground)
        await _place_on(ground, {p: everywhere - {s.leader} for p, s in before.items()})
        await _left(ground, before)
        moved += len(before)
        await ground.last(3)
        await _place_on(ground, dict.fromkeys(before, everywhere))
    await _all_in_sync(ground)
    anew = await ground.site.metrics("events", _SESSIONS) - sessions
    return f"{moved} leaders moved by hand; event servers began to read anew {anew:.0f} times"


async def _left(ground: Field, old: int | dict[Place, Standing]) -> float:
    """Wait until no partition has this leader (a node, or each partition's old leader).

    Returns how long that took.
    """

    async def elsewhere() -> bool:
        now = await _standings(ground)
        return len(now) == len(_TOPICS) * _PARTITIONS and all(
            standing.leader > 0
            and standing.leader != (old if isinstance(old, int) else old[place].leader)
            for place, standing in now.items()
        )

    return await ground.until(elsewhere, "other nodes lead all partitions", _MOVES_WITHIN_S)


async def _all_in_sync(ground: Field) -> dict[Place, Standing]:
    """Wait until each partition has a leader and all replicas in sync. Returns their nodes."""
    nodes = frozenset(node.number for node in _cluster(ground).nodes)
    found: dict[Place, Standing] = {}

    async def whole() -> bool:
        found.update(await _standings(ground))
        return len(found) == len(_TOPICS) * _PARTITIONS and all(
            standing.leader > 0 and standing.in_sync == standing.replicas == nodes
            for standing in found.values()
        )

    await ground.until(whole, "all three nodes keep every partition", _MOVES_WITHIN_S)
    return found


async def _place_on(ground: Field, nodes: dict[Place, frozenset[int]]) -> None:
    """Move each partition to these nodes, in a random order of preference."""
    orders = {place: sorted(those) for place, those in nodes.items()}
    for order in orders.values():
        ground.chance.shuffle(order)
    await move(ground.site.bootstrap, orders)


SCENARIOS = [
    Scenario(
        "leader-killed",
        "SIGKILL of the node that leads a partition, twice",
        _kill,
        needs_kafka=True,
        needs_cluster=True,
    ),
    Scenario(
        "leader-leaves",
        "SIGTERM and start of each node in turn: its leaders move before it goes",
        _leave,
        needs_kafka=True,
        needs_cluster=True,
    ),
    Scenario(
        "leader-moved",
        "every partition taken away from its leader, and given back, three times",
        _reassign,
        needs_kafka=True,
        needs_cluster=True,
    ),
]
