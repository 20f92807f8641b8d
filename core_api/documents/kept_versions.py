"""What is known of a document: its newest version, and those that are kept. Pure.

A version's time is that of the edit that made it, by Core's clock (`settling.py`). It need not go
up from version to version: an edit that was made long ago may be settled late.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, TypeAlias

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

    __slots__ = ("_first", "_kept", "_touched")

    def __init__(self, kept: Iterable[Kept] = ()) -> None:
        self._kept: Final = list(kept)
        self._first = self._kept[0].version if self._kept else None
        self._touched: Touched | None = None

    @property
    def steps(self) -> int:
        """How many changes of paths all kept versions have."""
        return sum(len(one.diff) for one in self._kept)

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

    def last_touched(self, path: Path, after: int) -> datetime | None:
        """When the path was last changed above a version, as far as is kept.

        Args:
            path: which part; a change of one above or below it counts, too.
            after: only versions above this one count.

        Returns:
            The latest time of these changes; None: there is none.
        """
        if self._touched is None:
            # Kept for all edits on the document: each would read every diff again.
            self._touched = Touched(self._kept)
        return self._touched.last(path, after)

    def copy(self) -> History:
        """A copy that can be added to."""
        return History(self._kept)

    def add(self, made: Kept) -> None:
        """Add the version after the newest."""
        if not self._kept:
            self._first = made.version
        self._kept.append(made)
        if self._touched is not None:
            self._touched.add(made)


_Changes: TypeAlias = list[tuple[int, datetime]]
"""Versions, each with its time, that no later one follows whose time is as late: the times go down
while the versions go up, so the first one above a version has the latest time of all above it."""


class Touched:
    """When each path of a document was changed, by which versions.

    Args:
        versions: in their order.
    """

    __slots__ = ("_at", "_below")

    def __init__(self, versions: Iterable[Kept]) -> None:
        self._at: Final[dict[Path, _Changes]] = {}
        self._below: Final[dict[Path, _Changes]] = {}
        for version in versions:
            self.add(version)

    def add(self, made: Kept) -> None:
        """Add the version after the newest."""
        for operation in made.diff:
            path = parse_pointer(operation["path"])
            _note(self._at, path, made)
            for length in range(len(path)):
                _note(self._below, path[:length], made)

    def last(self, path: Path, after: int) -> datetime | None:
        """As `History.last_touched`."""
        changes = [self._at.get(path[:length]) for length in range(len(path) + 1)]
        changes.append(self._below.get(path))
        times = [_latest(one, after) for one in changes if one is not None]
        return max((time for time in times if time is not None), default=None)


def _note(all_changes: dict[Path, _Changes], path: Path, made: Kept) -> None:
    changes = all_changes.setdefault(path, [])
    while changes and changes[-1][1] <= made.made_at:
        changes.pop()
    changes.append((made.version, made.made_at))


def _latest(changes: _Changes, after: int) -> datetime | None:
    place = bisect_right(changes, after, key=itemgetter(0))
    return changes[place][1] if place < len(changes) else None
