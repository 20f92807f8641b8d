"""A cache of the rules of stores.

A stale rule does no harm: the statement that writes an order finds that the rules have changed, and
the order is decided again by the new ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import msgspec

from client_sdk.contract.json_decoding import decode_any
from core_api.postgres.pool import Pool, mapped_errors
from core_api.postgres.query_batching import QueryBatcher
from core_api.postgres.unreadable_rows import unreadable, unreadable_rows
from core_api.store_rules.sold_out_or_closed import OBEYED, StoreRules, rules_of

MAX_STORES: Final = 10_000
_STORES_PER_QUERY: Final = 200
_NONE: Final = StoreRules()

# Probes of two primary keys, in one snapshot: the number and the documents fit together.
_READ: Final = """
SELECT coalesce(h.rules, 0), d.keys, d.values
FROM unnest($1::text[]) WITH ORDINALITY AS q(store_id, place)
     LEFT JOIN LATERAL (
         SELECT rules FROM channel_heads WHERE channel = 'store:' || q.store_id LIMIT 1
     ) AS h ON true
     LEFT JOIN LATERAL (
         SELECT array_agg(key) AS keys, array_agg(value) AS values FROM documents
         WHERE channel = 'public:' || q.store_id AND key = ANY($2::text[]) AND value IS NOT NULL
     ) AS d ON true
ORDER BY q.place
"""


class RulesCache:
    """Reads the rules of stores, and remembers them.

    Args:
        pool: the database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: OrderedDict[str, StoreRules] = OrderedDict()
        self._reads: QueryBatcher[str, None, StoreRules] = QueryBatcher(
            self._read, _STORES_PER_QUERY, isolates=True
        )

    def of(self, store_id: str) -> StoreRules:
        """The rules of a store, perhaps stale. A store that is not cached is taken to have none, as
        most; if that is wrong, the writing statement fails."""
        return self._known.get(store_id, _NONE)

    async def read(self, store_id: str) -> StoreRules:
        """The rules of a store as they are now.

        Raises:
            UnavailableError: the database does not answer.
            UnreadableRowError: it cannot read the documents of this store.
        """
        _, (rules,) = await self._reads.ask([store_id])
        self._known[store_id] = rules
        self._known.move_to_end(store_id)
        if len(self._known) > MAX_STORES:
            self._known.popitem(last=False)
        return rules

    async def _read(self, store_ids: Sequence[str]) -> tuple[None, list[StoreRules]]:
        with mapped_errors(), unreadable_rows():
            rows = await self._pool.fetch(_READ, store_ids, OBEYED)
        try:
            return None, [
                rules_of(
                    number,
                    {
                        key: decode_any(value)
                        for key, value in zip(keys or (), values or (), strict=True)
                    },
                )
                for number, keys, values in rows
            ]
        except (msgspec.DecodeError, AttributeError, KeyError, TypeError) as error:
            raise unreadable(f"the stored value does not fit the document: {error!r}") from error
