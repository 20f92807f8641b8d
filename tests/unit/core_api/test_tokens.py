"""Access tokens: only what one of our keys signed, only by our algorithm, only until it expires."""

from __future__ import annotations

import base64
import json
from typing import Any, get_args

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.channel import Channel
from client_sdk.contract.limits import MAX_SUBJECT_CHARS
from core_api.access import tokens
from core_api.access.callers import Caller, Role
from core_api.access.renewals import successor
from core_api.access.tokens import TokenKeys
from core_api.errors import UnauthorizedError
from server_common.access.access_tokens import AUDIENCE
from server_common.errors import SettingsError
from server_common.limits import WEBHOOK_STORES

KEY, OTHER = b"k" * 64, b"o" * 64
OWNER = Caller("owner-12", "owner", frozenset({"12", "15"}))
CLAIMS: dict[str, Any] = {"aud": AUDIENCE, "sub": "x", "role": "ops", "exp": 2000}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def ring(clock: Clock | None = None, **keys: bytes) -> TokenKeys:
    keys = keys or {"a": KEY}
    return TokenKeys(keys, next(iter(keys)), clock or Clock())


def made(claims: dict[str, Any], key: bytes = KEY, algorithm: str = "HS256", **header: Any) -> str:
    return jwt.encode(claims, key, algorithm, {"kid": "a"} | header)


def b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "caller",
    [
        OWNER,
        Caller("all", "owner", frozenset({"*"})),
        Caller("p", "producer", frozenset({"12"})),
        Caller("t", "table", table=Channel("table", "12", "5")),
        Caller("ops", "ops"),
        Caller("김 🍜 \u2028", "owner"),
    ],
)
def test_a_token_says_who_it_was_made_for(caller: Caller) -> None:
    keys = ring()
    token = keys.sign(caller, 60)
    assert keys.verify(token) == caller
    assert keys.verify(token) == caller


@pytest.mark.parametrize(
    ("iat", "issued_at"),
    [
        (900, 900),
        (900.0, 900),
        (900.75, 900),
        (1000.5, 1000),
        (1500, 1000),
        (10**30, 1000),
        (-1, -1),
    ],
)
def test_a_token_was_issued_at_any_number_of_seconds_but_never_later_than_now(
    iat: float, issued_at: int
) -> None:
    assert ring().verify(made(CLAIMS | {"iat": iat})).issued_at == issued_at


@pytest.mark.parametrize("iat", [float("nan"), float("inf"), float("-inf"), "900", True, 10**400])
def test_a_token_whose_time_of_issue_is_no_finite_number_is_refused(iat: Any) -> None:
    with pytest.raises(UnauthorizedError, match="not a valid JWT"):
        ring().verify(made(CLAIMS | {"iat": iat}))


def test_a_token_of_the_most_stores_of_a_webhook_is_good_whatever_their_names() -> None:
    stores = frozenset(f"{n:064}" for n in range(WEBHOOK_STORES))
    caller = Caller("용" * MAX_SUBJECT_CHARS, "owner", stores, signed_in_at=999)
    keys = ring()
    assert keys.verify(keys.sign(caller, 60)).stores == stores


def test_a_token_is_good_until_the_second_it_expires() -> None:
    clock = Clock()
    keys = ring(clock)
    token = keys.sign(OWNER, 60)
    clock.now = 1059.9
    assert keys.verify(token) == OWNER
    clock.now = 1060.0
    with pytest.raises(UnauthorizedError, match="expired"):
        keys.verify(token)


def test_a_token_that_is_remembered_expires_all_the_same() -> None:
    clock = Clock()
    keys = ring(clock)
    token = keys.sign(OWNER, 60)
    keys.verify(token)
    clock.now = 1060.0
    for _ in range(3):
        with pytest.raises(UnauthorizedError, match="expired"):
            keys.verify(token)


def test_only_our_own_clock_counts() -> None:
    # The machine's wall clock is far beyond 2000 s after 1970 and far before the year 10000.
    assert ring().verify(made(CLAIMS)).role == "ops"
    clock = Clock()
    clock.now = 300_000_000_000.0
    keys = ring(clock)
    assert keys.verify(keys.sign(OWNER, 60)) == OWNER


def test_keys_rotate_without_a_token_being_refused() -> None:
    old, learning = ring(a=KEY), ring(a=KEY, b=OTHER)
    signing, forgotten = ring(b=OTHER, a=KEY), ring(b=OTHER)
    assert learning.verify(old.sign(OWNER, 60)) == OWNER
    assert learning.verify(signing.sign(OWNER, 60)) == OWNER
    assert signing.verify(learning.sign(OWNER, 60)) == OWNER
    assert forgotten.verify(signing.sign(OWNER, 60)) == OWNER
    with pytest.raises(UnauthorizedError, match="key"):
        forgotten.verify(old.sign(OWNER, 60))


def test_a_token_of_another_key_is_refused_even_under_our_kid() -> None:
    with pytest.raises(UnauthorizedError):
        ring(a=KEY).verify(ring(a=OTHER).sign(OWNER, 60))
    with pytest.raises(UnauthorizedError):
        ring(a=KEY, b=OTHER).verify(made(CLAIMS, OTHER))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_a_token_without_a_signature_is_refused(algorithm: str) -> None:
    header = b64({"alg": algorithm, "kid": "a", "typ": "JWT"})
    for signature in ("", b64(b"x")):
        with pytest.raises(UnauthorizedError):
            ring().verify(f"{header}.{b64(CLAIMS)}.{signature}")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused_even_under_our_key(algorithm: str) -> None:
    with pytest.raises(UnauthorizedError):
        ring().verify(made(CLAIMS, algorithm=algorithm))


def test_a_header_that_claims_another_algorithm_than_it_was_signed_with_is_refused() -> None:
    _, payload, signature = made(CLAIMS).split(".")
    for algorithm in ("RS256", "ES256", "HS512", "hs256", "", None, 5, ["HS256"]):
        header = b64({"alg": algorithm, "kid": "a", "typ": "JWT"})
        with pytest.raises(UnauthorizedError):
            ring().verify(f"{header}.{payload}.{signature}")


@pytest.mark.parametrize(
    "header",
    [{"kid": "b"}, {"kid": ""}, {"kid": "../../dev/null"}, {"kid": "a\0"}, {"kid": "A"}],
    ids=str,
)
def test_an_unknown_kid_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(UnauthorizedError, match="key"):
        ring().verify(made(CLAIMS, **header))


@pytest.mark.parametrize("kid", [5, None, ["a"], {"a": 1}, True], ids=str)
def test_a_kid_that_is_no_text_is_refused(kid: object) -> None:
    with pytest.raises(UnauthorizedError):
        ring().verify(f"{b64({'alg': 'HS256', 'kid': kid})}.{b64(CLAIMS)}.{b64(b'x')}")


@pytest.mark.parametrize("lacking", CLAIMS)
def test_a_token_that_lacks_a_claim_is_refused(lacking: str) -> None:
    with pytest.raises(UnauthorizedError):
        ring().verify(made({key: value for key, value in CLAIMS.items() if key != lacking}))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "other"}, {"aud": []}, {"aud": 5}, {"role": "root"}, {"role": "OPS"},
        {"role": ["ops"]}, {"role": None}, {"exp": "2000"}, {"exp": None}, {"exp": 2000.5},
        {"exp": True}, {"sub": 5}, {"sub": None}, {"stores": "12"}, {"stores": [12]},
        {"stores": None}, {"table": "12"}, {"table": "12/5\n"}, {"table": 5}, {"table": ""},
        {"table": "12/5/6"}, {"table": "*/5"},
    ],
    ids=str,
)  # fmt: skip
def test_a_claim_of_another_kind_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(UnauthorizedError):
        # PyJWT itself would refuse to write some of these.
        ring().verify(_signed(CLAIMS | claims))


def _signed(claims: dict[str, Any]) -> str:
    return jwt.api_jws.encode(json.dumps(claims).encode(), KEY, "HS256", {"kid": "a"})


def test_claims_that_we_do_not_know_are_passed_over() -> None:
    assert ring().verify(made(CLAIMS | {"email": "x@y", "scope": "all"})).role == "ops"


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b.c", "x" * 8193, "é.é.é", "\ud800", "a\0b", " ", b64(b"[" * 6000),
     b64(b"[" * 6000) + ".e30.eA", b64(b"\xff") + ".e30.eA", b64(b"null") + ".e30.eA",
     b64({"alg": "HS256", "kid": "a", "crit": ["b64"], "b64": False}) + ".e30.eA"],
    ids=lambda token: ascii(token)[:20],
)  # fmt: skip
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(UnauthorizedError):
        ring().verify(token)


@given(st.text(max_size=80))
def test_no_text_at_all_does_anything_but_be_refused(token: str) -> None:
    with pytest.raises(UnauthorizedError):
        ring().verify(token)


def test_every_change_of_one_character_is_refused() -> None:
    keys = ring()
    token = keys.sign(OWNER, 60)
    keys.verify(token)
    for place, old in enumerate(token[:-1]):  # the last one has bits that mean nothing
        with pytest.raises(UnauthorizedError):
            keys.verify(token[:place] + ("A" if old != "A" else "B") + token[place + 1 :])


def test_no_more_tokens_are_remembered_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MAX_CACHED", 3)
    keys = ring()
    for n in range(10):
        token = keys.sign(Caller(f"s{n}", "ops"), 60)
        assert keys.verify(token).subject == f"s{n}"
    assert len(keys._known) == 3


def test_what_is_refused_is_not_remembered() -> None:
    keys = ring()
    for n in range(10):
        with pytest.raises(UnauthorizedError):
            keys.verify(f"a.b.{n}")
    assert not keys._known


def test_a_ring_needs_its_signing_key_and_keys_of_32_bytes() -> None:
    with pytest.raises(SettingsError, match="'b' is not among"):
        TokenKeys({"a": KEY}, "b", Clock())
    with pytest.raises(SettingsError, match="shorter than 32") as refused:
        TokenKeys({"a": b"short-secret"}, "a", Clock())
    assert "short-secret" not in str(refused.value)


def test_a_refusal_shows_neither_the_token_nor_a_key() -> None:
    token = made(CLAIMS, OTHER)
    with pytest.raises(UnauthorizedError) as refused:
        ring().verify(token)
    for secret in (token, token.split(".")[2], KEY.decode()):
        assert secret not in str(refused.value)


@pytest.mark.parametrize("role", get_args(Role))
def test_every_role_can_be_given(role: Role) -> None:
    keys = ring()
    assert keys.verify(keys.sign(Caller("x", role), 60)).role == role


def test_a_renewed_token_belongs_to_the_session_of_the_one_before() -> None:
    keys = TokenKeys({"k": b"k" * 32}, "k", lambda: 1000.0)
    first = keys.verify(keys.sign(Caller("kim", "owner", frozenset({"1"})), 100))
    after, lifetime_s = successor(first, 1050.0, 3600)
    second = keys.verify(keys.sign(after, lifetime_s))
    assert second.session == first.session != ""
    assert second.token != first.token


def test_two_sign_ins_are_two_sessions() -> None:
    keys = TokenKeys({"k": b"k" * 32}, "k", lambda: 1000.0)
    owner = Caller("kim", "owner", frozenset({"1"}))
    one, other = (keys.verify(keys.sign(owner, 100)) for _ in range(2))
    assert one.session != other.session
