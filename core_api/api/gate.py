"""What every operation begins with: who calls, and how many requests are served at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from starlette.requests import Request

from core_api.access.callers import Caller
from core_api.access.sign_in import SignIn
from core_api.errors import UnavailableError
from core_api.http.bodies import charge_body
from core_api.overload import Bound, RateLimit

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """How many requests are served at once, from whom, and for how long (seconds)."""

    commands: Bound
    """A request counts once its body has arrived: a slow one must not keep others out."""
    rate: RateLimit
    bodies: RateLimit
    """Of the bytes of their requests' bodies, as few requests may hold much work."""
    deadline_s: float
    strangers: RateLimit
    """Of all who have no token yet, together."""


class Gate:
    """Lets callers in.

    Args:
        sign_in: verifies access tokens.
        limits: how many requests are served at once, and from whom.
        stays: raises PartyLeftError for a guest whose party has left.
    """

    def __init__(
        self, sign_in: SignIn, limits: ApiLimits, stays: Callable[[Caller], Awaitable[None]]
    ) -> None:
        self._sign_in = sign_in
        self._limits = limits
        self._stays = stays

    def caller_of(self, request: Request) -> Caller:
        """The caller; the bytes of a body are charged to it as they are read.

        Raises:
            RateLimitedError: the caller has sent too many bytes.
            CoreError: as `caller` raises.
        """
        caller = self.caller(request.headers.get("authorization", ""))
        if request.method not in ("GET", "HEAD"):
            self._limits.bodies.take(caller.subject)
            charge_body(request, partial(self._limits.bodies.charge, caller.subject))
        return caller

    def caller(self, authorization: str) -> Caller:
        """The caller, by the header Authorization.

        Raises:
            UnauthorizedError: there is no valid token.
            ForbiddenError: it is the provider's, and grants no access here.
            RateLimitedError: the caller asks too often.
        """
        caller = self._sign_in.caller_of(authorization)
        self._limits.rate.take(caller.subject)
        return caller

    def holder(self, token: str) -> Caller:
        """Who calls, by the access token itself; raises as `caller`."""
        caller = self._sign_in.verify(token)
        self._limits.rate.take(caller.subject)
        return caller

    def check_signed_in(self, caller: Caller) -> None:
        """Whether the caller is still signed in.

        Raises:
            UnauthorizedError: the token was revoked meanwhile.
        """
        self._sign_in.check(caller)

    def let_stranger_in(self) -> None:
        """Count a request of somebody who has no token yet.

        Raises:
            RateLimitedError: all callers without a token together ask too often.
        """
        self._limits.strangers.take("whoever has no token yet")

    async def check_stay(self, caller: Caller) -> None:
        """Whether the caller is still signed in, and a guest's party still sits at its table.

        Before something is done for the caller, and after what the caller is to see was read.

        Raises:
            UnauthorizedError: the token was revoked meanwhile.
            PartyLeftError: the party has left.
            UnavailableError: the database does not answer in time.
        """
        self._sign_in.check(caller)
        if caller.role == "table":
            await self.within_deadline(self._stays(caller))

    def charge(self, caller: Caller, more: int) -> None:
        """Charge the caller for `more` additional requests, which this one holds."""
        self._limits.rate.charge(caller.subject, more)

    def admit(self) -> AbstractContextManager[None]:
        """Take a slot among the requests in progress.

        Raises:
            OverloadedError: there is none.
        """
        return self._limits.commands.admit()

    async def serve(self, caller: Caller, work: Callable[[], Awaitable[A]]) -> A:
        """Run the work once there is a slot and the caller may stay; its result.

        Raises:
            CoreError: as `admit`, `check_stay` and `within_deadline` raise, and the work.
        """
        with self.admit():
            await self.check_stay(caller)
            return await self.within_deadline(work())

    async def bounded(self, work: Callable[[], Awaitable[A]]) -> A:
        """As `serve`, without checking whether the caller's party is still there."""
        with self.admit():
            return await self.within_deadline(work())

    async def within_deadline(self, work: Awaitable[A]) -> A:
        """The result of the work.

        Raises:
            UnavailableError: it was not done within the deadline. Errors of the work pass through.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.deadline_s):
                return await work
        # Raised outside the `except`: as its context the TimeoutError would hold the task, and the
        # task would hold this error: a reference cycle for each request while the database stalls.
        raise UnavailableError(f"it was not done within {self._limits.deadline_s:g} s")
