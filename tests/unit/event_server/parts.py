"""Fakes of the event server's ports, and helpers that many of its tests use."""

from __future__ import annotations

from client_sdk.contract.sse import SseEvent, SseParser
from event_server.kafka.record_reader import EVENT_PREFIXES
from event_server.replay.database_clock import DatabaseClock
from event_server.replay.frames import Frames, UnencodedEvent, as_text
from event_server.replay.hub import Hub
from event_server.replay.ring import Rings
from event_server.streams.health import Health
from event_server.streams.lifetimes import Timing, Uniform
from event_server.streams.registry import StreamLimits, Streams
from event_server.streams.request_rules import Placement
from server_common.access.tickets import Ticket, TicketKeys
from server_common.kafka_records.events import (
    Headers,
    OrderRecord,
    WatermarkRecord,
    encode_order_record,
    encode_watermark_record,
)

EPOCH = "01EPOCH1"
FRAMES = Frames(as_text)
KEYS = TicketKeys({"t1": b"k" * 32}, "t1")


class FakeSubscriber:
    """Reads what it gets as a client would."""

    def __init__(self) -> None:
        self.backlog = 0
        self.events: list[SseEvent] = []
        self.ended = False
        self.aborted = False
        self.raw = b""
        self._parser = SseParser()

    def send(self, frame: bytes) -> None:
        assert not self.ended, "a frame after the last one"
        self.raw += frame
        self.events += self._parser.feed(frame)

    def end(self, frame: bytes) -> None:
        self.send(frame)
        self.ended = True

    def abort(self) -> None:
        self.aborted = True

    def ids(self) -> list[str]:
        """The ids of the received events of orders and documents."""
        return [e.last_event_id for e in self.events if e.type.startswith(EVENT_PREFIXES)]

    def types(self) -> list[str]:
        return [e.type for e in self.events]


def event(channel: str, seq: int) -> UnencodedEvent:
    return f"{channel}@{seq}", "order.placed", b'{"seq":%d}' % seq


def make_hub(
    partitions: int = 1,
    max_events: int = 256,
    max_bytes: int = 1 << 20,
    covered_since: float = 0.0,
    warm: bool = True,
) -> Hub:
    hub = Hub(Rings(max_events, max_bytes), FRAMES, DatabaseClock(), range(partitions))
    hub.rings.covered_since = covered_since
    hub.warm = warm
    hub.admit(EPOCH)
    return hub


def make_ticket(
    cursor: dict[str, int],
    issued_at: float = 1000.0,
    epoch: str = EPOCH,
    ttl: float = 30.0,
    subject: str = "owner-12",
    device: str = "",
) -> Ticket:
    return Ticket(epoch, cursor, issued_at, issued_at + ttl, subject, device)


def make_streams(
    hub: Hub,
    *,
    lifetime_s: tuple[float, float] = (45.0, 90.0),
    heartbeat_s: float = 5.0,
    max_streams: int = 100,
    placement: Placement | None = None,
    uniform: Uniform = lambda low, high: (low + high) / 2,
    now: float = 0.0,
) -> Streams:
    """Streams whose random numbers are always the middle, by default."""
    return Streams(
        "server-1",
        hub,
        FRAMES,
        Health(hub, 5.0),
        KEYS,
        placement or Placement(1, frozenset({0})),
        Timing(lifetime_s, (1000, 3000), uniform),
        StreamLimits(max_streams, heartbeat_s, abort_after_s=5.0, window_s=120.0),
        now,
    )


def order_record(ids: tuple[str, ...], epoch: str = EPOCH, text: str = "") -> tuple[bytes, Headers]:
    lines = tuple(f'{{"id":"{name}","text":"{text}"}}'.encode() for name in ids)
    return encode_order_record(
        OrderRecord(epoch, "order.placed", "2026-01-01T00:00:00Z", ids, lines)
    )


def document_record(name: str, epoch: str = EPOCH) -> tuple[bytes, Headers]:
    """One change of a document, by its event id."""
    line = f'{{"id":"{name}","key":"notice"}}'.encode()
    return encode_order_record(
        OrderRecord(epoch, "document.changed", "2026-01-01T00:00:00Z", (name,), (line,))
    )


def watermark_record(watermark: float, epoch: str = EPOCH) -> Headers:
    return encode_watermark_record(WatermarkRecord(epoch, watermark))
