"""Only ops may read the metrics."""

from __future__ import annotations

import base64
import json

import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from event_server.errors import StreamRefusedError
from event_server.http.access import OpsTokens

SECRET = "0123456789abcdef0123456789abcdef"
NOW = 1000.0
UNSIGNED = jwt.encode(
    {"sub": "x", "role": "ops", "aud": "yabam", "exp": 2000}, "", "none", {"kid": "a1"}
)


def token(secret: str = SECRET, kid: str = "a1", **claims: object) -> str:
    full = {"sub": "x", "role": "ops", "aud": "yabam", "iat": 900, "exp": 2000} | claims
    return jwt.encode(
        {k: v for k, v in full.items() if v is not None}, secret, "HS256", {"kid": kid}
    )


def check(header: str) -> str:
    try:
        OpsTokens({"a1": SECRET}, lambda: NOW).check(header)
    except StreamRefusedError as error:
        return error.slug
    return "ok"


def test_ops_passes() -> None:
    assert check(f"Bearer {token()}") == "ok"
    assert check(f"bearer {token()}") == "ok"


@pytest.mark.parametrize("role", ["owner", "table", "producer", "admin", None])
def test_no_other_role_does(role: str | None) -> None:
    assert check(f"Bearer {token(role=role)}") == "forbidden"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x.y.z",
        "Basic b3BzOm9wcw==",
        "Bearer " + "x" * 10_000,
        f"Bearer {token(secret='f' * 32)}",
        f"Bearer {token(kid='other')}",
        f"Bearer {token(aud='elsewhere')}",
        f"Bearer {token(exp=999)}",
        f"Bearer {token(exp=None)}",
        f"Bearer {UNSIGNED}",
    ],
)
def test_what_is_no_valid_token_is_refused(header: str) -> None:
    assert check(header) == "unauthorized"


def jws(header: bytes, claims: bytes) -> str:
    """A token whose signature is right, whatever stands in it."""
    key = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, claims))
    signature = key.sign(signed, SECRET.encode())
    return b".".join([signed, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


HEADER = b'{"alg":"HS256","kid":"a1"}'


@pytest.mark.parametrize(
    "raw",
    [b"[" * 5000, b'{"kid":' * 800, b"9" * 5000, b"\xff", b"null", b'"kid"', b'{"kid":[]}',
     b'{"alg":[],"kid":"a1"}', b'{"alg":"HS256","kid":"\\ud800"}',
     b'{"alg":"HS256","kid":"a\\u0000"}'],
    ids=lambda raw: ascii(raw)[:20],
)  # fmt: skip
def test_a_token_whose_header_is_none_is_refused(raw: bytes) -> None:
    assert check(f"Bearer {jws(raw, b'{}')}") == "unauthorized"


@pytest.mark.parametrize(
    "raw",
    [b"[" * 4000, b'{"sub":' * 600, b"9" * 4000, b"\xff", b"null", b'"x"', b"[1]",
     b'{"sub":"x","aud":"yabam","role":"ops","exp":1e999}',
     b'{"sub":"x","aud":"yabam","role":"ops","exp":true}',
     b'{"sub":"x","aud":[[]],"role":"ops","exp":2000}',
     b'{"sub":{},"aud":"yabam","role":"ops","exp":2000}',
     b'{"sub":"x","aud":"yabam","role":"ops","exp":2000,"nbf":{}}'],
    ids=lambda raw: ascii(raw)[:50],
)  # fmt: skip
def test_a_token_whose_claims_are_none_is_refused(raw: bytes) -> None:
    assert check(f"Bearer {jws(HEADER, raw)}") == "unauthorized"


@pytest.mark.parametrize("error", [RecursionError(), ValueError()])
def test_what_an_older_library_lets_through_is_refused(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(jwt, "decode", fail)
    assert check(f"Bearer {token()}") == "unauthorized"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["sub", "role", "aud", "exp", "iat", "nbf", "iss", "jti"]), anything
    )
)
@example({"sub": "\0"})
@example({"sub": "\ud800"})
@example({"role": ["ops"]})
def test_a_claim_of_any_kind_is_taken_or_refused(claims: dict[str, object]) -> None:
    full = {"sub": "x", "role": "ops", "aud": "yabam", "exp": 2000} | claims
    assert check(f"Bearer {jws(HEADER, json.dumps(full).encode())}") in {
        "ok", "unauthorized", "forbidden",
    }  # fmt: skip


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=0xFF), max_size=60))
@example("Bearer é.é.é")
@example("Bearer \0.\0.\0")
@example("Bearer ....")
def test_an_authorization_of_any_text_is_refused(text: str) -> None:
    assert check(text) == "unauthorized"
    assert check(f"Bearer {text}") == "unauthorized"
