"""Of a provider's tokens only those count that one of its keys has signed for us, until they
expire."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from client_sdk.contract.text import is_text
from core_api.access.callers import Caller
from core_api.access.provider.tokens import is_for_provider
from core_api.access.sign_in import SignIn
from core_api.access.tokens import TokenKeys
from core_api.errors import (
    CoreError,
    ForbiddenError,
    ProviderKeysUnknownError,
    UnauthorizedError,
    UnavailableError,
)
from tests.unit.core_api.sign_in.provider import (
    ALL_KEYS,
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    PRIVATE,
    AProvider,
    by_hand,
    jwk,
    key_set,
    signed,
)

ANN = Caller("oidc:ann", "owner", frozenset({"12"}))
PROVIDER = AProvider()
OWN = TokenKeys({"own": b"o" * 32}, "own", PROVIDER.clock)
SIGN_IN = SignIn(OWN, PROVIDER.tokens)


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_a_token_that_the_provider_has_signed_says_who_holds_it(algorithm: str) -> None:
    assert SIGN_IN.verify(signed(CLAIMS, algorithm)) == ANN


def test_our_own_tokens_are_good_beside_the_provider_s() -> None:
    own = Caller("o", "owner", frozenset({"1"}))
    assert SIGN_IN.verify(OWN.sign(own, 60)) == own


def test_an_audience_among_several_is_enough() -> None:
    assert SIGN_IN.verify(signed({**CLAIMS, "aud": ["other", AUDIENCE]})) == ANN


REFUSED: dict[str, dict[str, Any]] = {
    "of another issuer": {"iss": "https://elsewhere.example"},
    "of an issuer that only begins alike": {"iss": f"{ISSUER}.evil.example"},
    "of no issuer": {"iss": None},
    "of a list of issuers": {"iss": [ISSUER]},
    "for another audience": {"aud": "elsewhere"},
    "for an audience that only begins alike": {"aud": f"{AUDIENCE}-test"},
    "for none": {"aud": []},
    "expired": {"exp": int(NOW)},
    "without an end": {"exp": None},
    "with an end that is no number": {"exp": "2099"},
    "not valid yet": {"nbf": int(NOW) + 3600},
    "made in an hour": {"iat": int(NOW) + 3600},
    "an ID token": {"typ": "ID"},
    "an ID token that came with an access token": {"at_hash": "x"},
    "a logout token": {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
    "a logout token by its type": {"typ": "Logout"},
    "of no subject": {"sub": None},
    "of a subject that is no text": {"sub": 7},
}


@pytest.mark.parametrize("which", REFUSED)
def test_a_token_that_is_not_for_us_now_is_refused(which: str) -> None:
    claims = {name: v for name, v in {**CLAIMS, **REFUSED[which]}.items() if v is not None}
    with pytest.raises(UnauthorizedError):
        SIGN_IN.verify(signed(claims))


def test_a_provider_s_clock_may_be_a_minute_ahead() -> None:
    for claim in ("nbf", "iat"):
        assert SIGN_IN.verify(signed({**CLAIMS, claim: int(NOW) + 50})) == ANN


@pytest.mark.parametrize("said", ["logout+jwt", "Logout+JWT", "application/logout+jwt"])
def test_a_logout_token_is_no_access_token_whatever_its_claims_are(said: str) -> None:
    with pytest.raises(UnauthorizedError, match="send the access token"):
        SIGN_IN.verify(signed(CLAIMS, typ=said))


@pytest.mark.parametrize("said", ["JWT", "at+jwt"])
def test_an_access_token_may_say_that_it_is_one(said: str) -> None:
    assert SIGN_IN.verify(signed({**CLAIMS, "typ": "Bearer"}, typ=said)) == ANN


def test_a_token_that_is_remembered_expires_all_the_same() -> None:
    provider = AProvider()
    token = signed(CLAIMS)
    provider.tokens.verify(token)
    provider.clock.now = CLAIMS["exp"]
    for _ in range(2):
        with pytest.raises(UnauthorizedError, match="expired"):
            provider.tokens.verify(token)


def test_a_token_that_is_remembered_is_good_no_longer_once_its_key_is_gone() -> None:
    provider = AProvider()
    token = signed(CLAIMS)
    provider.tokens.verify(token)
    provider.publish(key_set(jwk("ES256")))
    with pytest.raises(ProviderKeysUnknownError):
        provider.tokens.verify(token)


def public_bytes(algorithm: str) -> list[bytes]:
    """A public key in the forms in which a verifier may have it at hand."""
    public = PRIVATE[algorithm].public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return [pem, pem.strip(), json.dumps(jwk(algorithm)).encode(), ALL_KEYS]


@pytest.mark.parametrize("algorithm", PRIVATE)
@pytest.mark.parametrize("hashing", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_secret_to_sign_with(algorithm: str, hashing: str) -> None:
    for secret in public_bytes(algorithm):
        header = {"alg": hashing, "kid": f"key-{algorithm}", "typ": "JWT"}
        unsigned = by_hand(header, CLAIMS, b"").rpartition(".")[0]
        mac = hmac.digest(secret, unsigned.encode(), hashing.replace("HS", "sha"))
        forged = by_hand(header, CLAIMS, mac)
        for verify in (SIGN_IN.verify, PROVIDER.tokens.verify):
            with pytest.raises((UnauthorizedError, UnavailableError)):
                verify(forged)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 7, ["RS256"]])
def test_an_unsigned_token_is_refused(algorithm: Any) -> None:
    for kid in ("key-RS256", "own"):
        with pytest.raises(UnauthorizedError):
            SIGN_IN.verify(by_hand({"alg": algorithm, "kid": kid}, CLAIMS, b""))


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_a_key_signs_by_its_own_algorithm_only(algorithm: str) -> None:
    token = jwt.encode(CLAIMS, PRIVATE["RS256"], algorithm, {"kid": "key-RS256"})
    with pytest.raises(UnauthorizedError):
        SIGN_IN.verify(token)


def test_a_key_is_not_found_by_the_algorithm_of_another() -> None:
    header = {"alg": "ES256", "kid": "key-RS256"}
    provider = AProvider()
    with pytest.raises(ProviderKeysUnknownError):
        provider.tokens.verify(by_hand(header, CLAIMS, b"x" * 64))


def test_a_header_that_demands_what_we_do_not_know_is_refused() -> None:
    with pytest.raises(UnauthorizedError):
        SIGN_IN.verify(signed(CLAIMS, crit=["b64"], b64=True))


def test_a_key_that_stands_in_the_token_itself_counts_for_nothing() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    head = {"jwk": jwk("ES256", key), "jku": "https://evil.example/keys"}
    with pytest.raises(UnauthorizedError):
        PROVIDER.tokens.verify(signed(CLAIMS, "ES256", key, **head))


def test_a_token_without_a_role_of_ours_is_forbidden_and_says_which_claim() -> None:
    with pytest.raises(ForbiddenError, match="/roles"):
        SIGN_IN.verify(signed({**CLAIMS, "roles": ["guest"]}))


def test_without_a_provider_its_tokens_are_strangers() -> None:
    with pytest.raises(UnauthorizedError):
        SignIn(OWN).verify(signed(CLAIMS))


def test_a_token_that_is_too_long_is_refused_unread() -> None:
    with pytest.raises(UnauthorizedError):
        SIGN_IN.verify(signed({**CLAIMS, "more": "x" * 10_000}))
    assert not is_for_provider("x" * 100_000)


GOOD_TOKENS = [signed(CLAIMS, algorithm) for algorithm in PRIVATE]


@given(st.sampled_from(GOOD_TOKENS), st.data())
def test_a_token_that_differs_in_what_is_signed_is_refused(token: str, data: Any) -> None:
    signed_part = token.rpartition(".")[0]
    at = data.draw(st.integers(0, len(signed_part) - 1))
    character = data.draw(st.characters(codec="ascii"))
    changed = token[:at] + character + token[at + 1 :]
    if changed == token:
        return
    with pytest.raises(CoreError):
        AProvider().tokens.verify(changed)


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x5c"]),
                    st.none() | st.text(max_size=8) | st.integers() | st.lists(st.text(max_size=3))
                    | st.sampled_from(["RS256", "HS256", "none", "key-RS256", "own"])),
    st.dictionaries(st.sampled_from(sorted(CLAIMS)), st.integers() | st.text() | st.just(ISSUER)),
    st.binary(max_size=300),
)  # fmt: skip
@settings(max_examples=300)
def test_whatever_is_shown_for_a_token_is_refused_by_an_error_of_ours(
    header: dict[str, Any], claims: dict[str, Any], signature: bytes
) -> None:
    with pytest.raises((UnauthorizedError, ProviderKeysUnknownError)):
        SIGN_IN.verify(by_hand(header, {**CLAIMS, **claims}, signature))


@given(
    st.sampled_from(["sub", "sid", "jti", "stores", "roles", "brand"]),
    st.text(st.characters(exclude_categories=[]), max_size=9)
    | st.sampled_from(["\ud800", "\0", "12\0", "²"]),
)
@example("sub", "\ud800")
@example("sid", "\ud800")
@example("jti", "\ud800")
@example("stores", "\ud800")
@settings(max_examples=60, deadline=None)
def test_any_text_in_a_signed_claim_is_of_its_grammar_or_refused(claim: str, odd: str) -> None:
    value = [odd] if claim in ("stores", "roles") else odd
    try:
        caller = SIGN_IN.verify(signed({**CLAIMS, claim: value}, "EdDSA"))
    except (UnauthorizedError, ForbiddenError):
        return
    named = [caller.subject, caller.session, caller.token, caller.brand or "", *caller.stores]
    assert all(map(is_text, named))


@given(st.text(st.characters(exclude_categories=[]), max_size=200))
def test_any_text_is_refused_by_an_error_of_ours(text: str) -> None:
    with pytest.raises(UnauthorizedError):
        SIGN_IN.verify(text)


def test_two_signatures_of_one_text_are_one_token_to_revoke() -> None:
    # Whoever has an ECDSA signature (r, s) also has (r, order - s).
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    token = signed(CLAIMS, "ES256")
    text, _, signature = token.rpartition(".")
    raw = urlsafe_b64decode(signature + "==")
    other = order - int.from_bytes(raw[32:])
    twin = f"{text}.{urlsafe_b64encode(raw[:32] + other.to_bytes(32)).decode().rstrip('=')}"
    assert twin != token
    assert SIGN_IN.verify(twin).token == SIGN_IN.verify(token).token
