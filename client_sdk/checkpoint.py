"""What a client has applied, in the form that is stored. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Checkpoint(Struct, frozen=True):
    """What has been applied: the epoch, and each channel's seq."""

    epoch: str
    positions: Mapping[str, int]
