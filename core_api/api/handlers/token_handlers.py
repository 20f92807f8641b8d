"""The handlers of owners' tokens: renewal, and pairing of a new tablet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from client_sdk.contract.text import is_id, whole
from core_api.access.renewals import lifetime_beside, successor
from core_api.access.tokens import TokenKeys, new_name
from core_api.api.answers import json_answer
from core_api.api.gate import Gate
from core_api.api.request_parts import JsonBody, store_of
from core_api.errors import ForbiddenError, UnauthorizedError
from core_api.pairing.codes import DIGITS, LIFE_S, NO_CODE, Pairings
from server_common.logs import get_logger

_log = get_logger()


class OwnerToken(Struct, frozen=True):
    """The answer of `POST /v1/tokens/renewals` and `POST /v1/tokens/pairings`."""

    token: str
    expires_in_s: int


class Pairing(Struct, frozen=True):
    """The answer of `POST /v1/stores/{id}/pairings`."""

    code: str
    """Six digits."""
    expires_in_s: int


class PairTablet(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/tokens/pairings`."""

    store: Annotated[str, Meta(max_length=64)]
    code: Annotated[str, Meta(pattern=whole(rf"[0-9]{{{DIGITS}}}"))]


PAIR: Final = JsonBody(PairTablet)


class TokensApi:
    """The handlers of owners' tokens.

    Args:
        tokens: signs them.
        pairings: the codes of new tablets.
        gate: lets callers in.
        most_s: how long one may stay signed in, in seconds.
        now: seconds since the Unix epoch.
    """

    def __init__(
        self,
        tokens: TokenKeys,
        pairings: Pairings,
        gate: Gate,
        most_s: int,
        now: Callable[[], float],
    ) -> None:
        self._tokens = tokens
        self._pairings = pairings
        self._gate = gate
        self._most_s = most_s
        self._now = now

    async def renew(self, request: Request) -> Response:
        """POST /v1/tokens/renewals: the caller's next token, with the same rights."""
        caller = self._gate.caller_of(request)
        after, lifetime_s = successor(caller, self._now(), self._most_s)
        return json_answer(OwnerToken(self._tokens.sign(after, lifetime_s), lifetime_s))

    async def offer(self, request: Request) -> Response:
        """POST /v1/stores/{id}/pairings: a code by which one new tablet is let in.

        Raises:
            ForbiddenError: the caller is no owner of the store.
        """
        caller = self._gate.caller_of(request)
        store_id = store_of(request)
        if caller.role != "owner" or not caller.has_store(store_id):
            raise ForbiddenError("only an owner of the store lets a new tablet in")
        now = self._now()
        ends_at = int(now) + lifetime_beside(caller, now, self._most_s)
        code = await self._gate.bounded(lambda: self._pairings.offer(store_id, caller, ends_at))
        return json_answer(Pairing(code, LIFE_S), 201)

    async def pair(self, request: Request) -> Response:
        """POST /v1/tokens/pairings: a token for the tablet that shows the code.

        Raises:
            UnauthorizedError: the code is not, or no longer, good.
        """
        self._gate.let_stranger_in()
        wanted = await PAIR.read(request)
        if not is_id(wanted.store):
            raise UnauthorizedError("there is no such store")
        with self._gate.admit():
            offered = await self._gate.within_deadline(
                self._pairings.find(wanted.store, wanted.code)
            )
            # The owner who made the code may have been signed out since.
            await self._gate.check_stay(offered.caller)
            lifetime_s = offered.token_ends_at - int(self._now())
            if lifetime_s <= 0:
                raise UnauthorizedError(NO_CODE)
            await self._gate.within_deadline(self._pairings.use_up(wanted.store, wanted.code))
        tablet = replace(offered.caller, token="", session="", sid=new_name())
        self._gate.charge(tablet, 1)
        _log.info("tablet_paired", store=wanted.store, subject=tablet.subject, sid=tablet.sid)
        return json_answer(OwnerToken(self._tokens.sign(tablet, lifetime_s), lifetime_s))
