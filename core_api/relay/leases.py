"""Who owns which shard, and when a watermark is due: the relay's rules, pure.

Every relay computes the same plan from what stands in the database, so no relay leads the others.
The numbers of a plan add up to all shards: each shard has exactly one relay that wants it, once all
see the same members. Until then two may want the same one; the claiming statement lets one win.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

WATERMARK_ACTIVE_S: Final = 0.2
"""How soon after a watermark the next is due, in seconds, if events were published meanwhile."""
WATERMARK_IDLE_S: Final = 0.5
"""The same while nothing happens; the contract is at least one a second."""

SHORTEST_PAUSE_S: Final = 0.002
LONGEST_PAUSE_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Lease:
    """One row of `relay_leases` as a relay sees it."""

    shard: int
    owner: str
    fence: int
    expires_in_s: float
    """By the database's clock; zero or less is free to claim."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a relay must do about its leases now."""

    claim: tuple[int, ...]
    release: tuple[int, ...]
    look_again_s: float | None
    """When the first lease of another relay runs out; None if no other holds one."""


def plan_leases(me: str, members: Iterable[str], shards: int, leases: Sequence[Lease]) -> Plan:
    """The fair share of one relay among those that are alive.

    Args:
        me: this relay.
        members: the relays that are alive; `me` counts whether it is named or not.
        shards: how many shards there are, numbered from 0.
        leases: what the database says; a shard without a row is free.
    """
    alive = sorted({me, *members})
    rank = alive.index(me)
    target = shards // len(alive) + (rank < shards % len(alive))
    known = {lease.shard: lease for lease in leases if lease.shard < shards}
    mine = sorted(
        shard for shard, lease in known.items() if lease.owner == me and lease.expires_in_s > 0
    )
    # Each relay looks at other shards first, so that relays which start at once seldom collide.
    free = sorted(
        (s for s in range(shards) if s not in known or known[s].expires_in_s <= 0),
        key=lambda shard: (shard % len(alive) != rank, shard),
    )
    foreign = [lease.expires_in_s for lease in known.values() if lease.owner != me]
    return Plan(
        claim=tuple(sorted(free[: max(0, target - len(mine))])),
        release=tuple(mine[target:]),
        look_again_s=min((left for left in foreign if left > 0), default=None),
    )


def watermark_due(now: float, sent_at: float | None, published_since: bool) -> bool:
    """Whether a watermark record is due for a shard that has been read to its end.

    A watermark may only follow a read that came back not full, behind all the records of that read
    in the same partition: then everything committed before the read's time stands before it.

    Args:
        now: seconds, of any clock that only goes forward.
        sent_at: when the shard's last watermark was sent by the same clock, if ever.
        published_since: whether events have been published after it.
    """
    if sent_at is None:
        return True
    return now - sent_at >= (WATERMARK_ACTIVE_S if published_since else WATERMARK_IDLE_S)


def next_pause(previous_s: float, found: bool) -> float:
    """How long to wait before the next read; a hint cuts it short.

    Nothing while there is work; then from `SHORTEST_PAUSE_S` doubling up to `LONGEST_PAUSE_S`.
    """
    if found:
        return 0.0
    return min(max(previous_s * 2, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
