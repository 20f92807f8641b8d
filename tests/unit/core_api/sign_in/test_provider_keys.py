"""Which keys of a provider's key set are of use, and for what."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from core_api.access.provider.key_set import KeyName, read_key_set
from core_api.errors import ProviderError
from server_common.limits import PROVIDER_KEYS
from tests.unit.core_api.sign_in.provider import ALL_KEYS, PRIVATE, jwk, key_set, kid_of

GOOD = jwk("ES256", kid="good")


def names(body: bytes) -> list[KeyName]:
    return list(read_key_set(body).keys)


def test_a_key_is_found_by_its_kid_and_its_only_algorithm() -> None:
    assert names(ALL_KEYS) == [KeyName(kid_of(name), name) for name in PRIVATE]


USELESS: dict[str, Any] = {
    "a secret": {"kty": "oct", "kid": "a", "k": "c2VjcmV0" * 8, "alg": "HS256"},
    "without a kid": {name: v for name, v in jwk("RS256").items() if name != "kid"},
    "for encryption": jwk("RS256", use="enc"),
    "only to sign with": jwk("RS256", key_ops=["sign"]),
    "for another algorithm": jwk("RS256", alg="RS512"),
    "for the algorithm of another kind of key": jwk("RS256", alg="ES256"),
    "for no algorithm": jwk("RS256", alg="none"),
    "for a secret's algorithm": jwk("RS256", alg="HS256"),
    "too short": jwk("RS256", rsa.generate_private_key(65537, 1024)),
    "too long": jwk("RS256") | {"n": "A" * 2000},
    "of a large exponent": jwk("RS256") | {"e": "A" * 400},
    "of another curve": {**jwk("ES256"), "crv": "P-384"},
    "of a point that is not on the curve": {**jwk("ES256"), "x": jwk("ES256")["y"]},
    "of another Edwards curve": {**jwk("EdDSA"), "crv": "Ed448"},
    "cut off": {**jwk("EdDSA"), "x": "AAAA"},
    "with a number for a text": {**jwk("EdDSA"), "x": 7},
    "no object": "key",
    "with uses that are no list": jwk("RS256", key_ops=7),
}


@pytest.mark.parametrize("which", USELESS)
def test_a_key_that_is_of_no_use_is_left_out_and_the_others_are_taken(which: str) -> None:
    found = read_key_set(key_set(USELESS[which], GOOD))
    assert list(found.keys) == [KeyName("good", "ES256")]
    assert len(found.left_out) == 1


def test_what_is_private_in_a_key_set_is_not_taken() -> None:
    private = jwk("ES256") | {"d": "AAAA"}
    (key,) = read_key_set(key_set(private)).keys.values()
    assert not hasattr(key, "private_numbers")


def test_of_two_keys_with_one_name_the_first_counts() -> None:
    other = jwk("ES256", ec.generate_private_key(ec.SECP256R1()), kid="good")
    (key,) = read_key_set(key_set(GOOD, other)).keys.values()
    (first,) = read_key_set(key_set(GOOD)).keys.values()
    assert key.public_numbers() == first.public_numbers()


def test_a_key_set_may_have_so_many_keys_and_no_more() -> None:
    many = [{**GOOD, "kid": f"k{number}"} for number in range(PROVIDER_KEYS)]
    assert len(names(key_set(*many))) == PROVIDER_KEYS
    with pytest.raises(ProviderError, match="more than 64"):
        names(key_set(*many, GOOD))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"\xff", b"[" * 100_000, b"<html>"],
)
def test_what_is_no_key_set_is_refused(body: bytes) -> None:
    with pytest.raises(ProviderError):
        read_key_set(body)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.lists(json_values, max_size=3), st.sampled_from(sorted(jwk("RS256"))), json_values)
def test_whatever_stands_in_a_key_set_a_good_key_beside_it_is_taken(
    others: list[Any], member: str, value: Any
) -> None:
    spoilt = {**jwk("RS256"), member: value}
    assert KeyName("good", "ES256") in names(json.dumps({"keys": [*others, spoilt, GOOD]}).encode())
