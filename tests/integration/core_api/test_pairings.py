"""Codes of new tablets that have ended are kept no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core_api.access.callers import Caller
from core_api.pairing.codes import Pairings, trim_pairings

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool


async def test_only_codes_that_ended_are_deleted(pool: Pool) -> None:
    pairings = Pairings(pool, lambda _below: 7)
    for store in ("ended", "shown"):
        await pairings.offer(store, Caller("kim", "owner", issued_at=100), 1000)
    await pool.execute(
        "UPDATE pairings SET ends_at = now() - interval '2 minutes' WHERE store_id = 'ended'"
    )
    assert await trim_pairings(pool, 60.0, 10) == 1
    left = await pool.fetch("SELECT store_id FROM pairings")
    assert [row["store_id"] for row in left] == ["shown"]
