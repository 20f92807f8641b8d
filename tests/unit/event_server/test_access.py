"""Only ops may read the metrics."""

from __future__ import annotations

import jwt
import pytest

from event_server.errors import RefusedError
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
    except RefusedError as error:
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
