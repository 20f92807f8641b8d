"""Reads whether a guest's party is still at its table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core_api.access.callers import Caller
from core_api.parties.guest_token_end import PARTY, check_stay, party_at
from core_api.postgres.pool import Pool, mapped_errors
from core_api.postgres.query_batching import QueryBatcher

_TABLES_PER_QUERY: Final = 200

# Probes of one primary key. A document that was deleted keeps its row, and with it the moment.
_READ: Final = """
SELECT extract(epoch FROM d.updated_at)::float8
FROM unnest($1::text[]) WITH ORDINALITY AS q(channel, place)
     LEFT JOIN LATERAL (
         SELECT updated_at FROM documents
         WHERE channel = q.channel AND key = $2 AND version > 0 LIMIT 1
     ) AS d ON true
ORDER BY q.place
"""


class Parties:
    """Reads when parties ended, for many callers at once.

    Args:
        pool: the database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._reads: QueryBatcher[str, None, float | None] = QueryBatcher(
            self._read, _TABLES_PER_QUERY, abandons=True
        )

    async def check(self, caller: Caller) -> None:
        """Check that the caller's party has not left.

        Call it after the answer was read, so that the answer never shows anything of the
        next party.

        Raises:
            PartyLeftError: the party has left.
            UnavailableError: the database does not answer.
        """
        if caller.role != "table" or caller.table is None:
            return
        _, (ended_at,) = await self._reads.ask([str(party_at(caller.table))])
        check_stay(caller, ended_at)

    async def _read(self, channels: Sequence[str]) -> tuple[None, list[float | None]]:
        with mapped_errors():
            rows = await self._pool.fetch(_READ, channels, PARTY)
        return None, [row[0] for row in rows]
