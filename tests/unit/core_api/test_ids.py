"""Names that sort by time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_api.ids import epoch_name, has_successor, next_epoch, order_id

times = st.integers(0, (1 << 48) - 1)
entropies = st.binary(min_size=10, max_size=10)


@given(times, entropies)
def test_an_epoch_is_26_characters_of_crockford_base32(unix_ms: int, entropy: bytes) -> None:
    name = epoch_name(unix_ms, entropy)
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", name)


def test_an_epoch_is_the_ulid_that_its_specification_shows() -> None:
    # https://github.com/ulid/spec: 01ARZ3NDEKTSV4RRFFQ69G5FAV
    entropy = bytes.fromhex("d6764c61efb99302bd5b")
    assert epoch_name(1469922850259, entropy) == "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    assert epoch_name((1 << 48) - 1, b"\xff" * 10) == "7" + "Z" * 25
    assert epoch_name(0, bytes(10)) == "0" * 26


@given(times, entropies, times, entropies)
def test_of_two_epochs_the_later_one_sorts_after(
    one: int, entropy: bytes, other: int, other_entropy: bytes
) -> None:
    first, second = (one, entropy), (other, other_entropy)
    assert (first < second) == (epoch_name(*first) < epoch_name(*second))


@given(times, entropies)
def test_an_order_id_is_a_uuid_of_version_7_that_holds_its_time(
    unix_ms: int, entropy: bytes
) -> None:
    made = order_id(unix_ms, entropy)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == unix_ms


def test_an_order_id_keeps_74_bits_of_entropy() -> None:
    made = order_id(0, b"\xff" * 10).int
    assert made == (0x7FFF << 64) | (0xBFFFFFFFFFFFFFFF)


@given(times, times, entropies)
def test_an_order_of_a_later_millisecond_sorts_after(one: int, other: int, entropy: bytes) -> None:
    assert (one < other) == (str(order_id(one, entropy)) < str(order_id(other, entropy)))


@pytest.mark.parametrize(
    ("unix_ms", "entropy"), [(-1, bytes(10)), (1 << 48, bytes(10)), (0, bytes(9)), (0, bytes(11))]
)
def test_a_time_or_an_entropy_of_another_size_is_refused(unix_ms: int, entropy: bytes) -> None:
    with pytest.raises(ValueError, match="entropy"):
        epoch_name(unix_ms, entropy)
    with pytest.raises(ValueError, match="entropy"):
        order_id(unix_ms, entropy)


@given(times, entropies, times, entropies)
def test_a_new_epoch_is_later_than_the_one_before_whatever_the_clock_says(
    before: int, entropy: bytes, now: int, other: bytes
) -> None:
    old = epoch_name(min(before, (1 << 48) - 2), entropy)
    new = next_epoch(old, now, other)
    assert new > old
    assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", new)


def test_a_new_epoch_has_the_clocks_time_where_that_is_later() -> None:
    assert next_epoch(epoch_name(5, bytes(10)), 9, bytes(10)) == epoch_name(9, bytes(10))
    assert next_epoch(epoch_name(9, bytes(10)), 5, bytes(10)) == epoch_name(10, bytes(10))
    assert next_epoch("", 5, bytes(10)) == epoch_name(5, bytes(10))
    with pytest.raises(ValueError, match="no name"):
        next_epoch("ZZZ", 5, bytes(10))


@given(times, entropies, times, entropies)
def test_what_has_a_successor_has_one_whatever_the_clock_says(
    before: int, entropy: bytes, now: int, other: bytes
) -> None:
    old = epoch_name(before, entropy)
    assert has_successor(old) == (before < (1 << 48) - 1)
    if has_successor(old):
        assert next_epoch(old, now, other) > old


@pytest.mark.parametrize(
    "name",
    ["", "E1", "zzzz", "~" * 26, "8" + "0" * 25, "7" + "Z" * 25, "0" * 27, "0" * 25 + "U",
     "0" * 26 + "\n"],
)  # fmt: skip
def test_what_core_never_named_has_no_successor(name: str) -> None:
    assert not has_successor(name)
