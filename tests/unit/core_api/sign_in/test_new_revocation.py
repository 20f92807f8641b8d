"""What somebody may ask to have revoked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from starlette.requests import Request

from core_api.access.callers import Caller
from core_api.api.handlers import revocation_handlers
from core_api.api.handlers.revocation_handlers import RevocationsApi, Revoke, new_revocation
from core_api.errors import InvalidError, UnavailableError
from core_api.revocations.statements import NewRevocation
from tests.unit.core_api.test_fast_path import GATE, TOKENS, scope_of

NOW = 1000.7


def test_a_subject_is_revoked_until_now_or_until_a_moment_before() -> None:
    assert new_revocation(Revoke("subject", "ann"), "ops", NOW).before == 1000
    assert new_revocation(Revoke("subject", "ann", 900), "ops", NOW).before == 900


def test_a_clock_that_is_somewhat_ahead_revokes_until_now_and_no_later() -> None:
    assert new_revocation(Revoke("subject", "ann", 1060), "ops", NOW).before == 1000


def test_a_token_may_say_when_it_can_be_forgotten() -> None:
    wanted = new_revocation(Revoke("token", "t1", until=2000), "ops", NOW)
    assert (wanted.before, wanted.until) == (0, datetime.fromtimestamp(2000, UTC))


@pytest.mark.parametrize(
    "asked",
    [
        Revoke("token", "t1", before=900),
        Revoke("session", "s1", before=900),
        Revoke("subject", "ann", before=1061),
        Revoke("token", "t1", until=1000),
        Revoke("subject", "an\nn"),
        Revoke("token", ""),
    ],
)
def test_what_cannot_mean_anything_is_refused(asked: Revoke) -> None:
    with pytest.raises(InvalidError):
        new_revocation(asked, "ops", NOW)


class ReadsNothing:
    """What a Core knows of revocations, whose database went away."""

    async def look(self) -> None:
        raise UnavailableError("the revocations cannot be read from the database")


async def test_what_is_stored_is_answered_so_and_logged_with_who_asked_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored: list[NewRevocation] = []

    async def store(_pool: Any, wanted: NewRevocation) -> None:
        stored.append(wanted)

    async def body() -> dict[str, Any]:
        asked = {"kind": "token", "name": "t1"}
        return {"type": "http.request", "body": json.dumps(asked).encode()}

    monkeypatch.setattr(revocation_handlers, "revoke", store)
    unused: Any = None
    nothing: Any = ReadsNothing()
    who = TOKENS.sign(Caller("root", "ops"), 60)
    headers = [("authorization", f"Bearer {who}"), ("content-type", "application/json")]
    api = RevocationsApi(unused, nothing, GATE, lambda: NOW)
    with structlog.testing.capture_logs() as logs:
        answer = await api.revoke(Request(scope_of("", headers, "POST"), body))
    assert answer.status_code == 204
    assert [one.name for one in stored] == ["t1"]
    assert logs == [
        {"event": "revoked", "log_level": "info", "kind": "token", "name": "t1", "made_by": "root"}
    ]
