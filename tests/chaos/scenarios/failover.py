"""PostgreSQL's primary dies, and its standby takes over; no process is told."""

from __future__ import annotations

from typing import Final

from tests.chaos.runner import Field, NotInjectedError, Scenario
from tests.chaos.site import Site, aside
from tests.standbys import Standby

_EPOCH: Final = "SELECT epoch FROM epoch"
_WITNESSED: Final = "SELECT FROM epoch_witness WHERE replicated AND at > now() - interval '10 s'"


async def _epoch(site: Site) -> str:
    return str((await site.ledger.fetch(_EPOCH))[0][0])


async def _standby_of(ground: Field, *, is_synchronous: bool) -> Standby:
    """Start a standby at the other host, which streams from the primary."""
    site = ground.site
    standby = Standby(
        site.postgres, site.folder / "disk" / f"standby_{site.other_host}", site.other_host
    )
    await aside(standby.start)
    await standby.follow(is_synchronous=is_synchronous)
    return standby


async def _take_over(ground: Field, standby: Standby) -> None:
    await aside(standby.take_over)
    ground.site.failed_over(standby.server)


async def _synchronous(ground: Field) -> str:
    site = ground.site
    standby = await _standby_of(ground, is_synchronous=True)
    try:

        async def known() -> bool:
            return bool(await site.ledger.fetch(_WITNESSED))

        await ground.until(known, "relays know that commits wait for a standby")
        await ground.last(6)
        epoch = await _epoch(site)
        await _take_over(ground, standby)
    except BaseException:
        await aside(standby.stop)
        raise

    async def adopted() -> bool:
        return await site.metrics("relay", "yabam_relay_promotions_total") > 0

    took_s = await ground.until(adopted, "a relay finds that the standby lacks nothing")
    if await _epoch(site) != epoch:
        raise NotInjectedError("the epoch goes on: another one was begun")
    return f"the standby took over, and its epoch was found good after {took_s:.1f} s"


async def _asynchronous(ground: Field) -> str:
    site = ground.site
    standby = await _standby_of(ground, is_synchronous=False)
    try:
        await ground.last(3)
        await standby.fall_behind()
        before = await site.ledger.heads()
        await ground.last(6)
        after = await site.ledger.heads()
        epoch = await _epoch(site)
        await _take_over(ground, standby)
    except BaseException:
        await aside(standby.stop)
        raise
    # Commits that were acknowledged while the standby did not stream are lost with the primary.
    # Their answers may still be under way.
    await ground.load.answered()
    await ground.editors.answered()
    ground.load.forget()
    ground.editors.forget()

    async def begun() -> bool:
        return await _epoch(site) > epoch

    took_s = await ground.until(begun, "a relay begins a new epoch")
    gone = sum(after.values()) - sum(before.values())
    if not gone:
        raise NotInjectedError("commits are lost: there were none while it did not follow")
    return f"{gone} events were lost with the primary; a new epoch after {took_s:.1f} s"


SCENARIOS = [
    Scenario(
        "promote-standby",
        "SIGKILL of PostgreSQL's primary; its synchronous standby is promoted",
        _synchronous,
        fails_over=True,
    ),
    Scenario(
        "promote-late-standby",
        "likewise, with a standby that has not followed for 6 s",
        _asynchronous,
        fails_over=True,
        new_epoch=True,
    ),
]
