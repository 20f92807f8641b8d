"""Models of relay, Kafka and event server; the event server uses its real rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from event_server.kafka.record_reader import RecordReader
from event_server.kafka.warm_up import ReadRange
from event_server.replay.audience import Subscriber
from event_server.replay.database_clock import DatabaseClock
from event_server.replay.frames import Frames, as_text
from event_server.replay.hub import Hub
from event_server.replay.ring import Rings
from event_server.streams.health import Health
from event_server.streams.lifetimes import Timing
from event_server.streams.registry import StreamLimits, Streams
from event_server.streams.request_rules import Placement
from server_common.access.tickets import TicketKeys
from server_common.kafka_records.events import WatermarkRecord, encode_watermark_record

KEYS = TicketKeys({"t1": b"k" * 32}, "t1")
FRAMES = Frames(as_text)
WINDOW_S = 120.0
RING_FRAMES = 12


@dataclass(frozen=True)
class Record:
    """One record of the topic's only partition."""

    time: float
    value: bytes | None
    headers: list[tuple[str, bytes]]


@dataclass
class ModelKafka:
    """A topic with one partition, which can lose all its records."""

    records: list[Record] = field(default_factory=list)
    begin: int = 0

    @property
    def end(self) -> int:
        return self.begin + len(self.records)

    def wipe(self) -> None:
        """Delete all records; new records get the offsets that follow."""
        self.begin = self.end
        self.records = []


@dataclass(frozen=True)
class Committed:
    """One row of the outbox."""

    record: tuple[bytes, list[tuple[str, bytes]]]
    at: float


class Truth(Protocol):
    """The part of Core's data that a relay reads and deletes."""

    outbox: list[Committed]


class Outbox(Protocol):
    """The parts of the model of Core that a relay uses."""

    @property
    def truth(self) -> Truth:
        """All data of Core."""

    @property
    def epoch(self) -> str:
        """The epoch of the log."""


class ModelRelay:
    """Publishes the outbox in order, then a watermark; it can repeat events, stall and crash."""

    def __init__(self, core: Outbox, kafka: ModelKafka, chance: Random) -> None:
        self._core = core
        self._kafka = kafka
        self._chance = chance
        self.stalled_until = 0.0
        self.forgets = 0.0
        """The probability that it crashes after it has published and before it has deleted."""

    def run(self, now: float) -> None:
        """Run one cycle: read the outbox, publish, delete."""
        if now < self.stalled_until:
            return
        outbox = self._core.truth.outbox
        batch = outbox[: self._chance.randint(1, 5)]
        complete = len(batch) == len(outbox)
        for committed in batch:
            self._kafka.records.append(Record(now, *committed.record))
        if complete:
            mark = WatermarkRecord(self._core.epoch, now)
            self._kafka.records.append(Record(now, None, encode_watermark_record(mark)))
        if self._chance.random() >= self.forgets:
            del outbox[: len(batch)]


class ModelServer:
    """An event server; a new one fills its rings from the last two minutes of the topic."""

    hub_class: type[Hub] = Hub

    def __init__(self, kafka: ModelKafka, chance: Random, now: float, db_now: float) -> None:
        self._kafka = kafka
        self.stuck_until = 0.0
        self.hub = self.hub_class(Rings(RING_FRAMES, 1 << 20), FRAMES, DatabaseClock(), [0])
        self._health = Health(self.hub, 5.0)
        self.streams = Streams(
            "sim",
            self.hub,
            FRAMES,
            self._health,
            KEYS,
            Placement(1, frozenset({0})),
            Timing((8.0, 20.0), (1000, 3000), chance.uniform),
            StreamLimits(1000, 5.0, abort_after_s=5.0, window_s=WINDOW_S),
            now,
        )
        since = db_now - WINDOW_S
        old = [n for n, record in enumerate(kafka.records) if record.time < since]
        skip = (old[-1] + 1) if old else 0
        self._offset = kafka.begin + skip
        reach = ReadRange(kafka.end, since if old else None)
        self._intake = RecordReader(self.hub, {0: reach}, lambda _kind, _reason: None)

    def run(self, now: float) -> None:
        """Read new records, then send heartbeats and end streams that are due."""
        if now >= self.stuck_until:
            if self._offset < self._kafka.begin:
                self.hub.forget("gap")
                self._offset = self._kafka.begin
                self._intake = RecordReader(
                    self.hub, {0: ReadRange(self._kafka.end, None)}, lambda _k, _r: None
                )
            for record in self._kafka.records[self._offset - self._kafka.begin :]:
                self._intake.take(0, self._offset, record.time, record.value, record.headers, now)
                self._offset += 1
        self.streams.turn(now)


class Wire:
    """A subscriber that keeps its frames until the client reads them."""

    def __init__(self) -> None:
        self.backlog = 0
        self.frames: list[bytes] = []
        self.ended = False
        self.aborted = False

    def send(self, frame: bytes) -> None:
        if not self.ended:
            self.frames.append(frame)

    def end(self, frame: bytes) -> None:
        self.send(frame)
        self.ended = True

    def abort(self) -> None:
        self.ended = self.aborted = True


_: type[Subscriber] = Wire
