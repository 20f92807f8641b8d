"""Which messages of a device have been applied, so that each is applied once. Pure.

A device numbers its messages in each boot and sends those again that were not accepted, so they may
come twice and out of order. What is remembered of a boot is bounded: a number that may or may not
have been applied is refused as too old, never treated as a repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from server_common.limits import DEVICE_BOOTS, DEVICE_MISSING

MessageOutcome = Literal["applied", "repeated", "too-old"]


class ReceivedNumbers(Struct, frozen=True):
    """The numbers of one boot that have come: all above `floor` up to `newest`, except
    `missing`."""

    floor: int = 0
    newest: int = 0
    missing: tuple[int, ...] = ()
    """In their order, at most `DEVICE_MISSING`."""


def take(received: ReceivedNumbers, n: int) -> tuple[MessageOutcome, ReceivedNumbers]:
    """Classify a message by its number. Returns the verdict, and the numbers that have come with
    it."""
    if n <= received.floor:
        return "too-old", received
    if n <= received.newest:
        if n not in received.missing:
            return "repeated", received
        rest = tuple(one for one in received.missing if one != n)
        return "applied", ReceivedNumbers(received.floor, received.newest, rest)
    first = max(received.newest + 1, n - DEVICE_MISSING)
    missing = (*received.missing, *range(first, n))
    forgotten = missing[:-DEVICE_MISSING]
    floor = max(received.floor, *forgotten, first - 1 if first > received.newest + 1 else 0)
    return "applied", ReceivedNumbers(floor, n, tuple(one for one in missing if one > floor))


def take_of_boot(
    boots: Mapping[int, ReceivedNumbers], boot: int, n: int
) -> tuple[MessageOutcome, ReceivedNumbers, frozenset[int]]:
    """Classify a message by its boot and its number.

    Args:
        boots: what is known of the device's boots, at most `DEVICE_BOOTS` of them.
        boot: that of the message.
        n: its number.

    Returns:
        The verdict, the numbers of its boot that have come with it, and the boots to forget.
    """
    known = boots.get(boot)
    if known is None and len(boots) >= DEVICE_BOOTS and boot < min(boots):
        return "too-old", ReceivedNumbers(), frozenset()
    outcome, received = take(known or ReceivedNumbers(), n)
    oldest_first = sorted({*boots, boot})
    return outcome, received, frozenset(oldest_first[:-DEVICE_BOOTS])
