"""What a relay remembers of a shard while it holds the lease. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from server_common.backoff import next_wait

_SHORTEST_REST_S: Final = 0.05
_LONGEST_REST_S: Final = 2.0


@dataclass(slots=True)
class HeldShard:
    """A shard that this relay owns: its lease, its watermark, and what has failed there."""

    fence: int
    good_until: float
    """On the relay's clock. Counted from before the renewing statement was sent, so it never
    outlasts the lease."""
    watermark_at: float | None = None
    published_since: bool = False
    run: str = ""
    """The name of the present run: batches that are all known to be stored. Empty: the next batch
    begins one."""
    sent: int = 0
    """How many records the run has; each carries its number, so that none is missed."""
    refused: dict[int, str] = field(default_factory=dict)
    """The rows that Kafka has refused to take, and why."""
    at_most: int | None = None
    """How many messages to send at once, while one that Kafka refuses is searched for."""
    stored: dict[int, str | None] = field(default_factory=dict)
    """The rows that are stored in Kafka and still there, because somebody holds them; with the
    reason of those that are to be set aside."""
    stored_in: str = ""
    """The epoch that they were stored in."""
    is_behind: bool = False
    """Whether the last batch that was stored had not all that had been read."""
    is_proven: bool = False
    """Whether the database is known to have all that was published in the shard."""
    trouble: str | None = None
    """Why the last attempt to publish has failed; None: it has not."""
    rest_until: float = 0.0
    """Not before this time (by the relay's clock) is it tried again."""
    rest_s: float = 0.0

    @property
    def is_calm(self) -> bool:
        """Whether nothing is to be tried again: only a new event or a watermark makes work."""
        is_well = self.is_proven and self.trouble is None and not self.is_behind
        return is_well and not self.refused and self.at_most is None and not self.stored

    def fail(self, now: float, why: str) -> None:
        """An attempt has failed: rest, twice as long as after the last one."""
        self.trouble = why
        self.rest_s = next_wait(self.rest_s, _SHORTEST_REST_S, _LONGEST_REST_S)
        self.rest_until = now + self.rest_s

    def recover(self) -> None:
        """An attempt has succeeded."""
        self.trouble, self.rest_s = None, 0.0

    def keep(self, left: Mapping[int, str | None], epoch: str) -> None:
        """These rows are stored in Kafka and may still be there."""
        self.stored, self.stored_in = dict(left), epoch

    def forget_refused(self, rows: Collection[int]) -> None:
        """These rows have been announced; forget that they were refused."""
        self.refused = {row: why for row, why in self.refused.items() if row not in rows}

    def begin(self, run: str) -> None:
        """Begin a run of this name: its records are numbered from 0."""
        self.run, self.sent = run, 0

    def count(self, stored: int | None) -> None:
        """Count so many more of the run's records as stored; None: that is not known."""
        if stored is None:
            self.run = ""
        else:
            self.sent += stored
