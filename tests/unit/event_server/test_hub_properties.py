"""The hub against a model of the world: Core commits, a relay that repeats and loses, clients.

Whatever happens in between, a client gets a contiguous run from its position, each event once, and
as long as its stream is open it has all that the hub was handed. Otherwise it was told to sync.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client_sdk.contract.stream import SyncRequired
from event_server.replay.ring import EVENT_OVERHEAD, MARGIN_S
from tests.unit.event_server.parts import FakeSubscriber, event, make_hub

CHANNELS = ["store:1", "table:1/5"]
WINDOW_S = 20.0
MAX_EVENTS = 4
MAX_BYTES = 7 * (10 + EVENT_OVERHEAD)

# How often each thing happens: the ordinary most, disasters sometimes.
WEIGHTS = {
    "an_event_goes_all_the_way": 10,
    "commit": 6,
    "relay": 6,
    "deliver": 6,
    "sync": 8,
    "connect": 10,
    "wait": 5,
    "disconnect": 2,
    "expire": 3,
    "a_woken_relay_repeats_itself": 4,
    "a_record_is_lost": 2,
    "the_server_reads_anew": 1,
    "a_backup_is_restored": 1,
    "mark": 5,
    "content_is_omitted": 2,
}
STEP = st.tuples(
    st.sampled_from([name for name, weight in WEIGHTS.items() for _ in range(weight)]),
    st.integers(0, 1 << 16),
)


@dataclass
class Record:
    time: float
    channel: str
    seq: int
    omitted: bool = False


@dataclass
class Sync:
    epoch: str
    cursor: dict[str, int]
    issued_at: float


@dataclass
class Client:
    positions: dict[str, int]
    synced: dict[str, int]
    issued_at: float
    stream: FakeSubscriber = field(default_factory=FakeSubscriber)


class World:
    """Each step takes a number that decides what is left open."""

    def __init__(self) -> None:
        self.hub = make_hub(max_events=MAX_EVENTS, max_bytes=MAX_BYTES)
        self.now = 1000.0
        self.heads = dict.fromkeys(CHANNELS, 0)
        self.unpublished: list[tuple[str, int]] = []
        self.log: list[Record] = []
        self.read = 0
        self.handed = dict.fromkeys(CHANNELS, 0)
        self.tickets: list[Sync] = []
        self.clients: list[Client] = []

    def an_event_goes_all_the_way(self, n: int) -> None:
        self.commit(n)
        self.relay(len(self.unpublished))
        self.deliver(len(self.log))

    def commit(self, n: int) -> None:
        channel = CHANNELS[n % 2]
        self.heads[channel] += 1
        self.unpublished.append((channel, self.heads[channel]))

    def wait(self, n: int) -> None:
        self.now += n % 80 / 10

    def relay(self, n: int) -> None:
        """A record's time is read before the outbox, so it may lie before the commit."""
        early = n % 10 / 10 * MARGIN_S
        for channel, seq in self.unpublished[: 1 + n % 4]:
            self.log.append(Record(self.now - early, channel, seq))
        del self.unpublished[: 1 + n % 4]

    def a_woken_relay_repeats_itself(self, n: int) -> None:
        first = max(0, len(self.log) - 1 - n % 12)
        again = self.log[first : first + 1 + n % 3]
        self.log += [
            Record(self.now, record.channel, record.seq, record.omitted) for record in again
        ]

    def a_record_is_lost(self, n: int) -> None:
        if self.unpublished:
            self.unpublished.pop(n % len(self.unpublished))

    def content_is_omitted(self, n: int) -> None:
        if self.unpublished:
            self.log.append(Record(self.now, *self.unpublished.pop(0), omitted=True))

    def mark(self, _: int) -> None:
        """All that was committed has been handed out, or was lost on the way."""
        self.relay(3)
        while self.unpublished:
            self.relay(3)
        while self.read < len(self.log):
            self.deliver(5)
        self.hub.mark(0, self.now, self.now)

    def deliver(self, n: int) -> None:
        for record in self.log[self.read : self.read + 1 + n % 6]:
            if record.omitted:
                self.hub.omit(record.channel, record.seq, record.time)
            else:
                self.hub.publish(
                    record.channel, record.seq, event(record.channel, record.seq), record.time
                )
            self.handed[record.channel] = max(self.handed[record.channel], record.seq)
            self.read += 1

    def expire(self, _: int) -> None:
        self.hub.rings.expire(self.now - WINDOW_S)

    def sync(self, n: int) -> None:
        channels = CHANNELS[: 1 + n % 2]
        self.tickets.append(Sync(self.hub.epoch, {c: self.heads[c] for c in channels}, self.now))
        del self.tickets[:-5]

    def connect(self, n: int) -> None:
        """With any ticket there is, however old, at its position, before it or beyond it."""
        if not self.tickets:
            return
        ticket = self.tickets[-1 - n % len(self.tickets)]
        back = (0, 0, 0, 1, 2, 3, -1, -5)[n % 8]
        client = Client(
            {c: max(0, s - back) for c, s in ticket.cursor.items()},
            ticket.cursor,
            ticket.issued_at,
        )
        replay = self.hub.attach(
            client.stream, client.positions, ticket.cursor, ticket.issued_at, ticket.epoch
        )
        if isinstance(replay, SyncRequired):
            return
        assert ticket.epoch == self.hub.epoch, "positions of another epoch mean nothing"
        for missed in replay:
            client.stream.send(missed)
        self.clients.append(client)
        if len(self.clients) > 6:
            self.disconnect(n)

    def disconnect(self, n: int) -> None:
        if self.clients:
            self.hub.detach(self.clients.pop(n % len(self.clients)).stream)

    def the_server_reads_anew(self, _: int) -> None:
        """Kafka was gone: all streams end, and reading starts a window back."""
        self.hub.forget("gap")
        self.hub.rings.uncover()
        since = self.now - WINDOW_S
        start = next((i for i, r in enumerate(self.log) if r.time >= since), len(self.log))
        end, self.read = self.read, start
        self.handed = dict.fromkeys(CHANNELS, 0)
        while self.read < end:
            self.deliver(0)
        self.hub.rings.covered_since = max(since + MARGIN_S, self.hub.rings.evicted_before)

    def a_backup_is_restored(self, _: int) -> None:
        self.heads = {c: max(0, head - 2) for c, head in self.heads.items()}
        self.unpublished.clear()
        self.log.clear()
        self.read = 0
        self.handed = dict.fromkeys(CHANNELS, 0)
        self.hub.admit(f"{self.hub.epoch}+")

    def check_claim(self, client: Client, channel: str, at: int) -> None:
        """Nobody waits beyond what has come, unless its ticket vouches for it, and may still."""
        assert at <= max(client.synced[channel], self.handed[channel]), "nobody vouches for this"
        ring, watermark = self.hub.rings.get(channel), self.hub.watermark or 0.0
        if ring is not None and at > ring.head:
            assert watermark < client.issued_at + MARGIN_S, "the watermark disproves this"

    def check(self) -> None:
        for client in self.clients:
            for channel, position in client.positions.items():
                run = [i for i in client.stream.ids() if i.startswith(f"{channel}@")]
                assert run == [f"{channel}@{position + n}" for n in range(1, len(run) + 1)]
                if not client.stream.ended:
                    known = max(position, client.synced[channel], self.handed[channel])
                    assert position + len(run) == known, "silence about an event"
                    self.check_claim(client, channel, position + len(run))
            if client.stream.ended:
                assert client.stream.types()[-1] == "sync-required"
        rings = self.hub.rings
        kept = [ring for c in CHANNELS if (ring := rings.get(c)) is not None]
        assert rings.bytes <= MAX_BYTES
        assert rings.events == sum(len(ring.entries) for ring in kept)
        assert all(len(ring.entries) <= MAX_EVENTS for ring in kept)


@given(st.lists(STEP, min_size=30, max_size=120))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_contiguous_complete_or_told_to_sync(steps: list[tuple[str, int]]) -> None:
    world = World()
    for name, n in steps:
        getattr(world, name)(n)
        world.check()


@pytest.mark.parametrize("seed", range(60))
def test_the_same_over_long_lives(seed: int) -> None:
    """Hypothesis shrinks what it finds; long random lives find more."""
    chance = random.Random(seed)
    world = World()
    steps = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=1000)
    for name in steps:
        getattr(world, name)(chance.randrange(1 << 16))
        world.check()
