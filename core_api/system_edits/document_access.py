"""How the parts of Core that change documents by themselves reach them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from core_api.edits.plan import Rules
    from core_api.postgres.pool import Pool


class DocumentAccess(NamedTuple):
    """The documents, for those who change them in a transaction of their own."""

    pool: Pool
    """The database, by connections that wait for a lock shortly only."""
    rules: Rules
    """What holds for all edits."""
    committed: Callable[[Sequence[str]], None]
    """Called after each commit with the channels that got an event."""
