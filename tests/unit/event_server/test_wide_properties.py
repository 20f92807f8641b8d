"""One node that reads several partitions, against a model of Core, its relays and the clients.

Stores have their events in one partition each; `brand:` and `global` have a copy in every one. The
partitions are read at their own pace, begin at different times, and lose, damage, leave out or
repeat records. Whatever happens, a stream that is open has each event that was committed before
its watermark, once and in order, and each one as soon as any partition has brought it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client_sdk.contract.stream import SyncRequired
from event_server.kafka import record_reader
from event_server.kafka.record_reader import RecordReader
from event_server.kafka.warm_up import ReadRange, WarmUp
from event_server.replay.hub import Hub
from event_server.replay.ring import MARGIN_S
from server_common.kafka.raw_records import LeftOut
from server_common.kafka_records.events import OmittedRecord, encode_omitted_record, encode_sent
from tests.unit.event_server.parts import (
    EPOCH,
    FakeSubscriber,
    document_record,
    make_hub,
    order_record,
    watermark_record,
)

PARTITIONS = 3
HOME = {"store:0": 0, "store:1": 1, "store:2": 2, "public:1": 1}
WIDE = ["global", "brand:b"]
CHANNELS = [*HOME, *WIDE]
WINDOW_S = 20.0

# How often each thing happens: the ordinary most, disasters sometimes.
WEIGHTS = {
    "a_wide_event_goes_one_way": 6,
    "commit": 10,
    "relay": 12,
    "deliver": 12,
    "all_is_delivered": 5,
    "sync": 10,
    "connect": 12,
    "wait": 6,
    "disconnect": 1,
    "expire": 2,
    "a_woken_relay_repeats_itself": 3,
    "a_relay_begins_a_session": 2,
    "a_copy_is_lost": 2,
    "a_record_is_spoiled": 2,
    "a_partition_is_trimmed": 2,
    "the_server_reads_anew": 2,
    "partitions_begin_at_different_times": 3,
    "a_wide_event_is_spoiled_everywhere": 2,
}
STEP = st.tuples(
    st.sampled_from([name for name, weight in WEIGHTS.items() for _ in range(weight)]),
    st.integers(0, 1 << 16),
)

Spoiled = Literal["", "omitted", "malformed", "nameless", "unreadable"]
SPOILS: Sequence[Spoiled] = ("omitted", "malformed", "nameless", "unreadable")


@dataclass(frozen=True)
class Record:
    """What stands at one place of a partition; without a seq it is a watermark."""

    time: float
    sent: str
    number: int
    channel: str = ""
    seq: int = 0
    spoiled: Spoiled = ""

    def parts(self) -> tuple[bytes | None, list[tuple[str, bytes]]]:
        name = f"{self.channel}@{self.seq}"
        value: bytes | None = None
        if not self.seq:
            headers = list(watermark_record(self.time))
        elif self.spoiled == "omitted":
            headers = encode_omitted_record(OmittedRecord(EPOCH, (name,)))
        else:
            make = document_record if self.channel in WIDE else lambda one: order_record((one,))
            value, given_headers = make(name)
            headers = list(given_headers)
        if self.spoiled == "malformed":
            value = b"one line\nand another"
        if self.spoiled == "nameless":
            headers = [("ids", b"\xff") if name == "ids" else (name, v) for name, v in headers]
        return value, [*headers, encode_sent(self.sent, self.number)]


@dataclass
class Partition:
    """One partition's log, its relay, and where the node stands in it."""

    log: list[Record] = field(default_factory=list)
    outbox: list[tuple[str, int]] = field(default_factory=list)
    begin: int = 0
    at: int = 0
    furthest: int = 0
    session: int = 0
    number: int = 0
    relayed_at: float = 0.0
    has_hole: bool = False
    """Whether records are missing behind its last one."""


@dataclass
class Sync:
    cursor: dict[str, int]
    issued_at: float


@dataclass
class Client:
    positions: dict[str, int]
    synced: dict[str, int]
    stream: FakeSubscriber = field(default_factory=FakeSubscriber)

    def reached(self, channel: str) -> int:
        prefix = f"{channel}@"
        run = [name for name in self.stream.ids() if name.startswith(prefix)]
        position = self.positions[channel]
        assert run == [f"{prefix}{position + n}" for n in range(1, len(run) + 1)]
        return position + len(run)


class World:
    """Each step takes a number that decides what is left open."""

    def __init__(self) -> None:
        self.hub: Hub = make_hub(PARTITIONS, max_events=4, max_bytes=3000, warm=False)
        self.now = 1000.0
        self.heads = dict.fromkeys(CHANNELS, 0)
        self.committed: dict[tuple[str, int], float] = {}
        self.handed = dict.fromkeys(CHANNELS, 0)
        self.parts = [Partition() for _ in range(PARTITIONS)]
        self.tickets: list[Sync] = []
        self.clients: list[Client] = []
        self.accepted = 0
        self.the_server_reads_anew(0)

    # Core and its relays ------------------------------------------------------------------

    def commit(self, n: int) -> None:
        channel = CHANNELS[n % len(CHANNELS)]
        self.heads[channel] += 1
        self.committed[channel, self.heads[channel]] = self.now
        for partition in self.homes(channel):
            self.parts[partition].outbox.append((channel, self.heads[channel]))

    def homes(self, channel: str) -> Sequence[int]:
        return range(PARTITIONS) if channel in WIDE else [HOME[channel]]

    def relay(self, n: int) -> None:
        """A record's time is read before the outbox, so it may lie before the commit. A read that
        brings all that is there is followed by a watermark of that time."""
        part = self.parts[n % PARTITIONS]
        part.relayed_at = time = max(part.relayed_at, self.now - n % 10 / 10 * MARGIN_S)
        count = n // PARTITIONS % 5
        for channel, seq in part.outbox[:count]:
            self.write(part, Record(time, "", 0, channel, seq))
        del part.outbox[:count]
        if not part.outbox:
            self.write(part, Record(time, "", 0))

    def write(self, part: Partition, record: Record) -> None:
        sent = f"p{self.parts.index(part)}s{part.session}"
        part.log.append(replace(record, sent=sent, number=part.number))
        part.number += 1
        part.has_hole = False

    def a_relay_begins_a_session(self, n: int) -> None:
        part = self.parts[n % PARTITIONS]
        if not part.has_hole:
            part.session, part.number = part.session + 1, 0

    def a_woken_relay_repeats_itself(self, n: int) -> None:
        """It had been paused with what it had read in hand, which others have sent meanwhile."""
        part = self.parts[n % PARTITIONS]
        first, session = max(part.begin, len(part.log) - 1 - n % 9), f"woken{len(part.log)}"
        again = [record for record in part.log[first : first + 1 + n % 3] if record.seq]
        part.log += [replace(one, sent=session, number=i) for i, one in enumerate(again)]

    def a_copy_is_lost(self, n: int) -> None:
        """The log has lost what the relay had sent with its last record; the next one tells."""
        part = self.parts[n % PARTITIONS]
        if not part.outbox or not part.number:
            return
        if self.committed[part.outbox[0]] <= part.log[-1].time + MARGIN_S:
            part.outbox.pop(0)
            part.number += 1
            part.has_hole = True

    def a_record_is_spoiled(self, n: int) -> None:
        part = self.parts[n % PARTITIONS]
        unread = [i for i in range(part.furthest, len(part.log)) if part.log[i].seq]
        if unread:
            i = unread[n % len(unread)]
            part.log[i] = replace(part.log[i], spoiled=SPOILS[n // 7 % len(SPOILS)])

    def a_wide_event_is_spoiled_everywhere(self, n: int) -> None:
        """No copy of it can be read, nor its name."""
        self.commit(CHANNELS.index(WIDE[n % 2]))
        for part in self.parts:
            self.relay_all(part)
            last = max(i for i, record in enumerate(part.log) if record.seq)
            part.log[last] = replace(part.log[last], spoiled=SPOILS[2 + n // 2 % 2])

    def relay_all(self, part: Partition) -> None:
        while part.outbox:
            self.relay(self.parts.index(part) + PARTITIONS * 4)

    def a_partition_is_trimmed(self, n: int) -> None:
        part = self.parts[n % PARTITIONS]
        begin = max(part.begin, part.at - n // PARTITIONS % 4)
        # Brokers keep records for hours: a repetition of what is gone already is gone as well.
        gone = max((record.time for record in part.log[:begin]), default=0.0)
        while begin < part.at and part.log[begin].time < gone:
            begin += 1
        part.begin = begin

    # The node -----------------------------------------------------------------------------

    def deliver(self, n: int) -> None:
        for _ in range(1 + n // PARTITIONS % 4):
            self.take(n % PARTITIONS)

    def take(self, partition: int) -> bool:
        """The next record of a partition; whether there was one."""
        part = self.parts[partition]
        if part.at == len(part.log):
            return False
        record, offset = part.log[part.at], part.at
        part.at += 1
        part.furthest = max(part.furthest, part.at)
        if record.spoiled == "unreadable":
            what = LeftOut(offset, offset, "damaged", b"", round(record.time * 1000))
            self.reader.leave_out(partition, what, self.now)
            return True
        again = self.reader.take(partition, offset, record.time, *record.parts(), self.now)
        if again is not None:
            part.at = again
        elif record.seq and not record.spoiled:
            self.handed[record.channel] = max(self.handed[record.channel], record.seq)
        return True

    def all_is_delivered(self, _: int) -> None:
        for partition, part in enumerate(self.parts):
            self.relay_all(part)
            self.relay(partition)
            while self.take(partition):
                pass

    def a_wide_event_goes_one_way(self, n: int) -> None:
        """All but one relay are slow: whoever follows has it by that one."""
        self.commit(CHANNELS.index(WIDE[n % 2]))
        partition = n // 2 % PARTITIONS
        self.relay_all(self.parts[partition])
        while self.take(partition):
            pass

    def expire(self, _: int) -> None:
        self.hub.rings.expire((self.hub.clock.estimate(self.now) or 0.0) - WINDOW_S)

    def the_server_reads_anew(self, _: int) -> None:
        """As `KafkaSource` begins a session."""
        self.hub.forget("gap")
        self.handed = dict.fromkeys(CHANNELS, 0)
        last = [part.log[-1].time for part in self.parts if len(part.log) > part.begin]
        since = max(last, default=self.now) - WINDOW_S - MARGIN_S
        ranges = {}
        for partition, part in enumerate(self.parts):
            kept = range(part.begin, len(part.log))
            part.at = next((i for i in kept if part.log[i].time >= since), part.begin)
            ranges[partition] = ReadRange(len(part.log), since if part.at > part.begin else None)
        self.reader = RecordReader(
            self.hub, ranges, lambda *_: None, partition_of=lambda channel: HOME.get(channel)
        )

    def partitions_begin_at_different_times(self, n: int) -> None:
        """Some of them have lost nearly all of their past when reading begins."""
        self.all_is_delivered(n)
        for partition in range(PARTITIONS):
            if n >> partition & 1:
                self.a_partition_is_trimmed(partition + PARTITIONS * (n >> 3 & 3))
        self.the_server_reads_anew(n)
        self.now += MARGIN_S
        self.all_is_delivered(n)

    # Clients ------------------------------------------------------------------------------

    def wait(self, n: int) -> None:
        self.now += n % 80 / 10

    def sync(self, n: int) -> None:
        chosen = [c for i, c in enumerate(CHANNELS) if n >> i & 1] if n % 4 else WIDE
        self.tickets.append(Sync({c: self.heads[c] for c in chosen}, self.now))
        del self.tickets[:-5]

    def connect(self, n: int) -> None:
        """With any ticket there is, however old, at its position or before it."""
        if not self.tickets or not self.hub.warm:
            return
        ticket = self.tickets[-1 - n % len(self.tickets)]
        back = (0, 0, 0, 1, 2)[n // 5 % 5]
        client = Client({c: max(0, s - back) for c, s in ticket.cursor.items()}, ticket.cursor)
        replay = self.hub.attach(
            client.stream, client.positions, client.synced, ticket.issued_at, EPOCH
        )
        if isinstance(replay, SyncRequired):
            return
        self.accepted += 1
        for missed in replay:
            client.stream.send(missed)
        self.clients.append(client)
        if len(self.clients) > 6:
            self.disconnect(n)

    def disconnect(self, n: int) -> None:
        if self.clients:
            self.hub.detach(self.clients.pop(n % len(self.clients)).stream)

    # What must hold -----------------------------------------------------------------------

    def check(self) -> None:
        for client in self.clients:
            reached = {channel: client.reached(channel) for channel in client.positions}
            if client.stream.ended:
                assert client.stream.types()[-1] == "sync-required"
                continue
            for channel, at in reached.items():
                newest = max(client.positions[channel], client.synced[channel])
                assert at == max(newest, self.handed[channel]), "one partition has brought it"
                due = self.committed.get((channel, at + 1))
                # A watermark on the wire is in whole microseconds.
                marked = (self.hub.watermark or 0.0) - 1e-6
                assert due is None or due >= marked, "silence about an event"
        self.clients = [client for client in self.clients if not client.stream.ended]


def live(seed: int, steps: int = 600) -> World:
    """A long random life."""
    chance = random.Random(seed)
    world = World()
    for name in chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=steps):
        getattr(world, name)(chance.randrange(1 << 16))
        world.check()
    return world


def live_often() -> None:
    for seed in range(100):
        live(seed)


@given(st.lists(STEP, min_size=30, max_size=120))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_each_event_once_in_order_or_told_to_sync(steps: list[tuple[str, int]]) -> None:
    world = World()
    for name, n in steps:
        getattr(world, name)(n)
        world.check()


@pytest.mark.parametrize("seed", range(40))
def test_the_same_over_long_lives(seed: int) -> None:
    assert live(seed).accepted


# Bugs that the model must find ------------------------------------------------------------


class CoversFromOnePartition(WarmUp):
    """What the first partition's reading covers is claimed for all."""

    def _warm_if_complete(self, now: float) -> None:
        others = {p: one.since for p, one in self._ranges.items() if p}
        for partition in others:
            self._ranges[partition].since = self._ranges[0].since
        super()._warm_if_complete(now)
        for partition, since in others.items():
            self._ranges[partition].since = since


class ForgetsWideChannels(WarmUp):
    """What is missing in a partition concerns its stores only."""

    def break_off(self, partition: int, time: float) -> None:
        def concerns(channel: str) -> bool:
            return self._partition_of(channel) == partition

        self._hub.break_off(concerns, time, self.believable)


@pytest.mark.parametrize("bug", [CoversFromOnePartition, ForgetsWideChannels])
def test_the_model_finds(bug: type[WarmUp]) -> None:
    with patch.object(record_reader, "WarmUp", bug), pytest.raises(AssertionError):
        live_often()


def takes_every_copy(hub: Hub, channel: str, seq: int, event: object, time: float) -> None:
    """A hub without the rule that drops what has come before."""
    hub.rings.append(channel, seq, event, time)  # type: ignore[arg-type]
    audience = hub._audiences.get(channel)
    if audience is not None:
        hub._deliver(channel, audience, seq, hub._frames.event(event))  # type: ignore[arg-type]


def follows_the_quickest(hub: Hub, mark: Callable[..., bool], *about: float) -> bool:
    """A hub whose watermark is that of the partition that is furthest."""
    set_back = mark(hub, *about)
    hub._watermark = max(one.highest for one in hub._watermarks.values())
    return set_back


def test_the_model_finds_copies_that_are_not_dropped() -> None:
    with patch.object(Hub, "publish", takes_every_copy), pytest.raises(AssertionError):
        live_often()


def test_the_model_finds_a_watermark_that_is_not_the_least() -> None:
    mark = Hub.mark
    bug = patch.object(Hub, "mark", lambda hub, *about: follows_the_quickest(hub, mark, *about))
    with bug, pytest.raises(AssertionError):
        live_often()
