"""What an error of Postgres means, by its SQLSTATE: one table for all callers.

A code takes precedence over its class. Any other error concerns one statement, or is a bug.
https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

import asyncpg


class Meaning(Enum):
    """What follows from an error."""

    ABSENT = auto()
    """The database is not available now: another try may succeed."""
    LOCKED = auto()
    """The same, because another transaction holds a lock: it concerns few rows."""
    CLASHED = auto()
    """The same, because of a conflict with another transaction: all of this one is undone."""
    DISK = auto()
    """A system error. A read of rows takes it for an unreadable row, and asks for fewer; all others
    take the database for unavailable."""
    DAMAGED = auto()
    """What is stored, or was given, is malformed: another try fails as well."""
    REFUSED = auto()
    """The data break a rule of the schema: another try fails as well."""


NOT_MIGRATED: Final = "it is not migrated to what this release needs: run yabam db upgrade"
READ_ONLY: Final = "it is read-only, as a standby is"

CLASSES: Final[Mapping[str, tuple[Meaning, str]]] = {
    "08": (Meaning.ABSENT, "the connection failed"),
    "22": (Meaning.DAMAGED, "what is stored is malformed"),
    "23": (Meaning.REFUSED, "the data break a rule of the schema"),
    "28": (Meaning.ABSENT, "it refuses the connection"),
    "3D": (Meaning.ABSENT, "there is no such database"),
    "40": (Meaning.CLASHED, "other transactions kept conflicting with it"),
    # Connections, memory, disk: there may be more later.
    "53": (Meaning.ABSENT, "it has no connections, memory or disk left"),
    "57": (Meaning.ABSENT, "it is stopping, starting, or cancelled the statement"),
    "58": (Meaning.DISK, "its system failed"),
    "XX": (Meaning.DAMAGED, "what is stored is damaged"),
}
CODES: Final[Mapping[str, tuple[Meaning, str]]] = {
    "25006": (Meaning.ABSENT, READ_ONLY),
    "3F000": (Meaning.ABSENT, NOT_MIGRATED),  # no such schema
    "42501": (Meaning.ABSENT, "it does not permit the statement to this user"),
    "42703": (Meaning.ABSENT, NOT_MIGRATED),  # no such column
    "42704": (Meaning.ABSENT, NOT_MIGRATED),  # no such object
    "42883": (Meaning.ABSENT, NOT_MIGRATED),  # no such function
    "42P01": (Meaning.ABSENT, NOT_MIGRATED),  # no such table
    "42P10": (Meaning.ABSENT, NOT_MIGRATED),  # no such unique index
    "55000": (Meaning.ABSENT, "it is not in a state to do it, as in recovery"),
    "55006": (Meaning.ABSENT, "something that it needs is in use"),
    "55P03": (Meaning.LOCKED, "another transaction holds a lock that it needs"),
}

IS_ABSENT: Final = frozenset({Meaning.ABSENT, Meaning.LOCKED, Meaning.CLASHED, Meaning.DISK})
"""For code that runs a statement."""
IS_UNREADABLE: Final = frozenset({Meaning.DAMAGED, Meaning.DISK})
"""For code that reads many rows, and can ask for fewer."""
IS_REFUSED: Final = frozenset({Meaning.DAMAGED, Meaning.REFUSED})
"""For code that retries until it is done."""


def told_by(error: BaseException) -> tuple[Meaning, str] | None:
    """The error's meaning, and the reason in words; None: it is not in the table."""
    if not isinstance(error, asyncpg.PostgresError):
        return None
    code = error.sqlstate or ""
    return CODES.get(code) or CLASSES.get(code[:2])


def means(error: BaseException, meaning: Meaning) -> bool:
    """Whether the error has this meaning."""
    told = told_by(error)
    return told is not None and told[0] is meaning
