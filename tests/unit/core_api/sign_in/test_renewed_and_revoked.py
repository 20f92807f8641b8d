"""Who renews a token while its subject is being revoked is signed out all the same."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from core_api.access.callers import Caller
from core_api.access.renewals import successor
from core_api.commands import database, revocations
from core_api.revocations.statements import NewRevocation
from core_api.sync.events_or_reset import page_of
from core_api.sync.queries import Moment, Page
from core_api.sync.stream_grants import StreamGrants
from server_common.access.tickets import TicketKeys
from server_common.limits import REVOCATIONS_BY_COMMAND
from server_common.revocations.holders import Revocations
from server_common.revocations.records import Revocation

SIGNED_IN_AT = 1000
REVOKED_AT = 2000
HER = Caller("ann", "owner", frozenset({"12"}), issued_at=SIGNED_IN_AT, expires_at=5000)


def renewed_late(caller: Caller) -> Caller:
    """The holder of a token that was signed a second after the revocation."""
    after, lifetime_s = successor(caller, REVOKED_AT + 1, 604_800)
    return replace(after, issued_at=REVOKED_AT + 1, expires_at=REVOKED_AT + 1 + lifetime_s)


def revoked() -> Revocations:
    known = Revocations()
    known.add(Revocation("subject", "ann", REVOKED_AT))
    return known


def test_a_token_that_was_renewed_after_the_revocation_is_revoked_with_its_sign_in() -> None:
    assert revoked().cover(renewed_late(HER).holder)
    assert not revoked().cover(replace(HER, issued_at=REVOKED_AT + 1).holder)


def test_so_is_a_ticket_that_was_given_for_it() -> None:
    keys = TicketKeys({"t": b"k" * 32}, "t")
    grants = StreamGrants(keys, lambda _channels: "https://events.example", 30.0)
    answer = [page_of("store:12", 0, Page(0, 0, 0, []))]
    granted = grants.grant(renewed_late(HER), None, Moment("e1", REVOKED_AT + 2.0), answer)
    assert granted is not None
    assert revoked().cover(keys.verify(granted.ticket, REVOKED_AT + 3.0).holder)


class Database:
    """A database whose clock is not this machine's."""

    async def fetchval(self, statement: str) -> datetime:
        assert "now()" in statement
        return datetime.fromtimestamp(REVOKED_AT + 0.9, UTC)

    def terminate(self) -> None:
        """Nothing is open."""


def test_the_command_revokes_until_now_by_the_databases_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored: list[NewRevocation] = []

    async def opened(*_arguments: Any, **_more: Any) -> Database:
        return Database()

    async def store(_pool: Any, wanted: NewRevocation, room: int = 0) -> None:
        assert room == REVOCATIONS_BY_COMMAND
        stored.append(wanted)

    monkeypatch.setenv("YABAM_DATABASE_URL", "postgresql://somewhere/db")
    monkeypatch.setattr(database, "open_pool", opened)
    monkeypatch.setattr(revocations, "revoke", store)
    options = Namespace(
        token=None, id=None, session=None, subject="ann", lifetime="1h", output="text", json=False
    )
    revocations.revoke_named(options)
    (one,) = stored
    assert one.before == REVOKED_AT
    assert one.until == datetime.fromtimestamp(REVOKED_AT + 3600.9, UTC)
