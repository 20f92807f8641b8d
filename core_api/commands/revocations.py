"""`yabam token revoke`, `revoked`: revokes tokens, and lists revocations, in the database."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import jwt

from client_sdk.command_line.output import say
from client_sdk.contract.errors import UsageError
from client_sdk.contract.text import MAX_SUBJECT, is_subject, shown
from core_api.access.tokens import token_name
from core_api.commands.database import on_database, with_pool
from core_api.commands.tokens import lifetime_of
from core_api.postgres.pool import Pool
from core_api.revocations.statements import (
    NewRevocation,
    database_now,
    list_newest,
    revoke,
)
from server_common.limits import REVOCATIONS_BY_COMMAND
from server_common.revocations.records import RevocationKind

_POOL: Final = ("yabam-token", 30.0)
_BY: Final = "yabam token revoke"
_MOST: Final = 1000


class _Asked(NamedTuple):
    kind: RevocationKind
    name: str
    expires_at: datetime | None
    """When the token expires, if that is known."""
    lifetime_s: int | None
    """For how long the revocation is wanted, if that was said."""


def revoke_named(options: Namespace) -> None:
    """Revoke a token, a session, or all that a subject was given until now.

    Raises:
        UsageError: that is no token, name or lifetime.
        CoreError: the database refused or failed.
    """
    asked = _asked(options)
    wanted = on_database(with_pool(*_POOL, lambda pool: _revoke(pool, asked)))
    say(
        options,
        f"revoked: {wanted.kind} {wanted.name}",
        {"kind": wanted.kind, "name": wanted.name, "until": wanted.until},
    )


def list_revoked(options: Namespace) -> None:
    """Show what was revoked."""
    for one in on_database(with_pool(*_POOL, lambda pool: list_newest(pool, _MOST))):
        until = f"{one.until:%Y-%m-%dT%H:%M:%SZ}" if one.until else "for ever"
        told = f"{one.made_at:%Y-%m-%dT%H:%M:%SZ}  {one.kind}  {one.name}  until {until}"
        say(
            options,
            f"{told}  by {one.made_by}",
            {
                "kind": one.kind,
                "name": one.name,
                "before": one.before,
                "until": one.until,
                "made_by": one.made_by,
                "made_at": one.made_at,
            },
        )


async def _revoke(pool: Pool, asked: _Asked) -> NewRevocation:
    # The clock of the machine where the command is typed may be wrong: one that is behind would
    # leave a thief's token valid.
    now = await database_now(pool)
    before = int(now.timestamp()) if asked.kind == "subject" else 0
    until = asked.expires_at
    if asked.lifetime_s is not None:
        until = now + timedelta(seconds=asked.lifetime_s)
    wanted = NewRevocation(asked.kind, asked.name, before, until, _BY)
    await revoke(pool, wanted, REVOCATIONS_BY_COMMAND)
    return wanted


def _asked(options: Namespace) -> _Asked:
    lifetime_s = lifetime_of(options.lifetime) if options.lifetime else None
    if options.token is not None:
        return _Asked("token", *_token_named(options.token), lifetime_s)
    if options.id is not None:
        return _Asked("token", _name(options.id), None, lifetime_s)
    if options.session is not None:
        return _Asked("session", _name(options.session), None, lifetime_s)
    return _Asked("subject", _name(options.subject), None, lifetime_s)


def _token_named(token: str) -> tuple[str, datetime]:
    """Its name, and when it expires; whoever has signed it."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        return token_name(token, claims), datetime.fromtimestamp(claims["exp"], UTC)
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        raise UsageError("this is no access token: give its jti with --id") from None


def _name(text: str) -> str:
    if not is_subject(text):
        raise UsageError(f"{shown(text)} is no name: 1 to {MAX_SUBJECT} characters")
    return text
