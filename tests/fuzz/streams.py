"""Targets for the push path: the writer and the parser of frames, and records of Kafka."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from client_sdk.contract.errors import FrameError, RecordError
from client_sdk.contract.sse import SseEvent, SseParser, encode_frame
from client_sdk.contract.stream import SyncRequired
from event_server.kafka.record_reader import RecordReader
from event_server.kafka.warm_up import ReadRange
from event_server.replay.frames import Frames, as_chunk, as_text, joined
from server_common.kafka_records.events import (
    Headers,
    LogRecord,
    OrderRecord,
    decode_record,
    split_ids,
)
from tests.unit.event_server.parts import EPOCH, FakeSubscriber, make_hub, watermark_record

_LIMIT: Final = 256
FIELD, NEXT = b"\x1e", b"\x1f"
"""How the input of `record` is split: value and headers, and a header's name and value."""


def frame(data: bytes) -> None:
    """Whatever the writer writes, the parser reads one event with the same parts."""
    parts = data.split(b"\x00", 2)
    kind, event_id, line = [*parts, b"", b""][:3]
    try:
        event = (event_id.decode(), kind.decode(), line)
        text = Frames(as_text).event(event)
    except (FrameError, UnicodeDecodeError):
        return
    assert text == encode_frame(event[1], line, event[0])
    assert joined(Frames(as_chunk).event(event)) == text
    expected = SseEvent(event[1] or "message", line.decode("utf-8", "replace"), event[0])
    for size in (1, 2, 7, len(text)):
        parser = SseParser()
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert [event for piece in pieces for event in parser.feed(piece)] == [expected]


def parser(data: bytes) -> None:
    """However a stream is split, the same events come, and no more is kept than allowed."""
    whole, whole_failed = _parsed(data, max(1, len(data)))
    for size in (1, 2, 3, 13):
        events, failed = _parsed(data, size)
        assert failed == whole_failed
        # A larger piece may lose the events in it that come before a line that is too long.
        assert events[: len(whole)] == whole if failed else events == whole


def _parsed(data: bytes, size: int) -> tuple[list[SseEvent], bool]:
    parser = SseParser(_LIMIT)
    events: list[SseEvent] = []
    try:
        for at in range(0, len(data), size):
            events += parser.feed(data[at : at + size])
    except FrameError:
        return events, True
    assert all(len(event.data.encode()) <= 3 * _LIMIT for event in events)
    return events, False


def record(data: bytes) -> None:
    """Any record is read or left out. It harms neither the intake nor a stream."""
    value, *fields = data.split(FIELD)
    headers = [
        (name.decode("latin-1"), text) for name, _, text in (f.partition(NEXT) for f in fields)
    ]
    with suppress(RecordError):
        found = decode_record(value or None, headers)
        assert isinstance(found, LogRecord)
        if isinstance(found, OrderRecord):
            assert len(found.ids) == len(found.lines)
            split_ids(found.ids)
    for followed in (True, False):
        _took(value or None, headers, followed)


def _took(value: bytes | None, headers: Headers, followed: bool) -> None:
    """Compare what streams get with the record, which comes twice, for early and late streams."""
    hub = make_hub()
    intake = RecordReader(hub, {0: ReadRange(0, 0.0)}, lambda _kind, _reason: None)
    intake.take(0, 0, 1.0, None, watermark_record(10.0), 0.0)
    early, late = FakeSubscriber(), FakeSubscriber()
    place = {"store:12": 0}
    if followed:
        hub.attach(early, place, place, 10.0, EPOCH)
    for offset in (1, 2):
        intake.take(0, offset, 11.0, value, headers, 0.0)
    intake.take(0, 3, 12.0, None, watermark_record(12.0), 0.0)
    replay = hub.attach(late, place, place, 10.0, EPOCH)
    if not isinstance(replay, SyncRequired):
        late.send(b"".join(replay))
    for subscriber in (early, late):
        for event in subscriber.events:
            assert "\n" not in event.last_event_id + event.type
        ids = subscriber.ids()
        assert len(ids) == len(set(ids)), "an event came twice"
