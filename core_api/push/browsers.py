"""A browser that is to be told something now: what all kinds of them have. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from server_common.revocations.holders import Holder


@dataclass(frozen=True, slots=True, kw_only=True)
class DueBrowser(ABC):
    """A browser that is to be told now; this process holds it."""

    store_id: str
    device: str
    """Its name."""
    fence: int
    epoch: str
    upto: int
    """The newest order that it is told of, by its place in the log that it follows."""
    endpoint: str
    """Where its push service takes messages for it."""
    origin: str
    """Of the endpoint: its push service."""
    p256dh: str
    """Its public key."""
    auth: str
    """Its secret."""
    language: str
    tries: int
    """How many attempts have failed since the last that succeeded."""
    failing_s: float
    """For how long."""
    token: str
    session: str
    subject: str
    """Of the token that subscribed it."""
    made_at: int

    @property
    def holder(self) -> Holder:
        """Whose token subscribed it, as revocations name it."""
        return Holder(self.token, self.session, self.subject, self.made_at)

    @property
    @abstractmethod
    def key(self) -> tuple[Any, ...]:
        """What each statement on it begins with."""

    @property
    @abstractmethod
    def told(self) -> Struct:
        """What it is told."""

    @property
    @abstractmethod
    def topic(self) -> str:
        """What a later message stands in the place of."""
