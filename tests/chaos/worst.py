"""The worst requests that the contract allows, and some that it forbids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from client_sdk.contract.device import HEADER, RECEIPTS_PATH, DeviceReport, format_device
from server_common.kafka_records.events import partition_of

MAX_ITEMS: Final = 200
TABLE: Final = "1"
HOSTILE_EPOCHS: Final = ("x" * 65, "\u0661", "\U0001f372", "\ud800", "\0", "x\0")
"""One that is too long, foreign letters, half of a surrogate pair, and two that no database can
store. These are the last, as a batch keeps only the last report of a device."""
EPOCH_REFUSALS: Final = {
    (400, "urn:yabam:problem:bad-request"),
    (400, "urn:yabam:problem:bad-json"),
    (422, "urn:yabam:problem:invalid"),
}
"""The possible answers to these: refused by form, as invalid JSON, or as a field of a body."""


class Asking(NamedTuple):
    """A request."""

    method: str
    path: str
    body: bytes | None
    """JSON."""


def stores_of_every_shard(prefix: str, shards: int) -> list[str]:
    """Names of stores, one for each shard, in the order of the shards."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < shards:
        number += 1
        found.setdefault(partition_of(f"{prefix}-{number}", shards), f"{prefix}-{number}")
    return [found[shard] for shard in range(shards)]


def order_of(store: str, items: int, reference: str) -> dict[str, Any]:
    """An order whose texts are as long as allowed, in letters of four bytes."""
    item = {"name": "🍲" * 200, "quantity": 1, "unit_price": 1, "note": "🌶" * 500}
    return {
        "store_id": store, "table_id": TABLE, "currency": "KRW",
        "items": [item] * items, "reference": reference,
    }  # fmt: skip


def reporting(device: str) -> dict[str, str]:
    """The header with which a device reports its name."""
    return {HEADER: format_device(DeviceReport(device, "live", 0))}


def with_hostile_epochs(channel: str) -> Iterator[Asking]:
    """All requests by which a device reports what it has applied, with each invalid epoch."""
    for epoch in HOSTILE_EPOCHS:
        text = quote(epoch, errors="surrogatepass")
        yield Asking("GET", f"/v1/sync?lastEventId={channel}@0&epoch={text}", None)
        bodies = {
            "/v1/sync": {"channels": {channel: 0}, "epoch": epoch},
            RECEIPTS_PATH: {"cursor": f"{channel}@0", "epoch": epoch},
        }
        for path, body in bodies.items():
            yield Asking("POST", path, json.dumps(body).encode())
