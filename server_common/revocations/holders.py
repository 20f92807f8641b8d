"""Which holders of tokens are signed out, in memory. Pure.

Fast enough for every request: three look-ups, whatever the length of the list.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from server_common.revocations.records import Revocation


class Holder(NamedTuple):
    """What revocations are compared with."""

    token: str
    """The key of its token; empty: not known."""
    session: str
    """The key of its session; empty: it has none."""
    subject: str
    made_at: int
    """When somebody signed in for it, or else when its token was made, in seconds since 1970; 0:
    not known, so before everything."""


class Revocations:
    """A list of what is revoked."""

    def __init__(self) -> None:
        self._keys: dict[str, float] = {}
        self._subjects: dict[str, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._keys) + len(self._subjects)

    def add(self, revocation: Revocation, until: float = math.inf) -> None:
        """Add one. If it is there already, the wider times of both count.

        Args:
            revocation: of a token, a session or a subject.
            until: when it may be forgotten, by the clock that `forget` is given.
        """
        key = revocation.key
        if revocation.kind == "subject":
            before, kept = self._subjects.get(key, (0, -math.inf))
            self._subjects[key] = max(before, revocation.before), max(kept, until)
        else:
            self._keys[key] = max(until, self._keys.get(key, -math.inf))

    def cover(self, holder: Holder) -> bool:
        """Whether the holder is signed out."""
        if holder.token in self._keys or holder.session in self._keys:
            return True
        of_subject = self._subjects.get(holder.subject)
        return of_subject is not None and holder.made_at <= of_subject[0]

    def forget(self, now: float) -> None:
        """Delete expired revocations."""
        self._keys = {key: until for key, until in self._keys.items() if until > now}
        self._subjects = {key: kept for key, kept in self._subjects.items() if kept[1] > now}
