"""What a relay remembers of a shard while it holds the lease. Pure.

`relay.py` says why two relays never publish out of order, `outbox_statements.py` has the fence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from server_common.backoff import next_wait

_SHORTEST_REST_S: Final = 0.05
_LONGEST_REST_S: Final = 2.0


@dataclass(slots=True)
class HeldShard:
    """A shard that this relay owns: its lease, its watermark, and its failures."""

    fence: int
    good_until: float
    """The lease's end by the relay's clock. Counted from before the renewing statement was sent, so
    it is never later than the real end."""
    watermark_at: float | None = None
    published_since: bool = False
    run: str = ""
    """The name of the present run: batches that are all known to be stored. Empty: the next batch
    begins a new run."""
    sent: int = 0
    """How many records the run has; each carries its number, so that a reader notices a gap."""
    refused: dict[int, str] = field(default_factory=dict)
    """The rows that Kafka has refused to take, and why."""
    at_most: int | None = None
    """How many messages to send at once while searching for a refused one."""
    stored: dict[int, str | None] = field(default_factory=dict)
    """The rows that are stored in Kafka and still in the outbox, because they are locked; with the
    reason of those that must be set aside."""
    stored_in: str = ""
    """The epoch that they were stored in."""
    is_behind: bool = False
    """Whether the last stored batch lacked some of the rows that had been read."""
    is_proven: bool = False
    """Whether the database is known to have every event published in the shard."""
    trouble: str | None = None
    """Why the last attempt to publish has failed; None: it has not."""
    rest_until: float = 0.0
    """The time of the next retry, by the relay's clock."""
    rest_s: float = 0.0

    @property
    def is_calm(self) -> bool:
        """Whether no retry is due: only a new event or a watermark makes work."""
        is_well = self.is_proven and self.trouble is None and not self.is_behind
        return is_well and not self.refused and self.at_most is None and not self.stored

    def fail(self, now: float, why: str) -> None:
        """Record a failed attempt: back off, twice as long as after the last one."""
        self.trouble = why
        self.rest_s = next_wait(self.rest_s, _SHORTEST_REST_S, _LONGEST_REST_S)
        self.rest_until = now + self.rest_s

    def recover(self) -> None:
        """Record a successful attempt."""
        self.trouble, self.rest_s = None, 0.0

    def keep(self, left: Mapping[int, str | None], epoch: str) -> None:
        """Remember that these rows are stored in Kafka and may still be in the outbox."""
        self.stored, self.stored_in = dict(left), epoch

    def forget_refused(self, rows: Collection[int]) -> None:
        """These rows have been announced; forget that they were refused."""
        self.refused = {row: why for row, why in self.refused.items() if row not in rows}

    def begin(self, run: str) -> None:
        """Begin a run of this name: its records are numbered from 0."""
        self.run, self.sent = run, 0

    def count(self, stored: int | None) -> None:
        """Count so many more of the run's records as stored; None: the number is not known."""
        if stored is None:
            self.run = ""
        else:
            self.sent += stored
