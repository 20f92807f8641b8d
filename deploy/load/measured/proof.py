"""The proof: compares what clients applied, Core's log, and what Core acknowledged. Pure.

Each event that a client applies must have a seq one above the last. The hashes of all applied
events are added up, and so are those of the log. If the sums from the same start to the same end
are equal, the client has applied the events of the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec

_MASK: Final = 2**64 - 1
_MAX_NOTES: Final = 20


class Fact(NamedTuple):
    """One event: the event `seq` of its channel took this order to this version."""

    seq: int
    order_id: str
    version: int

    @property
    def digest(self) -> int:
        """A hash that is the same in every process, unlike Python's own hash of a text."""
        text = f"{self.seq} {self.order_id} {self.version}".encode()
        return int.from_bytes(blake2b(text, digest_size=8).digest())


class Track(msgspec.Struct):
    """What one client applied of its channel."""

    channel: str
    start: int | None = None
    """The head of its newest snapshot: it must apply all events after that."""
    seq: int = 0
    total: int = 0
    lost: int = 0
    """How many events later snapshots skipped."""
    missing: set[int] = msgspec.field(default_factory=set)
    """The seqs below its own that it has not received so far."""
    doubled: int = 0
    out_of_order: int = 0
    resets: list[str] = msgspec.field(default_factory=list)
    """The reasons of its resets after its first snapshot."""

    def begin(self, head: int, reason: str) -> None:
        """Record a snapshot; the events that a later one skips are lost to the client."""
        if self.start is not None:
            self.resets.append(reason)
            self.lost += max(0, head - self.seq)
        self.start = self.seq = head
        self.total = 0

    def apply(self, fact: Fact) -> None:
        """Record an applied event."""
        if fact.seq == self.seq + 1:
            self.seq = fact.seq
        elif fact.seq > self.seq:
            self.missing.update(range(self.seq + 1, fact.seq))
            self.seq = fact.seq
        elif fact.seq in self.missing:
            self.missing.remove(fact.seq)
            self.out_of_order += 1
        else:
            self.doubled += 1
            return
        self.total = (self.total + fact.digest) & _MASK


@dataclass(slots=True)
class ProofVerdict:
    """The result of the proof. All counts but `checked` are 0 if nothing is wrong."""

    checked: int = 0
    """The number of applied events that agree with the log."""
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    unlogged: int = 0
    """The number of versions of orders that Core acknowledged and the log does not contain."""
    resets: int = 0
    """The number of snapshots after a client's first one. Of a client that had one, nothing is
    compared with the log."""
    never_synced: int = 0
    gave_up: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether every event reached every client once and in order."""
        wrong = self.lost + self.doubled + self.out_of_order + self.unlogged
        return wrong + self.resets + self.never_synced + self.gave_up == 0

    def note(self, text: str) -> None:
        """Keep a text about one thing that is wrong; only the first texts are kept."""
        if len(self.notes) < _MAX_NOTES:
            self.notes.append(text)


class Log:
    """A channel's events in Core's log.

    Args:
        facts: all events from some seq on, in order.

    Raises:
        ValueError: there is a gap between them.
    """

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.first = facts[0].seq if facts else 1
        for place, fact in enumerate(facts):
            if fact.seq != self.first + place:
                raise ValueError(f"the log goes from {self.first + place - 1} to {fact.seq}")
        self._sums = [0, *accumulate(fact.digest for fact in facts)]
        self.facts = facts

    def total(self, start: int, end: int) -> int | None:
        """The sum of the hashes of the events after `start` up to `end`; None: some are missing."""
        low, high = start + 1 - self.first, end + 1 - self.first
        if not 0 <= low <= high < len(self._sums):
            return None
        return (self._sums[high] - self._sums[low]) & _MASK


def judge(
    tracks: Sequence[Track],
    heads: Mapping[str, int],
    logs: Mapping[str, Log],
    acknowledged: Mapping[str, Sequence[tuple[str, int]]],
) -> ProofVerdict:
    """Compare what the clients applied with the log, and the log with what Core acknowledged.

    Args:
        tracks: what each client applied.
        heads: the head of each channel after the last write.
        logs: the log of each channel.
        acknowledged: the orders and versions that Core acknowledged, by channel.
    """
    verdict = ProofVerdict()
    for track in tracks:
        _judge_track(track, heads[track.channel], logs[track.channel], verdict)
    for channel, written in acknowledged.items():
        known = {(fact.order_id, fact.version) for fact in logs[channel].facts}
        missing = [what for what in written if what not in known]
        verdict.unlogged += len(missing)
        for order_id, version in missing:
            verdict.note(f"{channel}: {order_id} version {version} was acknowledged, not stored")
    return verdict


def _judge_track(track: Track, head: int, log: Log, verdict: ProofVerdict) -> None:
    verdict.resets += len(track.resets)
    verdict.doubled += track.doubled
    verdict.out_of_order += track.out_of_order
    if track.start is None:
        verdict.never_synced += 1
        verdict.note(f"a client of {track.channel} never completed a sync")
        return
    lost = track.lost + len(track.missing) + max(0, head - track.seq)
    if lost or track.resets or track.doubled or track.out_of_order:
        verdict.note(
            f"a client of {track.channel} is at seq {track.seq} of {head}: {lost} lost, "
            f"{track.doubled} doubled, {track.out_of_order} out of order"
            + (f", resets {track.resets}" if track.resets else "")
        )
    elif log.total(track.start, track.seq) != track.total:
        lost += 1
        verdict.note(f"a client of {track.channel} applied events that differ from the log")
    else:
        verdict.checked += track.seq - track.start
    verdict.lost += lost
