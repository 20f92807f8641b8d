"""The digest: the same open orders give the same digest, however they came to be so."""

from __future__ import annotations

import re
from hashlib import sha256
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.digest import EMPTY, format_digest, order_hash

orders = st.dictionaries(st.uuids().map(str), st.integers(1, 10_000), max_size=12)
digests = st.integers(0, 2**64 - 1)


def digest_of(pairs: list[tuple[str, int]]) -> int:
    digest = EMPTY
    for order_id, version in pairs:
        digest ^= order_hash(order_id, version)
    return digest


def test_the_hash_is_the_one_that_the_protocol_describes() -> None:
    expected = sha256(b"01a1fc0c-7a60-77c9-ba73-87c38a9e69f5:3").hexdigest()[:16]
    assert format_digest(order_hash("01a1fc0c-7a60-77c9-ba73-87c38a9e69f5", 3)) == expected


def test_a_known_order_has_a_known_digest() -> None:
    # Written down once, so that every client in every language can be held against it.
    assert format_digest(order_hash("order-1", 1)) == "8634de59f9b5c185"
    assert format_digest(EMPTY) == "0000000000000000"


@given(orders, st.randoms(use_true_random=False))
def test_the_order_in_which_orders_are_added_does_not_matter(
    state: dict[str, int], chance: Random
) -> None:
    pairs = list(state.items())
    chance.shuffle(pairs)
    assert digest_of(pairs) == digest_of(list(state.items()))


@given(orders, st.uuids().map(str), st.integers(1, 10_000))
def test_adding_an_order_and_taking_it_away_leaves_the_digest_as_it_was(
    state: dict[str, int], order_id: str, version: int
) -> None:
    before = digest_of(list(state.items()))
    assert before ^ order_hash(order_id, version) ^ order_hash(order_id, version) == before


@given(orders, st.data())
def test_a_step_needs_only_the_old_version_and_the_new(
    state: dict[str, int], data: st.DataObject
) -> None:
    if not state:
        return
    order_id = data.draw(st.sampled_from(sorted(state)))
    old = state[order_id]
    stepped = digest_of(list(state.items())) ^ order_hash(order_id, old)
    stepped ^= order_hash(order_id, old + 1)
    assert stepped == digest_of(list((state | {order_id: old + 1}).items()))


@given(orders, orders)
def test_other_orders_or_other_versions_give_another_digest(
    one: dict[str, int], other: dict[str, int]
) -> None:
    same = digest_of(list(one.items())) == digest_of(list(other.items()))
    assert same == (one == other)


def test_the_separator_keeps_an_id_apart_from_its_version() -> None:
    assert order_hash("a1", 1) != order_hash("a", 11)


def test_the_steps_of_two_orders_do_not_cancel_out() -> None:
    assert digest_of([("a", 1), ("b", 2)]) != digest_of([("a", 2), ("b", 1)])


@given(digests)
def test_a_digest_is_written_as_sixteen_lower_case_hex_digits(digest: int) -> None:
    text = format_digest(digest)
    assert re.fullmatch("[0-9a-f]{16}", text)
    assert int(text, 16) == digest
