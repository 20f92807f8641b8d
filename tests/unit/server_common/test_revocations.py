"""Who is signed out by a list of revocations, and for how long."""

from __future__ import annotations

import pytest

from client_sdk.contract.errors import RecordError
from server_common.revocations.holders import Holder, Revocations
from server_common.revocations.records import (
    MAX_RECORD_BYTES,
    Revocation,
    RevocationKind,
    decode_revocation,
    encode_revocation,
    key_of,
)

ANN = Holder(key_of("token", "t1"), key_of("session", "s1"), "ann", 100)


def listed(*revocations: Revocation) -> Revocations:
    found = Revocations()
    for one in revocations:
        found.add(one)
    return found


@pytest.mark.parametrize(
    "revocation",
    [
        Revocation("token", key_of("token", "t1")),
        Revocation("session", key_of("session", "s1")),
        Revocation("subject", "ann", 100),
        Revocation("subject", "ann", 5000),
    ],
)
def test_a_holder_is_signed_out_by_token_session_and_subject(revocation: Revocation) -> None:
    assert listed(revocation).cover(ANN)


@pytest.mark.parametrize(
    "revocation",
    [
        Revocation("token", key_of("token", "t2")),
        Revocation("token", key_of("token", "s1")),
        Revocation("session", key_of("session", "t1")),
        Revocation("session", key_of("session", "")),
        Revocation("subject", "ann", 99),
        Revocation("subject", "bo", 5000),
    ],
)
def test_nobody_else_is(revocation: Revocation) -> None:
    assert not listed(revocation).cover(ANN)


def test_a_token_without_a_session_is_not_signed_out_with_one() -> None:
    assert not listed(Revocation("session", key_of("session", "s1"))).cover(
        Holder(ANN.token, "", "ann", 100)
    )


def test_a_token_that_does_not_say_when_it_was_made_counts_as_made_before() -> None:
    assert listed(Revocation("subject", "ann", 1)).cover(Holder("t", "", "ann", 0))


def test_of_two_moments_the_later_one_counts() -> None:
    for first, second in ((100, 50), (50, 100)):
        found = listed(Revocation("subject", "ann", first), Revocation("subject", "ann", second))
        assert found.cover(ANN)


def test_what_may_be_forgotten_is_forgotten_and_nothing_else() -> None:
    found = Revocations()
    found.add(Revocation("token", "a"), 10.0)
    found.add(Revocation("token", "b"))
    found.add(Revocation("subject", "ann", 100), 10.0)
    found.add(Revocation("subject", "bo", 100), 10.0)
    found.add(Revocation("subject", "bo", 50))
    found.forget(9.9)
    assert len(found) == 4
    found.forget(10.0)
    assert not found.cover(Holder("a", "", "ann", 100))
    assert found.cover(Holder("b", "", "x", 0))
    assert found.cover(Holder("c", "", "bo", 100))


@pytest.mark.parametrize("kind", ["token", "session"])
def test_a_name_is_not_told_but_its_hash(kind: RevocationKind) -> None:
    record = encode_revocation(Revocation(kind, key_of(kind, "very-secret")))
    assert b"very-secret" not in record
    assert decode_revocation(record) == Revocation(kind, key_of(kind, "very-secret"))


@pytest.mark.parametrize(
    "value",
    [None, b"", b"{}", b"[]", b'{"kind":"all","key":"x"}', b"\xff", b"[" * 4000,
     b'{"kind":"token","key":"' + b"x" * MAX_RECORD_BYTES + b'"}'],
)  # fmt: skip
def test_a_record_that_is_not_ours_is_refused(value: bytes | None) -> None:
    with pytest.raises(RecordError):
        decode_revocation(value)


def test_a_name_may_hold_any_text() -> None:
    assert key_of("token", "\ud800") != key_of("token", "\ud801")
