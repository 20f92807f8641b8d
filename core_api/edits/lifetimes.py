"""When documents end. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from core_api.documents.definitions import Definition

SESSION_S: Final = 86_400.0
"""A session's document ends so long after its client was last heard of."""


def ends_at(definition: Definition, now: datetime) -> datetime | None:
    """When a document ends of which its client is heard now; None: never by itself.

    One that ends when Core said so is given as long where its end is not known, as in a migration.
    """
    if definition.lifetime in ("session", "each"):
        return now + timedelta(seconds=SESSION_S)
    return definition.until


def still_ends(definition: Definition | None, now: datetime) -> datetime | None:
    """When a document ends whose end, as it was written, has come; `now` or earlier: now.

    The operator may have changed the definition since. What nothing defines any more, ends.

    Returns:
        The moment; None: it does not end by itself any more.
    """
    if definition is None or definition.lifetime in ("session", "each"):
        return now
    return definition.until
