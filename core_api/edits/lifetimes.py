"""When documents end. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from core_api.documents.definitions import Definition

SESSION_S: Final = 86_400.0
"""How long after its client was last heard of a session's document ends, in seconds."""


def ends_at(definition: Definition, now: datetime) -> datetime | None:
    """When a document ends, if its client was heard of just now; None: it does not end by itself.

    A document of lifetime `each` ends when Core set it to. Where that moment is not known, as in a
    migration, it ends `SESSION_S` from now.
    """
    if definition.lifetime in ("session", "each"):
        return now + timedelta(seconds=SESSION_S)
    return definition.until


def still_ends(definition: Definition | None, now: datetime) -> datetime | None:
    """When a document ends whose stored end has passed; `now` or earlier: it ends now.

    The operator may have changed the definition since. A document without a definition ends.

    Returns:
        The moment; None: it does not end by itself any more.
    """
    if definition is None or definition.lifetime in ("session", "each"):
        return now
    return definition.until
