"""What an owner's device says it has applied, between its syncs: the body of `POST /v1/receipts`.

A WebSocket says the same by its message `received`. The device's name stands in the header
Yabam-Device, or in the ticket.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.text import EPOCH_PATTERN, whole

RECEIPTS_PATH: Final = "/v1/receipts"
MAX_RECEIPTS_BODY_BYTES: Final = 128 * 1024
"""Room for a cursor of `MAX_CHANNELS` channels of the longest names."""
RECEIPTS_EVERY_S: Final = 1.0
"""How long a client gathers what it has applied: an alarm counts on it within 2 s."""


class ReceiptsBody(Struct, frozen=True):
    """What is applied."""

    cursor: str
    """Of channels of orders; those of other kinds are left out of account."""
    epoch: Annotated[str, Meta(pattern=whole(EPOCH_PATTERN))]
    """The lifetime of the log that the cursor counts in."""


class ReceiptsTaken(Struct, frozen=True):
    """The answer."""

    taken: int
    """Of how many stores it was noted."""


def encode_receipts_body(body: ReceiptsBody) -> bytes:
    """The body as JSON."""
    return msgspec.json.encode(body)
