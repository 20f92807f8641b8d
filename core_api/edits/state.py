"""What edits are decided on, as it was read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from core_api.documents.history import Head

Place = tuple[str, str]
"""A document: its channel and its key."""


class KnownClient(Struct, frozen=True):
    """A client that has sent edits before."""

    subject: str
    settled: int
    """Its last settled number."""


class Room(Struct, frozen=True):
    """How much a channel holds by now."""

    documents: int
    size: int
    """Bytes of what its snapshot shows of them."""


class State(Struct, frozen=True):
    """What was read at one moment."""

    now: datetime
    """By the database's clock."""
    heads: Mapping[Place, Head]
    """Documents that have a row; one of version 0 has never been."""
    clients: Mapping[str, KnownClient]
    rooms: Mapping[str, Room]


class KeptAnswer(Struct, frozen=True):
    """What became of an edit that was settled before."""

    request_hash: bytes
    outcome: str
    """As JSON."""
    result: str | None
    """What an edit that is made on it needs, as JSON; None: it was refused."""
