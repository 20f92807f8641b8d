"""Refuses the tickets of signed-out users; `registry.py` ends their open streams. Pure.

A revocation is remembered until such tickets have expired. Core gives these users no further one.
"""

from __future__ import annotations

from typing import Final

from server_common.limits import REVOCATIONS
from server_common.revocations.holders import Holder, Revocations
from server_common.revocations.records import Revocation

KEPT_S: Final = 900.0
"""Longer than any ticket's lifetime, in seconds: `YABAM_TICKET_TTL_S` is 600 at most."""
_FORGET_EVERY_S: Final = 60.0


class SignedOut:
    """The recent revocations that this server knows.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, now: float) -> None:
        self._list = Revocations()
        self._news = False
        self._forgot_at = now

    def __len__(self) -> int:
        return len(self._list)

    def add(self, revocation: Revocation, now: float) -> bool:
        """Remember it. Returns whether there was room."""
        if len(self._list) >= 2 * REVOCATIONS:  # more than Core keeps at all
            return False
        self._list.add(revocation, now + KEPT_S)
        self._news = True
        return True

    def cover(self, holder: Holder) -> bool:
        """Whether the holder is signed out."""
        return self._list.cover(holder)

    def has_news(self, now: float) -> bool:
        """Whether some were added since the last call."""
        if now >= self._forgot_at + _FORGET_EVERY_S:
            self._forgot_at = now
            self._list.forget(now)
        news, self._news = self._news, False
        return news
