"""Decides from marks whether events were missed, so that the client must sync. Pure.

A broker may silently drop messages that it cannot deliver. If a mark's head stays ahead of the
received events for a little longer than a delivery takes, the client syncs; if the epoch differs,
it syncs at once; and without fresh marks it polls. A mark is fresh if its watermark has advanced: a
gateway whose log does not advance proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from client_sdk.contract.channel import Channel, parse_channel
from client_sdk.mqtt.topics import Mark

BEHIND_S: Final = 2.0
SILENT_S: Final = 15.0
Due = Literal["sync", "poll"]


class MarkWatch:
    """The marks of the stores of some channels.

    Args:
        channels: the followed channels.
        now: the time in monotonic seconds, as in all calls.
        behind_s: how long a head may be ahead of the received events.
        silent_s: how long a store may be without a fresh mark.
    """

    def __init__(
        self,
        channels: Iterable[str],
        now: float,
        behind_s: float = BEHIND_S,
        silent_s: float = SILENT_S,
    ) -> None:
        self._channels = frozenset(channels)
        self._behind_s = behind_s
        self._silent_s = silent_s
        self._fresh_at = dict.fromkeys(map(_store_of, self._channels), now)
        self._watermarks: dict[str, float] = {}
        self._heads: dict[str, int] = {}
        self._behind_since: dict[str, float] = {}
        self._epoch: str | None = None

    def mark(self, store: str, mark: Mark, now: float) -> None:
        """Take a mark; one of an older epoch, or of another store than those followed, is ignored.

        Args:
            store: the id of the store from the mark's topic.
            mark: its content.
            now: monotonic seconds.
        """
        if store not in self._fresh_at or (self._epoch or "") > mark.epoch:
            return
        if self._epoch != mark.epoch:
            self._epoch = mark.epoch
            self._heads.clear()
            self._watermarks.clear()
        if mark.watermark > self._watermarks.get(store, float("-inf")):
            self._watermarks[store] = mark.watermark
            self._fresh_at[store] = now
        for channel, head in mark.heads.items():
            if channel in self._channels:
                self._heads[channel] = max(head, self._heads.get(channel, 0))

    def due(self, positions: Mapping[str, int | None], epoch: str | None, now: float) -> Due | None:
        """Decide what must be done now.

        Args:
            positions: the seq received of each channel.
            epoch: the epoch of these seqs.
            now: the time in seconds.
        """
        if self._epoch is not None and epoch is not None and self._epoch > epoch:
            return "sync"
        for channel in self._channels:
            behind = self._heads.get(channel, 0) > (positions.get(channel) or 0)
            if not behind:
                self._behind_since.pop(channel, None)
            elif now - self._behind_since.setdefault(channel, now) >= self._behind_s:
                return "sync"
        if self.is_silent(now):
            return "poll"
        return None

    def is_silent(self, now: float) -> bool:
        """Whether a store has been without a fresh mark for too long."""
        return any(now - at >= self._silent_s for at in self._fresh_at.values())

    def synced(self, now: float) -> None:
        """Note that a sync has started: later marks show what it does not contain."""
        self._behind_since = dict.fromkeys(self._behind_since, now)


def _store_of(name: str) -> str:
    channel: Channel = parse_channel(name)
    return channel.root
