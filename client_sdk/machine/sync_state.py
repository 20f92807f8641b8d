"""What the client has taken in, and what an answer of Fetch Sync adds to it. Pure.

It decides what the next sync asks for: first, once, the orders of channels that go on from a stored
cursor (their book is empty after a restart, though their cursor is not), then what is new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from client_sdk.contract.order import OrderEvent
from client_sdk.contract.state.document import DocumentEvent
from client_sdk.contract.state.sync import DocumentSync, parts_of
from client_sdk.contract.sync import ChannelSync, SyncResponse
from client_sdk.machine.messages import CheckDigest, CheckDocuments, Deliver, DeliverDocument, Fill
from client_sdk.machine.sequencing import (
    DocumentReset,
    Positions,
    Reset,
    Verdict,
    changes_of,
    document_changes_of,
)


class Counters:
    """What happened, for status and metrics."""

    def __init__(self) -> None:
        self.duplicates = 0
        self.gaps = 0
        self.resets = 0
        self.divergences = 0
        self.stream_failures = 0
        self.sync_failures = 0


@dataclass(frozen=True, slots=True)
class Question:
    """What the next sync asks; `fills` says that it only brings back the book."""

    after: Mapping[str, int | None]
    epoch: str | None
    fills: bool


@dataclass(slots=True)
class TakenAnswer:
    """What an answer brought."""

    commands: list[Deliver | Fill | CheckDigest | DeliverDocument | CheckDocuments] = field(
        default_factory=list
    )
    fault: str | None = None
    """Why the answer is not sound; what it brought before counts all the same."""
    restarted: bool = False
    """A channel that had a cursor began anew."""
    goes_on: bool = False
    """Whether the answer made progress. One with `has_more` must, or the client would ask for
    ever."""
    epoch_changed: bool = False
    """The log began anew: a stream of the old one says nothing any more."""

    @property
    def news(self) -> bool:
        """Whether there was anything new for the consumer."""
        return any(isinstance(command, Deliver | DeliverDocument) for command in self.commands)


class SyncState:
    """The positions and the epoch of one client.

    Args:
        positions: the channels, each with the seq it goes on from, or None to start anew.
        epoch: the epoch of those seqs.
    """

    def __init__(self, positions: Mapping[str, int | None], epoch: str | None) -> None:
        self.positions = Positions(positions)
        self.epoch = epoch
        self.counters = Counters()
        self._unfilled = {channel for channel, seq in positions.items() if seq is not None}
        self._diverged: set[str] = set()
        self._checked: dict[str, tuple[int, str, str | None]] = {}
        self._asked: Mapping[str, int | None] = {}

    @property
    def diverged(self) -> int:
        """Channels that begin anew because what they hold had another digest."""
        return len(self._diverged)

    def question(self) -> Question:
        """What the next sync asks; its answer goes to `take`, or to `fill`."""
        if self._unfilled:
            return Question(dict.fromkeys(sorted(self._unfilled)), None, fills=True)
        self._asked = self.positions.all
        return Question(self._asked, self.epoch, fills=False)

    def take_event(self, event: OrderEvent | DocumentEvent) -> Verdict:
        """Judge an event of the stream, and move on if it applies."""
        verdict = self.positions.take(event)
        if verdict is Verdict.DUPLICATE:
            self.counters.duplicates += 1
        elif verdict is Verdict.GAP:
            self.counters.gaps += 1
        return verdict

    def diverge(self, channel: str, *, heal: bool) -> bool:
        """The book of the channel is wrong: it starts anew, or is only checked again later.

        True if a restart of the channel is scheduled.
        """
        if channel in self._diverged or channel not in self.positions:
            return False
        self.counters.divergences += 1
        if not heal:
            self._checked.pop(channel, None)
            return False
        self._diverged.add(channel)
        self.positions.move(channel, None)
        return True

    def take(self, response: SyncResponse) -> TakenAnswer:
        """Apply the answer to the last question."""
        taken = TakenAnswer()
        if response.epoch != self.epoch:
            taken.epoch_changed = self.epoch is not None
            self._begin_epoch(response.epoch)
        answers = {answer.channel: answer for answer in parts_of(response)}
        for channel in self._asked:
            answer = answers.get(channel)
            if answer is None:
                taken.fault = f"the answer leaves out {channel}"
            else:
                self._take_channel(answer, taken)
        if response.has_more and not taken.goes_on:
            taken.fault = "the answer says that there is more, and brings nothing"
        return taken

    def fill(self, response: SyncResponse) -> TakenAnswer:
        """Apply the orders that the book lacks after a restart."""
        taken = TakenAnswer()
        if response.epoch != self.epoch:
            # They come with the reset that the next answer must bring.
            self._unfilled.clear()
            return taken
        for answer in response.channels:
            if answer.snapshot is not None and answer.channel in self._unfilled:
                self._unfilled.discard(answer.channel)
                head, orders = answer.snapshot.head, tuple(answer.snapshot.orders)
                taken.commands.append(Fill(Reset(answer.channel, "first_sync", head, orders)))
        if self._unfilled:
            taken.fault = "the answer leaves out a snapshot"
        return taken

    def _begin_epoch(self, epoch: str) -> None:
        """Seqs of another epoch say nothing in this one: each channel needs a reset."""
        self.epoch = epoch
        self._checked.clear()
        for channel in self.positions.all:
            self.positions.move(channel, None)

    def _take_channel(self, answer: ChannelSync | DocumentSync, taken: TakenAnswer) -> None:
        asked = self._asked[answer.channel]
        if answer.reset is None and asked is not None and answer.head < asked:
            taken.fault = f"the answer is older than what is known of {answer.channel}"
            return
        anew, sound = self._deliver(answer, taken)
        taken.restarted = taken.restarted or (anew and asked is not None)
        taken.goes_on = taken.goes_on or anew or _end_of(answer) > (asked or 0)
        if not sound:
            taken.fault = f"the answer leaves a gap in {answer.channel}"
        check = (answer.head, answer.digest, answer.content_digest)
        at_head = self.positions[answer.channel] == answer.head
        if sound and at_head and self._checked.get(answer.channel) != check:
            self._checked[answer.channel] = check
            taken.commands += _checks(answer)

    def _deliver(self, answer: ChannelSync | DocumentSync, taken: TakenAnswer) -> tuple[bool, bool]:
        """Put out the channel's changes. Returns whether it begins anew, and whether the answer is
        sound."""
        epoch, anew = self.epoch or "", False
        if isinstance(answer, DocumentSync):
            documents, sound = document_changes_of(self.positions, answer)
            for one in documents:
                if isinstance(one, DocumentReset):
                    anew = True
                    one = replace(one, reason=self._reason(one.channel, one.reason))
                taken.commands.append(DeliverDocument(one, epoch))
            return anew, sound
        changes, sound = changes_of(self.positions, answer)
        for change in changes:
            if isinstance(change, Reset):
                anew = True
                change = replace(change, reason=self._reason(change.channel, change.reason))
            taken.commands.append(Deliver(change, epoch))
        return anew, sound

    def _reason(self, channel: str, reason: str) -> str:
        """Count that the channel begins anew; why it does, as the consumer is told."""
        self.counters.resets += 1
        self._checked.pop(channel, None)
        healed = channel in self._diverged
        self._diverged.discard(channel)
        return "digest" if healed and reason == "first_sync" else reason


def _checks(answer: ChannelSync | DocumentSync) -> list[CheckDigest | CheckDocuments]:
    if isinstance(answer, ChannelSync):
        return [CheckDigest(answer.channel, answer.digest, answer.content_digest)]
    if answer.content_digest is None:
        return []
    return [CheckDocuments(answer.channel, answer.content_digest)]


def _end_of(answer: ChannelSync | DocumentSync) -> int:
    """The last seq that the answer brings; 0: it brings none."""
    if answer.events:
        return answer.events[-1].seq
    return answer.snapshot.head if answer.reset is not None and answer.snapshot is not None else 0
