"""T39: a token that is revoked counts no longer, on any Core, and its streams end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import jwt
import pytest
from websockets.asyncio.client import connect

from client_sdk.contract.sse import SseEvent, SseParser
from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Stack, free_ports
from server_common.revocations.records import RevocationKind
from tests.integration.core_service import KEYS, an_order, bearer, new_store, token
from tests.openid.provider import AUDIENCE, OpenIdProvider
from tests.parts import migrated_database
from tests.security.installation import TOGETHER, installed

pytestmark = TOGETHER
WITHIN_S = 30.0
"""Far more than a working system takes, so that a busy machine fails no test."""
KINDS: Final[tuple[RevocationKind, ...]] = ("token", "session", "subject")


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    """A real OpenID provider with an account for each kind of revocation."""
    claims = {
        f"shop-{kind}": {"roles": ["shop-owner"], "stores": ["*"], "sid": f"sid-{kind}"}
        for kind in KINDS
    }
    one = OpenIdProvider(claims)
    one.start("first")
    yield one
    one.stop()


@pytest.fixture(scope="module")
def system(
    postgres_server: EmbeddedPostgres,
    tmp_path_factory: pytest.TempPathFactory,
    provider: OpenIdProvider,
) -> Iterator[Stack]:
    """An installation of its own: others forge records of `order-events`, and push nothing."""
    database = asyncio.run(migrated_database(postgres_server))
    settings = {
        "YABAM_OIDC_ISSUER": provider.issuer,
        "YABAM_OIDC_AUDIENCE": AUDIENCE,
        "YABAM_OIDC_ROLES": '{"shop-owner":"owner"}',
    }
    with installed(database, tmp_path_factory.mktemp("revocation"), settings) as running:
        yield running


@pytest.fixture(scope="module")
def second_events(system: Stack) -> Iterator[str]:
    """The address of another event server, for sockets."""
    port = free_ports().events
    second = system.add("events", port)
    second.start()
    second.wait_ready(60)
    yield f"ws://127.0.0.1:{port}/v1/socket"
    second.kill()


@pytest.fixture(scope="module")
def cores(system: Stack) -> Iterator[list[str]]:
    """The addresses of two Cores of one installation."""
    port = free_ports().core
    second = system.add_command("core-second", ["core"], port, {"YABAM_CORE_PORT": str(port)})
    second.start()
    second.wait_ready(60)
    yield [system.core_url, f"http://127.0.0.1:{port}"]
    second.kill()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        yield client


async def revoke(http: httpx.AsyncClient, core: str, **what: object) -> None:
    answer = await http.post(f"{core}/v1/revocations", json=what, headers=bearer(token("ops")))
    assert answer.status_code == 204, answer.text


async def until_refused(http: httpx.AsyncClient, core: str, who: str, store: str) -> None:
    async with asyncio.timeout(WITHIN_S):
        while (await sync(http, core, who, store)).status_code != 401:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def sync(http: httpx.AsyncClient, core: str, who: str, store: str) -> httpx.Response:
    return await http.get(f"{core}/v1/sync?channel=store:{store}", headers=bearer(who))


@asynccontextmanager
async def streaming(
    http: httpx.AsyncClient, core: str, who: str, store: str
) -> AsyncIterator[AsyncIterator[SseEvent]]:
    """An open stream of the store, after its hello."""
    grant = (await sync(http, core, who, store)).json()["stream"]
    parser = SseParser()

    async def events(response: httpx.Response) -> AsyncIterator[SseEvent]:
        async for part in response.aiter_bytes():
            for event in parser.feed(part):
                yield event

    async with http.stream("GET", grant["url"], params={"ticket": grant["ticket"]}) as response:
        assert response.status_code == 200, await response.aread()
        found = events(response)
        assert (await anext(found)).type == "hello"
        yield found


async def last_of(events: AsyncIterator[SseEvent]) -> str:
    """The data of the bye."""
    async with asyncio.timeout(WITHIN_S):
        async for event in events:
            if event.type == "bye":
                return event.data
    raise AssertionError("the stream ended without a bye")


def claims_of(who: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(who, options={"verify_signature": False})
    return claims


def named(who: str) -> str:
    return str(claims_of(who)["jti"])


async def test_t39_a_revoked_token_is_refused_by_every_core_and_its_stream_ends(
    cores: list[str], http: httpx.AsyncClient
) -> None:
    store = new_store()
    who, other = token("owner", store), token("owner", store)
    assert named(who) != named(other)
    grant = (await sync(http, cores[0], who, store)).json()["stream"]
    async with (
        streaming(http, cores[0], who, store) as hers,
        streaming(http, cores[0], other, store) as his,
    ):
        await revoke(http, cores[1], kind="token", name=named(who))
        assert (await sync(http, cores[1], who, store)).status_code == 401
        await until_refused(http, cores[0], who, store)
        assert '"expired"' in await last_of(hers)
        # Another token of the same subject goes on.
        assert (await sync(http, cores[0], other, store)).status_code == 200
        assert (await anext(his)).type == "heartbeat"
    # A ticket that was given before opens no further stream.
    late = await http.get(grant["url"], params={"ticket": grant["ticket"]})
    assert late.status_code == 401


async def test_t39_all_that_a_subject_was_given_until_now_is_refused_and_not_what_comes_later(
    cores: list[str], http: httpx.AsyncClient
) -> None:
    store = new_store()
    ring = token_keys({"local": KEYS.token}, "local")
    ann = Caller(f"ann-{store}", "owner", frozenset({store}))
    before = ring.sign(ann, 600)
    async with streaming(http, cores[0], before, store) as hers:
        await revoke(http, cores[0], kind="subject", name=ann.subject)
        assert (await sync(http, cores[0], before, store)).status_code == 401
        assert '"expired"' in await last_of(hers)
    made_at = jwt.decode(before, options={"verify_signature": False})["iat"]
    while int(time.time()) <= made_at + 1:  # noqa: ASYNC110  (it is the clock that is awaited)
        await asyncio.sleep(0.05)
    after = ring.sign(ann, 600)
    for core in cores:
        assert (await sync(http, core, after, store)).status_code == 200
    await until_refused(http, cores[1], before, store)


async def test_t39_a_session_ends_with_all_its_tokens(
    cores: list[str], http: httpx.AsyncClient
) -> None:
    store = new_store()
    claims = {
        "sub": f"bo-{store}", "role": "owner", "stores": [store], "aud": "yabam",
        "exp": int(time.time()) + 600, "sid": f"s-{store}",
    }  # fmt: skip
    tokens = [
        jwt.encode({**claims, "n": n}, KEYS.token, "HS256", {"kid": "local"}) for n in range(2)
    ]
    for who in tokens:
        assert (await sync(http, cores[0], who, store)).status_code == 200
    await revoke(http, cores[0], kind="session", name=f"s-{store}")
    for core in cores:
        for who in tokens:
            await until_refused(http, core, who, store)


@pytest.mark.parametrize("kind", KINDS)
async def test_t39_a_provider_s_token_that_is_revoked_ends_streams_and_sockets_of_all_servers(
    cores: list[str],
    second_events: str,
    http: httpx.AsyncClient,
    provider: OpenIdProvider,
    kind: RevocationKind,
) -> None:
    store, other = new_store(), token("owner", "*")
    who = await provider.token(f"shop-{kind}")
    claims = claims_of(who)
    names = {"token": claims["jti"], "session": claims["sid"], "subject": f"oidc:{claims['sub']}"}

    def socket(ticket: str) -> connect:
        protocols: Any = ["yabam.v1"]
        return connect(f"{second_events}?ticket={ticket}", subprotocols=protocols, proxy=None)

    async with asyncio.timeout(WITHIN_S):
        # 503 while the provider's keys are read.
        while (granted := await sync(http, cores[0], who, store)).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    grant = granted.json()["stream"]
    another = (await sync(http, cores[0], other, store)).json()["stream"]
    async with (
        streaming(http, cores[0], who, store) as stream,
        socket(grant["ticket"]) as hers,
        socket(another["ticket"]) as his,
    ):
        for one in (hers, his):
            assert json.loads(await one.recv())["event"] == "hello"
        await revoke(http, cores[1], kind=kind, name=names[kind])
        await until_refused(http, cores[0], who, store)
        assert '"expired"' in await last_of(stream)
        async with asyncio.timeout(WITHIN_S):
            told = [json.loads(text) async for text in hers]
            assert told[-1]["event"] == "bye"
            assert told[-1]["data"]["reason"] == "expired"
            assert json.loads(await his.recv())["event"] == "heartbeat"


async def test_t39_who_waits_in_a_long_poll_is_shown_nothing_after_the_revocation(
    cores: list[str], http: httpx.AsyncClient
) -> None:
    store = new_store()
    who = token("owner", store)
    waiting = asyncio.create_task(
        http.get(
            f"{cores[0]}/v1/sync",
            params={"lastEventId": f"store:{store}@0", "wait": "20"},
            headers=bearer(who),
        )
    )
    await revoke(http, cores[0], kind="token", name=named(who))
    placed = await http.post(
        f"{cores[0]}/v1/orders", json=an_order(store), headers=bearer(token("producer", store))
    )
    assert placed.status_code == 201
    assert (await waiting).status_code == 401


async def test_t39_who_watches_the_ops_page_is_shown_nothing_more(
    cores: list[str], http: httpx.AsyncClient
) -> None:
    who = token("ops")
    headers = bearer(who)
    async with http.stream("GET", f"{cores[0]}/v1/ops/stream", headers=headers) as response:
        parts = response.aiter_bytes()
        seen = await anext(parts)
        await revoke(http, cores[0], kind="token", name=named(who))
        async with asyncio.timeout(WITHIN_S):
            async for part in parts:
                seen += part
    assert b'"expired"' in seen


@pytest.mark.parametrize("role", ["owner", "producer"])
async def test_t39_only_ops_revoke(cores: list[str], http: httpx.AsyncClient, role: str) -> None:
    who = token("owner" if role == "owner" else "producer", new_store())
    body = {"kind": "subject", "name": "somebody"}
    answer = await http.post(f"{cores[0]}/v1/revocations", json=body, headers=bearer(who))
    assert answer.status_code == 403


async def test_t39_a_revocation_by_the_command_acts_like_one_by_the_route(
    cores: list[str], http: httpx.AsyncClient, system: Stack
) -> None:
    store = new_store()
    who = token("owner", store)
    assert (await sync(http, cores[0], who, store)).status_code == 200
    await asyncio.to_thread(system.run, "revoke", ["token", "revoke", who])
    for core in cores:
        await until_refused(http, core, who, store)
