"""What a client may apply: the rule for promise 3 (contiguous) in the client. Pure.

An event is known by its channel, epoch and seq, never by its order: a cancellation is the same
order again. n+1 is applied on top of n; a lower seq is a duplicate, dropped; a higher one is a gap,
and only a sync can close it. The machine and the buffered start share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from client_sdk.contract.order import Order, OrderEvent
from client_sdk.contract.state.document import Document, DocumentEvent
from client_sdk.contract.state.sync import DocumentSnapshot, DocumentSync
from client_sdk.contract.sync import ChannelSync, Snapshot


class Verdict(Enum):
    """What is to be done with an event."""

    APPLY = "apply"
    DUPLICATE = "duplicate"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Reset:
    """The channel's state is replaced: forget its orders, take these.

    `reason` is Core's (`first_sync`, `retention`, `epoch`, `ahead`) or `digest`: the orders here
    did not match Core's.
    """

    channel: str
    reason: str
    head: int
    orders: tuple[Order, ...]
    type: str = "reset"

    def goes_on(self, before: str, epoch: str) -> bool:
        """Whether it is of the log that was followed before: that has not gone back meanwhile.

        After a restore each channel begins anew because of the epoch; the first one tells of it.

        Args:
            before: the epoch of the change before it; "": there was none.
            epoch: its own.
        """
        if self.reason == "ahead":
            return False
        return before == epoch if before else self.reason != "epoch"


Change = OrderEvent | Reset
"""What a consumer is handed: an event, or a reset."""


@dataclass(frozen=True, slots=True)
class DocumentReset:
    """The state of a channel of documents is replaced: forget its documents, take these.

    `reason` is one of those of `Reset`.
    """

    channel: str
    reason: str
    head: int
    documents: tuple[Document, ...]
    type: str = "reset"


DocumentChange = DocumentEvent | DocumentReset
"""What the shared state is handed: an event of a document, or a reset."""


class Positions:
    """What has been taken in, per channel; None where a channel starts anew.

    Args:
        positions: the channels, each with its seq or None.
    """

    def __init__(self, positions: Mapping[str, int | None]) -> None:
        self._positions = dict(positions)

    def __getitem__(self, channel: str) -> int | None:
        return self._positions[channel]

    def __contains__(self, channel: str) -> bool:
        return channel in self._positions

    @property
    def all(self) -> dict[str, int | None]:
        """Every channel with its position."""
        return dict(self._positions)

    @property
    def known(self) -> dict[str, int]:
        """The channels that have a position, with it: a cursor."""
        return {channel: seq for channel, seq in self._positions.items() if seq is not None}

    def judge(self, event: OrderEvent | DocumentEvent) -> Verdict:
        """What is to be done with the event; it is not taken in yet."""
        position = self._positions.get(event.channel)
        if position is None:
            return Verdict.GAP
        if event.seq <= position:
            return Verdict.DUPLICATE
        return Verdict.APPLY if event.seq == position + 1 else Verdict.GAP

    def take(self, event: OrderEvent | DocumentEvent) -> Verdict:
        """Judge the event, and move on if it applies."""
        verdict = self.judge(event)
        if verdict is Verdict.APPLY:
            self._positions[event.channel] = event.seq
        return verdict

    def move(self, channel: str, seq: int | None) -> None:
        """Start the channel anew at `seq`, or from nothing."""
        self._positions[channel] = seq


def changes_of(positions: Positions, answer: ChannelSync) -> tuple[list[Change], bool]:
    """What a sync's answer changes in one channel, and whether it is sound.

    The positions move along. An answer that leaves a gap, or ends before the head without saying
    that there is more, is not sound: its good part is given, and the client must sync again from
    where it is.
    """

    def reset(reason: str, snapshot: Snapshot) -> Reset:
        return Reset(answer.channel, reason, snapshot.head, tuple(snapshot.orders))

    return _changes_of(positions, answer, reset)


def document_changes_of(
    positions: Positions, answer: DocumentSync
) -> tuple[list[DocumentChange], bool]:
    """What a sync's answer changes in a channel of documents, and whether it is sound.

    The rules are those of `changes_of`.
    """

    def reset(reason: str, snapshot: DocumentSnapshot) -> DocumentReset:
        return DocumentReset(answer.channel, reason, snapshot.head, tuple(snapshot.documents))

    return _changes_of(positions, answer, reset)


def _changes_of(
    positions: Positions,
    answer: ChannelSync | DocumentSync,
    reset_of: Callable[[str, Any], Any],
) -> tuple[list[Any], bool]:
    changes: list[Any] = []
    position = positions[answer.channel]
    if answer.reset is not None and answer.snapshot is not None:
        # The stream may have brought what lies behind a snapshot while the answer was under way.
        head = answer.snapshot.head
        if answer.reset != "retention" or position is None or position < head:
            positions.move(answer.channel, head)
            changes.append(reset_of(answer.reset, answer.snapshot))
    elif answer.reset is not None or position is None:
        return changes, False
    for event in answer.events:
        verdict = Verdict.GAP if event.channel != answer.channel else positions.take(event)
        if verdict is Verdict.GAP:
            return changes, False
        if verdict is Verdict.APPLY:
            changes.append(event)
    reached = positions[answer.channel]
    return changes, answer.has_more or (reached is not None and reached >= answer.head)
