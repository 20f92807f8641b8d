"""The types of what settling reads. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core_api.documents.kept_versions import Head

DocumentName = tuple[str, str]
"""A document: its channel and its key."""


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A client that has sent edits before."""

    subject: str
    settled: int
    """Its last settled number."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much a channel holds by now."""

    documents: int
    size: int
    """Bytes of what its snapshot shows of them."""


@dataclass(frozen=True, slots=True)
class KnownState:
    """What was read at one moment."""

    now: datetime
    """By the database's clock."""
    heads: Mapping[DocumentName, Head]
    """Documents that have a row; one of version 0 has never existed."""
    clients: Mapping[str, KnownClient]
    rooms: Mapping[str, Room]
    epoch: str = ""
    """The epoch of the log."""
    sizes: Mapping[DocumentName, int] = field(default_factory=dict)
    """The characters of each document's value."""
    unreadable: frozenset[DocumentName] = frozenset()
    """Documents that the database cannot read."""
    full: frozenset[str] = frozenset()
    """Subjects that may have no more clients."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer of an edit that was settled before."""

    request_hash: bytes
    outcome: str
    """As JSON."""
    result: str | None
    """The part that an edit made on it needs, as JSON; None: it was refused."""
