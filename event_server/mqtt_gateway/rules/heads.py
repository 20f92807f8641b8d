"""How far each channel of the log has been read: the content of the marks. Pure.

A mark shows a client that it has missed events. A client without a new mark for a while syncs by
itself, so heads older than `KEPT_S` can be forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

KEPT_S: Final = 600.0
MAX_CHANNELS: Final = 100_000
MAX_IN_A_MARK: Final = 1000


class Heads:
    """The heads of the channels of stores, from the recent log.

    Args:
        limit: how many channels are remembered; above that the longest quiet ones are forgotten.
    """

    def __init__(self, limit: int = MAX_CHANNELS) -> None:
        self._limit = limit
        self.epoch = ""
        """The newest epoch so far; empty: none yet."""
        self._of_store: dict[str, OrderedDict[str, tuple[int, float]]] = {}
        self._by_age: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._watermarks: dict[int, float] = {}

    def admit(self, epoch: str) -> bool:
        """Whether a record of this epoch counts: not of an older one; a newer one clears all
        heads."""
        if epoch > self.epoch:
            self.epoch = epoch
            self._of_store.clear()
            self._by_age.clear()
            self._watermarks.clear()
        return epoch == self.epoch

    def note(self, store: str, channel: str, seq: int, now: float) -> None:
        """Note that an event was read.

        Args:
            store: the id of the store that the channel belongs to.
            channel: its full name, such as `table:12/5`.
            seq: the event's number there; the head stays if it is higher.
            now: seconds, by the same clock as for `of`.
        """
        heads = self._of_store.setdefault(store, OrderedDict())
        known = heads.get(channel)
        heads[channel] = (max(seq, known[0] if known else 0), now)
        heads.move_to_end(channel)
        self._by_age[store, channel] = None
        self._by_age.move_to_end((store, channel))
        while len(self._by_age) > self._limit:
            self._forget(*next(iter(self._by_age)))

    def watermark(self, partition: int, seconds: float) -> None:
        """A watermark was read."""
        self._watermarks[partition] = seconds

    def watermark_of(self, partition: int) -> float | None:
        """The newest watermark of a partition; None: none was read since the partition is ours."""
        return self._watermarks.get(partition)

    def forget(self, partitions: Iterable[int]) -> None:
        """Forget partitions that are read elsewhere now, or from another offset."""
        for partition in partitions:
            self._watermarks.pop(partition, None)

    def of(self, store: str, now: float) -> Mapping[str, int]:
        """The content of the store's mark: the heads of the channels with recent events."""
        heads = self._of_store.get(store, OrderedDict())
        while heads and next(iter(heads.values()))[1] < now - KEPT_S:
            self._forget(store, next(iter(heads)))
        newest = list(heads.items())[-MAX_IN_A_MARK:]
        return {channel: seq for channel, (seq, _) in newest}

    def _forget(self, store: str, channel: str) -> None:
        self._by_age.pop((store, channel), None)
        heads = self._of_store.get(store)
        if heads is not None:
            heads.pop(channel, None)
            if not heads:
                del self._of_store[store]
