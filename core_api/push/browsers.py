"""A browser that is due a notification: what all kinds have in common. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from server_common.revocations.holders import Holder


@dataclass(frozen=True, slots=True, kw_only=True)
class DueBrowser(ABC):
    """A browser that is due a notification, leased by this process."""

    store_id: str
    device: str
    """Its name."""
    fence: int
    epoch: str
    upto: int
    """The seq, in the log that it follows, of the newest order in the notification."""
    endpoint: str
    """The URL of its push service that takes its messages."""
    origin: str
    """The origin of the endpoint, which stands for its push service."""
    p256dh: str
    """Its public key."""
    auth: str
    """Its secret."""
    language: str
    tries: int
    """How many attempts have failed since the last success."""
    failing_s: float
    """For how many seconds attempts have failed."""
    token: str
    session: str
    subject: str
    """Of the token that subscribed it."""
    made_at: int

    @property
    def holder(self) -> Holder:
        """The holder of the token that subscribed it, as revocations name it."""
        return Holder(self.token, self.session, self.subject, self.made_at)

    @property
    @abstractmethod
    def key(self) -> tuple[Any, ...]:
        """Its primary key, the first arguments of each statement."""

    @property
    @abstractmethod
    def told(self) -> Struct:
        """The message for it."""

    @property
    @abstractmethod
    def topic(self) -> str:
        """The topic: a later message of the same topic replaces one not yet delivered."""
