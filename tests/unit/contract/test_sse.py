"""Server-sent events: the parser against the specification, however the bytes are split.

Source: WHATWG HTML, 9.2.4 to 9.2.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client_sdk.contract.errors import FrameError
from client_sdk.contract.sse import SseEvent, SseParser, encode_frame

BOM = b"\xef\xbb\xbf"


def parse(*chunks: bytes, limit: int = 1 << 20) -> list[tuple[str, str, str]]:
    parser = SseParser(limit)
    return [
        (event.type, event.data, event.last_event_id)
        for chunk in chunks
        for event in parser.feed(chunk)
    ]


def message(data: str, last_event_id: str = "") -> tuple[str, str, str]:
    return ("message", data, last_event_id)


# What the specification says, case by case: the stream, and the events that it dispatches.
CASES: dict[str, tuple[bytes, list[tuple[str, str, str]]]] = {
    "an event of one line": (b"data: a\n\n", [message("a")]),
    "lines are joined by one LF": (b"data: a\ndata: b\n\n", [message("a\nb")]),
    "one space after the colon is dropped": (b"data:a\n\n", [message("a")]),
    "only one space is dropped": (b"data:  a\n\n", [message(" a")]),
    "a tab is not dropped": (b"data:\ta\n\n", [message("\ta")]),
    "spaces at the end stay": (b"data: a \n\n", [message("a ")]),
    "later colons are text": (b"data: a:b: c\n\n", [message("a:b: c")]),
    "a field without a colon is empty": (b"data\n\n", [message("")]),
    "two empty data lines are one LF": (b"data\ndata\n\n", [message("\n")]),
    "an empty data line is an event": (b"data:\n\n", [message("")]),
    "an event without data is none": (b"event: x\n\n", []),
    "its type does not stay": (b"event: x\n\ndata: a\n\n", [message("a")]),
    "its id stays": (b"id: 7\n\ndata: a\n\n", [message("a", "7")]),
    "the type is for one event": (
        b"event: x\ndata: a\n\ndata: b\n\n", [("x", "a", ""), message("b")]),
    "the last type counts": (b"event: x\nevent: y\ndata: a\n\n", [("y", "a", "")]),
    "an empty type is a message": (b"event: x\nevent:\ndata: a\n\n", [message("a")]),
    "the id stays until another comes": (
        b"id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n",
        [message("a", "1"), message("b", "1"), message("c", "2")]),
    "an empty id is an id": (
        b"id: 1\ndata: a\n\nid\ndata: b\n\n", [message("a", "1"), message("b")]),
    "an id with NUL is ignored": (b"id: 1\nid: 2\x003\ndata: a\n\n", [message("a", "1")]),
    "a comment is ignored": (b": hello\ndata: a\n:\n\n", [message("a")]),
    "a comment alone is no event": (b": ping\n\n: ping\n\n", []),
    "unknown fields are ignored": (b"dat: x\ndatas: y\nfoo\ndata: a\n\n", [message("a")]),
    "names are case-sensitive": (b"Data: x\nDATA: y\ndata: a\n\n", [message("a")]),
    "a name with a space is unknown": (b" data: x\ndata : y\ndata: a\n\n", [message("a")]),
    "CR ends a line": (b"data: a\rdata: b\r\r", [message("a\nb")]),
    "CRLF ends one line, not two": (b"data: a\r\ndata: b\r\n\r\n", [message("a\nb")]),
    "line ends may be mixed": (b"data: a\r\ndata: b\rdata: c\n\r\n", [message("a\nb\nc")]),
    "LF CR is two line ends": (b"data: a\n\rdata: b\n\n", [message("a"), message("b")]),
    "many empty lines are nothing": (b"\n\n\r\r\n\ndata: a\n\n\n\n", [message("a")]),
    "a byte order mark is dropped": (BOM + b"data: a\n\n", [message("a")]),
    "only one is": (BOM + BOM + b"data: a\n\ndata: b\n\n", [message("b")]),
    "only at the start": (b"data: a\n\n" + BOM + b"data: b\n\n", [message("a")]),
    "within data it is text": (b"data: " + BOM + b"a\n\n", [message("﻿a")]),
    "half a byte order mark is no mark": (b"\xef\xbbdata: x\ndata: a\n\n", [message("a")]),
    "an unfinished event is never dispatched": (b"data: a\n\ndata: b\n", [message("a")]),
    "an unfinished line neither": (b"data: a\n\ndata: b\n\nda", [message("a"), message("b")]),
    "U+2028, U+2029 and U+0085 are text": (
        "data: a\u2028b\u2029c\u0085d\n\n".encode(), [message("a\u2028b\u2029c\u0085d")]),
    "VT, FF, FS, GS and RS are text": (
        b"data: a\x0bb\x0cc\x1cd\x1de\x1ef\n\n", [message("a\x0bb\x0cc\x1cd\x1de\x1ef")]),
    "NUL in data is text": (b"data: a\x00b\n\n", [message("a\x00b")]),
    "bytes that are not UTF-8 are replaced": (b"data: a\xffb\n\n", [message("a�b")]),
    "emoji": ("data: 🍜\n\n".encode(), [message("🍜")]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_specification_holds(name: str) -> None:
    stream, events = CASES[name]
    assert parse(stream) == events


@pytest.mark.parametrize("name", CASES)
def test_it_holds_byte_by_byte_and_for_each_split_in_two(name: str) -> None:
    stream, events = CASES[name]
    assert parse(*(stream[i : i + 1] for i in range(len(stream)))) == events
    for cut in range(len(stream) + 1):
        assert parse(stream[:cut], stream[cut:]) == events
        assert parse(stream[:cut], b"", stream[cut:], b"") == events


pieces = st.lists(
    st.sampled_from(
        [b"data", b"id", b"event", b"retry", b":", b" ", b"\r", b"\n", b"\r\n", b"a", b"7", BOM,
         b"\xef", b"\xbb", b"\xbf", b"\x00", "\u2028".encode(), "\u0085".encode(), b"\xf0\x9f"]
    ),
    max_size=40,
)  # fmt: skip


def whole(stream: bytes) -> list[SseEvent]:
    """The specification read literally, over a stream that is all there: the parser's model."""
    text = stream.decode("utf-8", "replace").removeprefix("﻿")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]
    events, data, kind, last_id = [], "", "", ""
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                events.append(SseEvent(kind or "message", data.removesuffix("\n"), last_id))
            data, kind = "", ""
        elif name == "data":
            data += value + "\n"
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last_id = value
    return events


@given(pieces, st.lists(st.integers(0, 200), max_size=8))
@example([b"\r", b"\n", b"data", b"\r", b"\n", b"\r", b"\n"], [1, 6])
def test_any_stream_in_any_split_gives_what_the_specification_gives(
    parts: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(parts)
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parser = SseParser()
    events: list[SseEvent] = []
    for start, end in pairwise(bounds):
        events += parser.feed(stream[start:end])
    assert events == whole(stream)


@pytest.mark.parametrize(
    ("stream", "milliseconds"),
    [
        (b"retry: 2213\n", 2213),
        (b"retry:0\n", 0),
        (b"retry: 1\nretry: 2\n", 2),
        (b"retry: 5\nretry: x\n", 5),
        (b"retry\n", None),
        (b"retry: -1\n", None),
        (b"retry: 1.5\n", None),
        (b"retry: 1 \n", None),
        (b"retry:  1\n", None),
        (b"retry: \xd9\xa1\n", None),
        (b"retry: 1_0\n", None),
        (b"retry: " + b"9" * 5000 + b"\n", None),
        (b"retry: 7", None),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_only_ascii_digits_set_the_reconnection_time(
    stream: bytes, milliseconds: int | None
) -> None:
    parser = SseParser()
    assert parser.feed(stream) == []
    assert parser.reconnection_time_ms == milliseconds


def endless(unit: bytes) -> Sequence[bytes]:
    return [unit] * 101


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 200],
        [b"data: " + b"x" * 200 + b"\n"],
        [b": " + b"x" * 200 + b"\n"],
        [b"id: " + b"x" * 200 + b"\n"],
        endless(b"x"),
        endless(b"data: x\n"),
        endless(b"data\n"),
        [b"data: " + b"x" * 60 + b"\n", b"data: " + b"y" * 60 + b"\n"],
    ],
    ids=["an unfinished line", "a line", "a comment", "an id", "a line in pieces",
         "lines without an end", "empty lines without an end", "an event of two lines"],
)  # fmt: skip
def test_a_line_or_an_event_over_the_limit_is_refused(chunks: Sequence[bytes]) -> None:
    with pytest.raises(FrameError):
        parse(*chunks, limit=100)
    with pytest.raises(FrameError):
        parse(b"".join(chunks), limit=100)


def test_an_event_at_the_limit_is_read_and_events_do_not_add_up() -> None:
    line = b"data:" + b"x" * 94
    assert len(parse(*[line + b"\n\n"] * 50, limit=100)) == 50
    assert len(parse((line + b"\n\n") * 50, limit=100)) == 50


@given(
    st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])),
    st.none() | st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])),
)
def test_what_is_written_is_read_back(kind: str, data: str, event_id: str | None) -> None:
    frame = encode_frame(kind, data.encode(), event_id)
    assert parse(frame) == [(kind, data, event_id or "")]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\ndata: forged\n\n"], ids=ascii)
def test_no_line_end_can_be_smuggled_into_a_frame(end: str) -> None:
    with pytest.raises(FrameError):
        encode_frame(f"x{end}", b"{}", "1")
    with pytest.raises(FrameError):
        encode_frame(f"x{end}", b"{}")
    with pytest.raises(FrameError):
        encode_frame("x", b"{}", f"1{end}")
    with pytest.raises(FrameError):
        encode_frame("x", f"{{{end}}}".encode(), "1")


def test_a_frame_stands_on_the_wire_as_the_protocol_shows_it() -> None:
    frame = encode_frame("order.placed", b'{"seq":483}', "store:12@483")
    assert frame == b'id: store:12@483\nevent: order.placed\ndata: {"seq":483}\n\n'
    assert encode_frame("bye", b"{}") == b"event: bye\ndata: {}\n\n"
