"""A new tablet takes over a sign-in, and never more of it than there is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jwt
import pytest
import structlog
from starlette.applications import Starlette
from starlette.routing import Route

from core_api.access.callers import Caller
from core_api.access.sign_in import SignIn
from core_api.access.tokens import TokenKeys
from core_api.api.gate import ApiLimits, Gate
from core_api.api.handlers.token_handlers import TokensApi
from core_api.errors import CoreError, UnauthorizedError, UnavailableError
from core_api.overload import STRANGERS_BURST, STRANGERS_PER_S, Bound, RateLimit
from core_api.pairing.codes import Pairings
from core_api.problems import on_core_error
from server_common.revocations.holders import Revocations
from server_common.revocations.records import Revocation, RevocationKind, key_of
from tests.integration.core_service import bearer
from tests.unit.core_api.samples import everybody_stays

HOUR_S = 3600
CODE = "000007"


class Table:
    """The table of pairings, of one store."""

    def __init__(self) -> None:
        self.row: dict[str, Any] | None = None

    async def execute(self, statement: str, *values: Any) -> None:
        columns = re.search(r"INSERT INTO pairings \((.*?)\)", statement, re.S)
        assert columns is not None
        self.row = dict(zip(re.findall(r"\w+", columns[1]), values, strict=True))

    async def fetchrow(self, statement: str, *_values: Any) -> dict[str, Any] | None:
        found = self.row
        if found is None or found["tries_left"] == 0:
            return None
        if statement.startswith("DELETE"):
            self.row = None
        else:
            found["tries_left"] -= 1
        return found


class Site:
    """A Core whose clock is moved by hand, and where one stays signed in for an hour."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.table = Table()
        self.database_is_away = False
        self.tokens = TokenKeys({"k": b"k" * 32}, "k", lambda: self.now)
        limits = ApiLimits(
            Bound(9, "commands", lambda low, _high: low),
            RateLimit(1e9, 10**9, lambda: 0.0),
            RateLimit(1e9, 10**9, lambda: 0.0),
            5.0,
            RateLimit(STRANGERS_PER_S, STRANGERS_BURST, lambda: self.now),
        )
        self.revoked = Revocations()
        sign_in = SignIn(self.tokens, None, self._check)
        gate = Gate(sign_in, limits, everybody_stays)
        pool: Any = self.table
        api = TokensApi(
            self.tokens, Pairings(pool, lambda _below: 7), gate, HOUR_S, lambda: self.now
        )
        routes = [
            Route("/v1/stores/{id}/pairings", api.offer, methods=["POST"]),
            Route("/v1/tokens/pairings", api.pair, methods=["POST"]),
        ]
        handlers: Any = {CoreError: on_core_error}
        self._transport = httpx.ASGITransport(Starlette(routes=routes, exception_handlers=handlers))

    def _check(self, caller: Caller) -> None:
        if self.database_is_away:
            raise UnavailableError("the revoked tokens have not been read")
        if self.revoked.cover(caller.holder):
            raise UnauthorizedError("this token has been revoked: sign in again")

    def owner(self, lifetime_s: int = 600) -> str:
        return self.tokens.sign(Caller("kim", "owner", frozenset({"12"})), lifetime_s)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(transport=self._transport, base_url="http://core") as client:
            yield client

    async def offer(self, who: str) -> int:
        async with self.client() as client:
            answer = await client.post("/v1/stores/12/pairings", headers=bearer(who))
        return answer.status_code

    async def pair(self, code: str = CODE) -> httpx.Response:
        async with self.client() as client:
            return await client.post("/v1/tokens/pairings", json={"store": "12", "code": code})


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


async def test_tablets_that_let_one_another_in_stay_no_longer_than_the_first_could() -> None:
    site = Site()
    who = site.owner()
    signed_in_at = site.now
    for _ in range(40):
        assert await site.offer(who) == 201
        site.now += 290.7
        paired = await site.pair()
        if paired.status_code != 200:
            break
        who = paired.json()["token"]
        assert claims_of(who)["exp"] <= signed_in_at + HOUR_S
    assert paired.status_code == 401
    assert "let its terminal show a new one" in paired.json()["detail"]


async def test_a_token_that_can_be_renewed_no_longer_gives_its_own_end_to_the_tablet() -> None:
    site = Site()
    who = site.owner(2 * HOUR_S)
    site.now += HOUR_S + 1
    assert await site.offer(who) == 201
    site.now += 250
    assert claims_of((await site.pair()).json()["token"])["exp"] == claims_of(who)["exp"]


@pytest.mark.parametrize(("kind", "claim"), [("token", "jti"), ("session", "sid")])
async def test_a_code_is_good_no_longer_than_the_token_and_the_session_that_offered_it(
    kind: RevocationKind, claim: str
) -> None:
    site = Site()
    who = site.owner()
    assert await site.offer(who) == 201
    site.revoked.add(Revocation(kind, key_of(kind, claims_of(who)[claim])))
    refused = await site.pair()
    assert refused.status_code == 401
    assert "revoked" in refused.json()["detail"]


async def test_a_core_that_cannot_let_the_tablet_in_now_does_not_use_up_its_code() -> None:
    site = Site()
    await site.offer(site.owner())
    site.database_is_away = True
    assert (await site.pair()).status_code == 503
    site.database_is_away = False
    assert (await site.pair()).status_code == 200


async def test_the_tablet_has_a_session_of_its_own_that_the_log_names() -> None:
    site = Site()
    who = site.owner()
    await site.offer(who)
    with structlog.testing.capture_logs() as logs:
        tablet = claims_of((await site.pair()).json()["token"])
    assert tablet["sid"] != claims_of(who)["sid"]
    assert [line["sid"] for line in logs if line["event"] == "tablet_paired"] == [tablet["sid"]]


async def test_strangers_that_guess_too_often_are_refused_before_the_database_is_asked() -> None:
    site = Site()
    await site.offer(site.owner())
    statuses = [(await site.pair("000000")).status_code for _ in range(STRANGERS_BURST)]
    assert set(statuses) == {401}
    assert site.table.row is not None
    site.table.row["tries_left"] = 3
    refused = await site.pair()
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert site.table.row["tries_left"] == 3
    site.now += 1 / STRANGERS_PER_S
    assert (await site.pair()).status_code == 200


async def test_the_log_says_at_which_store_a_wrong_code_was_tried() -> None:
    site = Site()
    await site.offer(site.owner())
    with structlog.testing.capture_logs() as logs:
        await site.pair("000000")
    assert logs == [
        {"event": "pairing_refused", "log_level": "warning", "store": "12", "tries_left": 2}
    ]
