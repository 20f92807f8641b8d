"""Which relay leases which shard. The fence is in `outbox_statements.py`. Pure.

Every relay computes the same plan from the database, so no leader is needed.
Once all see the same members, the plans assign each shard to exactly one relay. Until then two may
claim the same one; the claiming statement lets one win. How long a lease lives is the setting
`relay_lease_s` (`core_api/settings.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """One row of `relay_leases` as a relay sees it."""

    shard: int
    owner: str
    fence: int
    expires_in_s: float
    """By the database's clock; zero or less is free to claim."""


@dataclass(frozen=True, slots=True)
class LeasePlan:
    """What a relay must do about its leases now."""

    claim: tuple[int, ...]
    release: tuple[int, ...]
    look_again_s: float | None
    """When the first lease of another relay runs out; None if no other holds one."""


def plan_leases(me: str, members: Iterable[str], shards: int, leases: Sequence[Lease]) -> LeasePlan:
    """The fair share of one relay among those that are alive.

    Args:
        me: this relay.
        members: the relays that are alive; `me` counts whether it is named or not.
        shards: how many shards there are, numbered from 0.
        leases: the rows of the database; a shard without a row is free.
    """
    alive = sorted({me, *members})
    rank = alive.index(me)
    target = shards // len(alive) + (rank < shards % len(alive))
    known = {lease.shard: lease for lease in leases if lease.shard < shards}
    mine = sorted(
        shard for shard, lease in known.items() if lease.owner == me and lease.expires_in_s > 0
    )
    # Each relay begins with other shards, so that relays which start together seldom collide.
    free = sorted(
        (s for s in range(shards) if s not in known or known[s].expires_in_s <= 0),
        key=lambda shard: (shard % len(alive) != rank, shard),
    )
    foreign = [lease.expires_in_s for lease in known.values() if lease.owner != me]
    return LeasePlan(
        claim=tuple(sorted(free[: max(0, target - len(mine))])),
        release=tuple(mine[target:]),
        look_again_s=min((left for left in foreign if left > 0), default=None),
    )
