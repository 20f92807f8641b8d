"""How often a channel may begin anew because it has another digest than Core says. Pure.

A snapshot heals what went wrong here. Where they differ after it as well, Core's digest
is what is wrong, and another snapshot will not help: what is shown is what Core gave. Then
snapshots of that channel come more and more seldom, at last about twice an hour, until its digest
has agreed once. Each channel by itself: one that cannot be healed keeps no other from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from client_sdk.machine.backoff import Backoff
from client_sdk.settings import Settings

MAX_HEALING_S: Final = 3600.0
"""The back-off's most, in seconds; with full jitter a wait is half of it on average."""


class HealingBackoff:
    """When each channel may begin anew.

    Args:
        settings: the first wait (seconds).
        uniform: a random number evenly between two.
    """

    def __init__(self, settings: Settings, uniform: Callable[[float, float], float]) -> None:
        self._settings = replace(settings, backoff_most=MAX_HEALING_S)
        self._uniform = uniform
        self._differs: set[str] = set()
        self._backoffs: dict[str, Backoff] = {}
        self._not_before: dict[str, float] = {}

    def checked(self, channel: str) -> None:
        """Note a new comparison of the channel: if the last one agreed, its back-off is reset."""
        if channel not in self._differs:
            self._backoffs.pop(channel, None)
            self._not_before.pop(channel, None)
        self._differs.discard(channel)

    def may_begin(self, channel: str, now: float) -> bool:
        """Whether the channel, whose digest differs at `now`, may begin anew."""
        self._differs.add(channel)
        return now >= self._not_before.get(channel, now)

    def began(self, channel: str, now: float) -> None:
        """Note that the channel begins anew at `now`; the next time must wait."""
        backoff = self._backoffs.setdefault(channel, Backoff(self._settings, self._uniform))
        self._not_before[channel] = now + backoff.failed(now)
