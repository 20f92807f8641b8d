"""Whatever a device, a Star printer or a record of Kafka says is taken or refused by a reason.

It comes from the broker to the gateway (`take`), by Kafka to Core (`decode_said`), and back from
Core to the gateway (`decode_outbound`). What is taken holds no text that Postgres refuses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import asdict

from client_sdk.contract.text import is_id, is_mac, is_text
from event_server.mqtt_gateway.rules.incoming import refusal_of, take
from server_common.devices.messages import (
    REASONS,
    Event,
    Inbound,
    decode_outbound,
    encode,
    payload_of,
)
from server_common.devices.mqtt_topics import STAR_WORDS
from server_common.devices.star import StarSaid, StarStatus, decode_said, star_payload_of
from server_common.errors import DeviceMessageError

_T = TypeVar("_T")
HERE = "@@here@@"
MAC = "00:11:62:1d:9a:b7"
ODD = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=30),
    st.sampled_from(
        ["\0", "a\0", "\ud800", "²", "١", "9" * 5000, "a" * 65, "..", "+", "#", "a/b", "a\n", "",
         "yabam/v1", MAC.upper(), f"{MAC}/#", "\x7f", "\u2028"]
    ),
)  # fmt: skip
DEEP = [
    f"{opening * depth}1{closing * depth}"
    for opening, closing in (("[", "]"), ('{"a":', "}"))
    for depth in (60, 500, 900, 950, 970, 980, 990, 995, 1000, 1200)
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=6,
)
DEVICE = "yabam/v1/12/devices/bell"
STAR = f"star/cloudprnt/to-server/{MAC}"
TOPICS = [
    *(f"{DEVICE}/{what}" for what in ("results", "events", "received", "status", "snapshot")),
    f"{DEVICE}/telemetry/heat",
    *(f"{STAR}/{word}" for word in STAR_WORDS),
]
GOOD: dict[str, dict[str, Any]] = {
    f"{DEVICE}/results": {
        "boot": 1, "n": 2, "id": "c1", "outcome": "done", "detail": "x", "agent": "a1",
        "attempt": 1,
    },
    f"{DEVICE}/events": {"boot": 1, "n": 2, "name": "bell", "reason": "x", "more": {"a": ["b"]}},
    f"{DEVICE}/received": {"cursor": "store:12@5"},
    f"{DEVICE}/status": {
        "connection": "a", "online": True, "at": 5, "boot": 1, "firmware": "1", "troubles": ["x"],
    },
    f"{DEVICE}/snapshot": {"media_type": "image/png", "data": "iVBORw0KGgo="},
    f"{DEVICE}/telemetry/heat": {"value": "x", "unit": "C"},
    f"{STAR}/client-status": {
        "statusCode": "200 OK", "printingInProgress": False,
        "clientAction": [{"request": "Encodings", "result": "image/png"}],
    },
    f"{STAR}/print-result": {"statusCode": "200", "jobToken": "j1.1", "printSucceeded": True},
    f"{STAR}/client-will": {"title": "client-will"},
}  # fmt: skip
RECORDS: list[dict[str, Any]] = [
    {"store": "12", "device": "bell", "kind": "status", "at_ms": 5, "generation": 1,
     "payload": GOOD[f"{DEVICE}/status"]},
    {"store": "12", "device": "bell", "kind": "telemetry", "at_ms": 5, "name": "heat",
     "payload": {"value": 1}},
    {"mac": MAC, "word": "print-result", "at_ms": 5, "payload": {"jobToken": "j1.1"}},
    {"store": "12", "device": "bell", "boot": 1, "n": 2, "outcome": "refused", "problem": "x",
     "job": {"state": "sent", "attempts": 1, "repeat": False}},
    {"store": "12", "device": "star-1", "mac": MAC, "method": "print-job", "until_ms": 5,
     "fields": {"jobToken": "j1.1"}},
]  # fmt: skip


def texts(value: Any) -> Iterator[str]:
    """Every text of a message."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Struct):
        yield from texts(list(asdict(value).values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts(one)


def of(read: Callable[[], _T]) -> _T | None:
    """What this reads; None: it refuses that, by a reason that is known."""
    reason = ""
    try:
        return read()
    except DeviceMessageError as error:
        reason = error.reason
    assert reason in REASONS
    return None


def check_taken(topic: str, payload: bytes) -> bool:
    """What a device publishes is refused by a reason, or Core reads it as the gateway took it."""
    refusal_of(topic, payload, "invalid")
    taken = of(lambda: take(topic, payload, 5))
    if taken is None:
        return False
    check_said(encode(taken))
    read = decode_said(encode(taken))
    assert read == taken
    if isinstance(read, StarSaid):
        assert is_mac(read.mac)
        said: Any = star_payload_of(read.word, read.payload)
    else:
        assert is_id(read.store)
        assert is_id(read.device)
        said = payload_of(read.kind, read.payload)
    if isinstance(said, StarStatus):
        said = said.status_code  # of its other answers only the names of known media types count
    # The values of an event are checked as those of every document.
    if not isinstance(said, Event):
        assert all(map(is_text, texts(said)))
    return True


def check_said(value: bytes) -> None:
    """A record of any bytes is refused by a reason, or is a message."""
    said = of(lambda: decode_said(value))
    if isinstance(said, Inbound):
        of(lambda: payload_of(said.kind, said.payload))
    elif said is not None:
        of(lambda: star_payload_of(said.word, said.payload))


def check_outbound(value: bytes) -> None:
    """The same for the other direction."""
    found = of(lambda: decode_outbound(value))
    if found is not None:
        assert is_id(found.store)
        assert is_id(found.device)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Each value in a message, whole and in part."""
    yield at
    inner = value.items() if isinstance(value, dict) else ()
    for name, one in enumerate(value) if isinstance(value, list) else inner:
        yield from places(one, (*at, name))


def with_json(value: Any, at: tuple[Any, ...], text: str) -> bytes:
    """The message with this JSON at that place."""

    def marked(one: Any, rest: tuple[Any, ...]) -> Any:
        if not rest:
            return HERE
        inner = one.items() if isinstance(one, dict) else enumerate(one)
        found = {key: marked(it, rest[1:]) if key == rest[0] else it for key, it in inner}
        return found if isinstance(one, dict) else list(found.values())

    written = json.dumps(marked(value, at)).replace(json.dumps(HERE), text)
    return written.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("topic", TOPICS)
def test_a_good_message_is_taken(topic: str) -> None:
    assert check_taken(topic, json.dumps(GOOD[topic]).encode())


@pytest.mark.parametrize("topic", TOPICS)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), odd=JSON)
@example(data=None, odd="\0")
@example(data=None, odd="\ud800")
def test_any_json_at_any_place_of_a_message_is_taken_or_refused(
    topic: str, data: Any, odd: Any
) -> None:
    every = list(places(GOOD[topic]))
    for at in every if data is None else [data.draw(st.sampled_from(every))]:
        check_taken(topic, with_json(GOOD[topic], at, json.dumps(odd)))


@pytest.mark.parametrize("topic", TOPICS)
def test_json_that_is_nested_deep_in_a_message_is_taken_or_refused(topic: str) -> None:
    for at in [*places(GOOD[topic])]:
        for deep in DEEP:
            check_taken(topic, with_json(GOOD[topic], at, deep))
            check_taken(topic, with_json(GOOD[topic] | {"x": 1}, ("x",), deep))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TOPICS), st.integers(0, 6), ODD, st.binary(max_size=60))
@example(TOPICS[0], 2, "1\0", b"{}")
@example(TOPICS[-1], 3, "\ud800", b"{}")
def test_any_topic_is_taken_or_refused(topic: str, level: int, odd: str, payload: bytes) -> None:
    levels = topic.split("/")
    levels[min(level, len(levels) - 1)] = odd
    for published in ("/".join(levels), odd):
        check_taken(published, payload)
        check_taken(published, json.dumps(GOOD[topic]).encode())


@pytest.mark.parametrize("record", RECORDS, ids=lambda one: "-".join(map(str, one.values()))[:30])
@settings(max_examples=40, deadline=None)
@given(data=st.data(), odd=JSON)
@example(data=None, odd="\0")
@example(data=None, odd="\ud800")
@example(data=None, odd=-1)
def test_any_json_at_any_place_of_a_record_is_taken_or_refused(
    record: dict[str, Any], data: Any, odd: Any
) -> None:
    every = list(places(record))
    for at in every if data is None else [data.draw(st.sampled_from(every))]:
        value = with_json(record, at, json.dumps(odd))
        check_said(value)
        check_outbound(value)


def test_json_that_is_nested_deep_in_a_record_is_taken_or_refused() -> None:
    for record in RECORDS:
        for at in places(record):
            for deep in DEEP:
                value = with_json(record, at, deep)
                check_said(value)
                check_outbound(value)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_a_record_are_refused_by_a_reason(value: bytes) -> None:
    check_said(value)
    check_outbound(value)
