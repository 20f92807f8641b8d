"""Proof that what is read next in a partition follows what was read before. Pure.

A log that was deleted, made anew and refilled beyond our offset looks like the old one: the broker
answers a read with whatever stands at that offset. But each record says which run of which relay
sent it, and as which one (`server_common/kafka_records/events.py`, the header `sent`), and no two
records say the same:

- The next record of a run that is known follows.
- Before any other record is taken, the last record is read once more. If it still stands where it
  was read, this is the same log, and all between has been read. Otherwise it is another log.
- In the same log, a run begins with its number 0 and leaves out none; where it does, records are
  missing in the log itself. A run that began before we did is accepted in its middle. So
  is one whose next record comes after records that could not be read.

Records without the header come from an older relay, and prove nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Literal

from event_server.errors import LogReplacedError
from server_common.kafka_records.events import parse_sent

MAX_RUNS: Final = 64
"""How many runs of a partition are remembered: those of paused relays may wake up and go on."""

Verdict = Literal["take", "take_after_gap", "look_back", "pass_over"]
"""What is to be done with a record: take it; take it, but records before it are missing; read again
from `look_back_to`; nothing, because it was taken before."""


class Continuity:
    """The records of one partition, in one session of reading.

    Args:
        end: the offset behind the last record that was there when reading began.
    """

    __slots__ = (
        "_end",
        "_is_same",
        "_number",
        "_offset",
        "_others",
        "_run",
        "_sent",
        "_unproven",
        "_unread",
        "expected",
    )  # fmt: skip

    def __init__(self, end: int) -> None:
        self.expected: bytes | None = b""
        """The `sent` of the record that is expected next; None: every record must be judged."""
        self._end = end
        self._run = b""
        self._number = -1
        self._offset = -1
        self._sent = b""
        self._others: OrderedDict[bytes, int] = OrderedDict()
        self._unproven: tuple[int, bytes] | None = None
        self._is_same = False
        self._unread = (-1, 0)

    @property
    def look_back_to(self) -> int:
        """The offset of the last record that said what it is."""
        return self._offset

    def follow(self, offset: int, sent: bytes) -> None:
        """Take a record whose `sent` is `expected`."""
        self._offset = offset
        self._sent = sent
        self._number = number = self._number + 1
        self.expected = b"%b.%d" % (self._run, number + 1)

    def leave_out(self, count: int) -> bool:
        """Note that so many unreadable records come next. Whether they come for the first time, and
        not because the last record is read once more."""
        if self._unproven is not None:
            return False
        last, before = self._unread
        self._unread = (self._offset, count + (before if last == self._offset else 0))
        return True

    def judge(self, offset: int, sent: bytes) -> Verdict:
        """What is to be done with a record whose `sent` is not `expected`.

        Raises:
            LogReplacedError: this is not the log that was read before.
        """
        if self._unproven is not None:
            return self._compare(offset, sent, *self._unproven)
        if not sent:
            return "take"
        run, number = parse_sent(sent)
        if not self._run or self._others.get(run) == number - 1:
            self._go_on_with(offset, sent, run, number)
            return "take"
        self._unproven, self._is_same, self.expected = (offset, sent), False, None
        return "look_back"

    def _compare(self, offset: int, sent: bytes, unproven: int, unproven_sent: bytes) -> Verdict:
        if not self._is_same:
            if (offset, sent) != (self._offset, self._sent):
                raise LogReplacedError(
                    f"offset {self._offset} no longer holds the record that was read there"
                )
            self._is_same = True
            return "pass_over"
        if offset < unproven and not sent:
            return "pass_over"
        if (offset, sent) != (unproven, unproven_sent):
            raise LogReplacedError(f"offset {unproven} no longer holds the record it held")
        self._unproven = None
        run, number = parse_sent(sent)
        is_whole = self._leaves_out_none(offset, run, number)
        self._go_on_with(offset, sent, run, number)
        return "take" if is_whole else "take_after_gap"

    def _leaves_out_none(self, offset: int, run: bytes, number: int) -> bool:
        last = self._number if run == self._run else self._others.get(run)
        after, unread = self._unread
        most = unread if after == self._offset else 0
        if last is None:
            return number <= most or offset < self._end
        return number <= last + 1 + most  # not above: the broker has stored a batch twice

    def _go_on_with(self, offset: int, sent: bytes, run: bytes, number: int) -> None:
        if self._run and run != self._run:
            self._others.pop(run, None)
            self._others[self._run] = self._number
            if len(self._others) > MAX_RUNS:
                self._others.popitem(last=False)
        self._run, self._number = run, number - 1
        self.follow(offset, sent)
