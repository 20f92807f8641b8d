"""What is known of a document: its newest version, and those that are kept. Pure.

A version's time is that of the edit that made it, by Core's clock (`settling.py`). It need not go
up from version to version: an edit that was made long ago may be settled late.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from client_sdk.contract.state.pointer import Path, parse_pointer
from client_sdk.contract.state.values import Value


class Head(Struct, frozen=True):
    """The newest version of a document; version 0: there never was one."""

    version: int = 0
    value: Value | None = None
    """None: there is none, or it is deleted."""
    schema_version: int = 1
    """The version of the schema that the value fits."""
    made_at: datetime | None = None
    """The version's time; None at version 0."""


class Kept(Struct, frozen=True):
    """One version that is kept."""

    version: int
    made_at: datetime
    diff: Sequence[dict[str, Any]]
    """From the version before (RFC 6902)."""
    schema_version: int = 1
    value: Value | UnsetType | None = UNSET
    """The whole value; None: deleted. UNSET: not loaded. Only the values of bases are needed."""


def is_end(diff: Sequence[dict[str, Any]]) -> bool:
    """Whether the diff deletes the document: its value is known without the version before."""
    return len(diff) == 1 and diff[0]["op"] == "remove" and diff[0]["path"] == ""


class History:
    """The kept versions of one document, without a gap up to the newest.

    Args:
        kept: in the order of their versions. Versions before the first are trimmed away.
    """

    __slots__ = ("_first", "_kept")

    def __init__(self, kept: Iterable[Kept] = ()) -> None:
        self._kept: Final = list(kept)
        self._first = self._kept[0].version if self._kept else None

    def at(self, version: int) -> Kept | None:
        """The version; None: it is not kept, or there is none."""
        if self._first is None or not 0 <= version - self._first < len(self._kept):
            return None
        return self._kept[version - self._first]

    def after(self, version: int) -> Sequence[Kept]:
        """The kept versions above this one, in order."""
        return [] if self._first is None else self._kept[max(0, version + 1 - self._first) :]

    def reaches(self, version: int, newest: int) -> bool:
        """Whether all versions above this one, up to the newest, are kept."""
        return version >= newest or (self._first is not None and self._first <= version + 1)

    def copy(self) -> History:
        """A copy that can be added to."""
        return History(self._kept)

    def add(self, made: Kept) -> None:
        """Add the version after the newest."""
        if not self._kept:
            self._first = made.version
        self._kept.append(made)


class Touched:
    """When each path of a document was last changed, by any of some versions."""

    __slots__ = ("_at", "_below")

    def __init__(self, versions: Iterable[Kept]) -> None:
        self._at: Final[dict[Path, datetime]] = {}
        self._below: Final[dict[Path, datetime]] = {}
        for version in versions:
            for operation in version.diff:
                self._note(parse_pointer(operation["path"]), version.made_at)

    def last(self, path: Path) -> datetime | None:
        """The latest time at which the path, or one above or below it, was changed; None: never."""
        times = [self._at.get(path[:length]) for length in range(len(path) + 1)]
        return max(
            (time for time in (*times, self._below.get(path)) if time is not None), default=None
        )

    def _note(self, path: Path, time: datetime) -> None:
        self._at[path] = max(time, self._at.get(path, time))
        for length in range(len(path)):
            above = path[:length]
            self._below[above] = max(time, self._below.get(above, time))
