"""The worst that the contract allows, and what it forbids, to be put through every door."""

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
"""One too long, foreign letters, half of a surrogate pair, and two that no database can store: they
are the last, so that they are what a batch holds of a device."""
EPOCH_REFUSALS: Final = {
    (400, "urn:yabam:problem:bad-request"),
    (400, "urn:yabam:problem:bad-json"),
    (422, "urn:yabam:problem:invalid"),
}
"""What each of them is answered with: by its grammar, as JSON, or as a field of a body."""


class Asking(NamedTuple):
    """A request."""

    method: str
    path: str
    body: bytes | None
    """JSON."""


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


def reporting(device: str) -> dict[str, str]:
    """The header by which a device says who it is."""
    return {HEADER: format_device(DeviceReport(device, "live", 0))}


def with_hostile_epochs(channel: str) -> Iterator[Asking]:
    """Each way in which a device says what it has applied, with each epoch that is none."""
    for epoch in HOSTILE_EPOCHS:
        text = quote(epoch, errors="surrogatepass")
        yield Asking("GET", f"/v1/sync?lastEventId={channel}@0&epoch={text}", None)
        bodies = {
            "/v1/sync": {"channels": {channel: 0}, "epoch": epoch},
            RECEIPTS_PATH: {"cursor": f"{channel}@0", "epoch": epoch},
        }
        for path, body in bodies.items():
            yield Asking("POST", path, json.dumps(body).encode())
