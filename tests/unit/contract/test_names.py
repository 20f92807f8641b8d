"""Channels, seqs, event ids and cursors: one spelling each, and nothing else is read."""

from __future__ import annotations

import string
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.channel import (
    MAX_SEQ,
    Channel,
    event_id,
    parse_channel,
    parse_event_id,
    parse_seq,
)
from client_sdk.contract.cursor import MAX_CHANNELS, format_cursor, parse_cursor
from client_sdk.contract.errors import ChannelError, CursorError

ids = st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=64)
channels = st.one_of(
    st.builds(Channel, st.just("store"), ids), st.builds(Channel, st.just("table"), ids, ids)
)
seqs = st.integers(0, MAX_SEQ)
cursors = st.dictionaries(channels.map(str), seqs, max_size=20)

HOSTILE_IDS = [
    "",
    "a" * 65,
    "12\n",
    "\n12",
    "12\r",
    "12 ",
    " 12",
    "1/2",
    "1@2",
    "1,2",
    "1:2",
    "1\x002",
    "é",
    "１２",
    "٣",
    "a\u2028",
    "a\u0085",
    "\ud800",
    "*",
    "%31",
]


@given(channels)
def test_a_channel_is_read_back_from_its_name(channel: Channel) -> None:
    assert parse_channel(str(channel)) == channel


@given(st.text())
def test_any_text_is_a_channel_in_its_one_spelling_or_is_refused(text: str) -> None:
    try:
        channel = parse_channel(text)
    except ChannelError:
        return
    assert str(channel) == text


@pytest.mark.parametrize("bad", HOSTILE_IDS, ids=ascii)
def test_an_id_with_any_other_character_or_length_is_no_store_and_no_table(bad: str) -> None:
    for text in (f"store:{bad}", f"table:{bad}/5", f"table:12/{bad}"):
        with pytest.raises(ChannelError):
            parse_channel(text)


@pytest.mark.parametrize(
    "text",
    ["", "12", "store", ":12", "Store:12", "store:12/5", "table:12", "table:12/5/6", "shop:12",
     " store:12", "store:12\n", "store::12", "store:12,store:13"],
    ids=ascii,
)  # fmt: skip
def test_a_name_of_another_shape_is_no_channel(text: str) -> None:
    with pytest.raises(ChannelError):
        parse_channel(text)


def test_the_longest_and_the_oddest_permitted_ids_are_read() -> None:
    assert parse_channel(f"store:{'a' * 64}").store_id == "a" * 64
    assert parse_channel("table:.-_/-").table_id == "-"


def test_a_refusal_shows_foreign_text_escaped_and_short() -> None:
    with pytest.raises(ChannelError) as short:
        parse_channel("store:\n\x1b[31m‮")
    assert str(short.value).isascii()
    assert str(short.value).isprintable()
    with pytest.raises(ChannelError) as long:
        parse_channel("x" * 100_000)
    assert len(str(long.value)) < 400


def test_channels_sort_as_their_parts_do_and_can_stand_in_sets() -> None:
    assert Channel("store", "1") in {parse_channel("store:1")}
    assert sorted([Channel("table", "1", "2"), Channel("store", "9")])[0].kind == "store"


@given(seqs)
def test_a_seq_is_read_back_from_its_digits(seq: int) -> None:
    assert parse_seq(str(seq)) == seq


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1.0", "1e3", "0x1", "1_000", " 1", "1 ", "1\n", "\n1", "١", "１", "²", "Ⅷ",
     str(MAX_SEQ + 1), "9" * 20, "9" * 5000, "1\x00", "NaN"],
    ids=lambda text: ascii(text)[:20],
)  # fmt: skip
def test_anything_but_ascii_digits_up_to_the_largest_seq_is_no_seq(text: str) -> None:
    with pytest.raises(CursorError):
        parse_seq(text)
    with pytest.raises(CursorError):
        parse_event_id(f"store:12@{text}")


@given(channels.map(str), seqs)
def test_an_event_id_is_read_back_from_its_text(channel: str, seq: int) -> None:
    assert parse_event_id(event_id(channel, seq)) == (channel, seq)


@pytest.mark.parametrize(
    "text",
    ["", "@", "@1", "store:12", "store:12@", "12@1", "store:12@1@2", "store:12@1,", "store:12 @1",
     "store:12@1\n", "store:12\n@1", "store:12@1\x00", "table:12@1", "store:12@１"],
    ids=ascii,
)  # fmt: skip
def test_a_text_of_another_shape_is_no_event_id(text: str) -> None:
    with pytest.raises(CursorError):
        parse_event_id(text)


@given(cursors)
def test_a_cursor_is_read_back_from_its_text(cursor: dict[str, int]) -> None:
    assert parse_cursor(format_cursor(cursor)) == cursor


@given(cursors, st.randoms(use_true_random=False))
def test_a_cursor_has_one_spelling_however_it_was_filled(
    cursor: dict[str, int], chance: Random
) -> None:
    pairs = list(cursor.items())
    chance.shuffle(pairs)
    assert format_cursor(dict(pairs)) == format_cursor(cursor)


@given(st.text(alphabet="store:table/12@,\n٣ ", max_size=60))
def test_any_text_is_a_cursor_or_is_refused_as_one(text: str) -> None:
    try:
        cursor = parse_cursor(text)
    except CursorError:
        return
    assert parse_cursor(format_cursor(cursor)) == cursor
    assert all(seq >= 0 for seq in cursor.values())


def test_the_empty_text_is_the_empty_cursor() -> None:
    assert parse_cursor("") == {}
    assert format_cursor({}) == ""


def test_a_cursor_is_written_as_the_protocol_shows_it() -> None:
    assert format_cursor({"store:15": 77, "store:12": 482}) == "store:12@482,store:15@77"


@pytest.mark.parametrize(
    "text",
    [",", "store:12@1,", ",store:12@1", "store:12@1,,store:13@1", "store:12@1, store:13@1",
     "store:12@1;store:13@1", "store:12@1\n", "store:12@1,store:13", "12", "store:12@-1",
     "store:12@٣", "store:12@1,table:12@1"],
    ids=ascii,
)  # fmt: skip
def test_a_malformed_cursor_is_refused_whole(text: str) -> None:
    with pytest.raises(CursorError):
        parse_cursor(text)


def test_a_cursor_that_names_a_channel_twice_is_refused_even_with_the_same_seq() -> None:
    with pytest.raises(CursorError, match="store:12 twice"):
        parse_cursor("store:12@1,store:12@1")


def test_a_cursor_names_five_hundred_channels_and_not_one_more() -> None:
    full = {f"store:{n}": n for n in range(MAX_CHANNELS)}
    assert parse_cursor(format_cursor(full)) == full
    with pytest.raises(CursorError, match="more than 500"):
        parse_cursor(format_cursor(full | {"store:more": 1}))


def test_a_huge_cursor_is_refused_without_reading_all_of_it() -> None:
    with pytest.raises(CursorError, match="more than 500"):
        parse_cursor("x," * 1_000_000)
