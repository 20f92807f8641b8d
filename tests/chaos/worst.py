"""The largest orders that the contract allows, and stores in every shard to put them into."""

from __future__ import annotations

from typing import Any, Final

from server_common.kafka_records.events import partition_of

MOST_ITEMS: Final = 200
TABLE: Final = "1"


def stores_of_every_shard(prefix: str, shards: int) -> list[str]:
    """Names of stores, one for each shard, in the shards' order."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < shards:
        number += 1
        found.setdefault(partition_of(f"{prefix}-{number}", shards), f"{prefix}-{number}")
    return [found[shard] for shard in range(shards)]


def order_of(store: str, items: int, reference: str) -> dict[str, Any]:
    """An order whose texts are as long as they may be, in letters of four bytes."""
    item = {"name": "🍲" * 200, "quantity": 1, "unit_price": 1, "note": "🌶" * 500}
    return {
        "store_id": store, "table_id": TABLE, "currency": "KRW",
        "items": [item] * items, "reference": reference,
    }  # fmt: skip
