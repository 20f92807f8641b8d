"""What becomes of a token whose key is not known: neither refused too early, nor asked for too
often."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from core_api.access.provider.key_set import KeyName
from core_api.errors import ProviderKeysUnknownError, UnauthorizedError
from tests.unit.core_api.sign_in.provider import CLAIMS, AProvider, jwk, key_set, signed

NEW = KeyName("new", "ES256")


def test_before_the_keys_are_read_a_token_is_neither_good_nor_refused() -> None:
    provider = AProvider(keys=None)
    with pytest.raises(ProviderKeysUnknownError):
        provider.tokens.verify(signed(CLAIMS))
    assert provider.wanted == 1


def test_a_key_that_is_new_is_asked_for_and_then_good() -> None:
    provider = AProvider(key_set(jwk("RS256")))
    token = signed(CLAIMS, "ES256")
    with pytest.raises(ProviderKeysUnknownError):
        provider.tokens.verify(token)
    assert provider.wanted == 1
    provider.clock.now += 1
    provider.publish(key_set(jwk("RS256"), jwk("ES256")))
    assert provider.tokens.verify(token).subject == "oidc:ann"


def test_a_key_that_the_provider_lacks_when_asked_is_refused_without_asking_again() -> None:
    provider = AProvider()
    with pytest.raises(ProviderKeysUnknownError):
        provider.known.find(NEW)
    provider.clock.now += 1
    provider.publish(key_set(jwk("RS256")))
    for _ in range(5):
        with pytest.raises(UnauthorizedError):
            provider.known.find(NEW)
    assert provider.wanted == 1


def test_keys_that_were_asked_for_before_the_token_came_prove_nothing() -> None:
    provider = AProvider(keys=None)
    asked_at = provider.clock.now
    provider.clock.now += 1
    with pytest.raises(ProviderKeysUnknownError):
        provider.known.find(NEW)
    provider.known.replace({}, asked_at)
    with pytest.raises(ProviderKeysUnknownError):
        provider.known.find(NEW)


def test_a_key_that_is_published_late_is_asked_for_once_more_after_a_while() -> None:
    provider = AProvider()
    with pytest.raises(ProviderKeysUnknownError):
        provider.known.find(NEW)
    provider.clock.now += 1
    provider.publish(key_set(jwk("RS256")))
    provider.clock.now += 61
    with pytest.raises(ProviderKeysUnknownError):
        provider.known.find(NEW)
    assert provider.wanted == 2


def test_made_up_keys_keep_no_known_key_from_being_good() -> None:
    provider = AProvider()
    for number in range(3000):
        with pytest.raises(ProviderKeysUnknownError):
            provider.known.find(KeyName(f"k{number}", "ES256"))
    assert provider.tokens.verify(signed(CLAIMS)).subject == "oidc:ann"


def test_the_same_keys_once_more_void_nothing_that_was_verified_and_others_do() -> None:
    provider = AProvider(key_set(jwk("RS256"), jwk("ES256"), jwk("EdDSA")))
    before = provider.known.generation
    provider.publish(key_set(jwk("RS256"), jwk("ES256"), jwk("EdDSA")))
    assert provider.known.generation == before
    # Another key of the same name.
    other = jwk("ES256", ec.generate_private_key(ec.SECP256R1()))
    provider.publish(key_set(jwk("RS256"), other, jwk("EdDSA")))
    assert provider.known.generation == before + 1
