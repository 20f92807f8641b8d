"""Names that sort by time: epochs and order ids. Pure; time and entropy are passed in."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from server_common.kafka_records.events import LAST_EPOCH_TIME

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EPOCH: Final = re.compile(rf"[0-7][{_CROCKFORD}]{{25}}")
"""48 bits of ones."""


def epoch_name(unix_ms: int, entropy: bytes) -> str:
    """The name of an epoch: 26 characters of Crockford base32, 48 bits of time in ms and 80 of
    entropy.

    The form is that of a ULID (https://github.com/ulid/spec): text order is time order, so a reader
    of Kafka can tell the newer of two epochs.

    Raises:
        ValueError: `entropy` has not 10 bytes, or the time not 48 bits.
    """
    if len(entropy) != 10 or not 0 <= unix_ms < 1 << 48:
        raise ValueError("an epoch name takes 48 bits of milliseconds and 10 bytes of entropy")
    number = unix_ms << 80 | int.from_bytes(entropy, "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -5, -5))


def next_epoch(before: str, unix_ms: int, entropy: bytes) -> str:
    """The name of an epoch that is later than `before`, whatever the clock says.

    Args:
        before: the name of the epoch that ends.
        unix_ms: the time, in milliseconds since 1970.
        entropy: 10 random bytes.

    Raises:
        ValueError: `entropy` has not 10 bytes, the time not 48 bits, or no later name can be made.
    """
    name = epoch_name(unix_ms, entropy)
    if name <= before:
        name = epoch_name(_time_of(before) + 1, entropy)
    if name <= before:
        raise ValueError(f"there is no name for an epoch later than {before[:40]!r}")
    return name


def has_successor(epoch: str) -> bool:
    """Whether it is the name of an epoch for which `next_epoch` can make a later one."""
    return _EPOCH.fullmatch(epoch) is not None and epoch[:10] < LAST_EPOCH_TIME


def _time_of(epoch: str) -> int:
    """The milliseconds of an epoch's name; its first ten characters."""
    number = 0
    for character in epoch[:10].ljust(10, "0"):
        number = number << 5 | max(0, _CROCKFORD.find(character))
    return min(number, (1 << 48) - 2)


def order_id(unix_ms: int, entropy: bytes) -> UUID:
    """A UUID of version 7 (RFC 9562, 5.7): new orders lie next to each other in the index.

    Raises:
        ValueError: `entropy` has not 10 bytes, or the time not 48 bits.
    """
    if len(entropy) != 10 or not 0 <= unix_ms < 1 << 48:
        raise ValueError("an order id takes 48 bits of milliseconds and 10 bytes of entropy")
    number = unix_ms << 80 | int.from_bytes(entropy, "big")
    number = number & ~(0xF << 76) | 7 << 76
    number = number & ~(0b11 << 62) | 0b10 << 62
    return UUID(int=number)
