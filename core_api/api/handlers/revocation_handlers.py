"""The handler of revocations, by which ops sign somebody out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from client_sdk.contract.text import MAX_SUBJECT, is_subject
from core_api.api.gate import Gate
from core_api.api.request_parts import JsonBody
from core_api.errors import ForbiddenError, InvalidError, UnavailableError
from core_api.postgres.pool import Pool
from core_api.revocations.statements import NewRevocation, revoke
from core_api.revocations.watching import Revoked
from server_common.logs import get_logger
from server_common.revocations.records import RevocationKind

_log = get_logger()

_LATEST_S: Final = 253_402_300_799
"""The end of the year 9999."""
_SKEW_S: Final = 60
"""How far the caller's clock may be ahead of ours."""


class Revoke(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/revocations`. Times are seconds since 1970."""

    kind: RevocationKind
    name: Annotated[str, Meta(min_length=1, max_length=MAX_SUBJECT)]
    """The token's `jti`, the session's `sid`, or the subject as Core shows it."""
    before: Annotated[int, Meta(ge=0, le=_LATEST_S)] | None = None
    """Of a subject: revoke its tokens made in this second or earlier; without it, all until now."""
    until: Annotated[int, Meta(ge=0, le=_LATEST_S)] | None = None
    """When the last of these tokens expires, so that it can be forgotten; without it, never."""


REVOKE: Final = JsonBody(Revoke)


class RevocationsApi:
    """The handler of revocations.

    Args:
        pool: the database.
        revoked: the revocations that this Core knows.
        gate: lets callers in.
        now: seconds since the Unix epoch.
    """

    def __init__(self, pool: Pool, revoked: Revoked, gate: Gate, now: Callable[[], float]) -> None:
        self._pool = pool
        self._revoked = revoked
        self._gate = gate
        self._now = now

    async def revoke(self, request: Request) -> Response:
        """POST /v1/revocations: a token, a session, or all that a subject was given.

        Raises:
            ForbiddenError: the caller is not of role ops.
        """
        caller = self._gate.caller_of(request)
        if caller.role != "ops":
            raise ForbiddenError("only ops revoke tokens and sessions")
        asked = await REVOKE.read(request)
        with self._gate.admit():
            await self._gate.check_stay(caller)
            wanted = new_revocation(asked, caller.subject, self._now())
            await self._gate.within_deadline(revoke(self._pool, wanted))
            _log.info("revoked", kind=wanted.kind, name=wanted.name, made_by=wanted.made_by)
            # The revocation must hold at once in this Core. If the read fails, it is stored all the
            # same, and every Core reads again within a second.
            with suppress(UnavailableError):
                await self._gate.within_deadline(self._revoked.look())
        return Response(status_code=204)


def new_revocation(asked: Revoke, by: str, now: float) -> NewRevocation:
    """The revocation to store for a request. Pure.

    Args:
        asked: the body of the request.
        by: the subject that asks for it.
        now: seconds since 1970.

    Raises:
        InvalidError: the request contradicts itself or is out of range.
    """
    if not is_subject(asked.name):
        raise InvalidError("`name` holds a character that no name has")
    if asked.kind != "subject" and asked.before is not None:
        raise InvalidError("`before` is for a subject: a token or a session is revoked whole")
    if asked.before is not None and asked.before > now + _SKEW_S:
        raise InvalidError("`before` is in the future: later sign-ins would be revoked, too")
    if asked.until is not None and asked.until <= now:
        raise InvalidError("`until` is in the past: such tokens have expired already")
    before = int(now) if asked.before is None else min(asked.before, int(now))
    until = None if asked.until is None else datetime.fromtimestamp(asked.until, UTC)
    return NewRevocation(
        asked.kind, asked.name, before if asked.kind == "subject" else 0, until, by
    )
