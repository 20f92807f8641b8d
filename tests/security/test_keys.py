"""T17 to T21: how keys come and go."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import jwt
import pytest

from client_sdk.contract.errors import YabamError
from core_api import settings as core_settings
from core_api.access.callers import Caller
from core_api.wiring import token_keys
from event_server import settings as event_settings
from event_server.http.access import OpsTokens
from event_server.main import ticket_keys
from server_common.access.tickets import TicketKeys
from server_common.settings.loader import load
from tests.integration.core_service import KEYS, CoreService, bearer, new_store, token
from tests.integration.event_server.conftest import ops_token, running
from tests.security.routes import calls
from tests.serving import serving
from tests.unit.event_server.parts import make_ticket

OLD, NEW = "o" * 32, "n" * 32
# The steps of SECURITY.md: the ring, and the key that signs.
STEPS: list[tuple[dict[str, str], str]] = [
    ({"2025": OLD}, "2025"),
    ({"2025": OLD, "2026": NEW}, "2025"),
    ({"2025": OLD, "2026": NEW}, "2026"),
    ({"2026": NEW}, "2026"),
]


@contextmanager
def core_with(database: str, folder: Path, ring: dict[str, str], kid: str) -> Iterator[CoreService]:
    """A Core in a process of its own with this ring of token keys."""
    settings = {"YABAM_TOKEN_KEYS": json.dumps(ring), "YABAM_TOKEN_KID": kid}
    service = CoreService.start(database, folder, settings)
    try:
        yield service
    finally:
        service.stop()


def owner_of(store: str, ring: dict[str, str], kid: str) -> str:
    """What the operator's sign-in would make at that step."""
    return token_keys(ring, kid).sign(Caller("till", "owner", frozenset({store})), 600)


def test_t17_token_keys_rotate_with_nobody_signed_out(database: str, tmp_path: Path) -> None:
    store = new_store()
    query = f"/v1/sync?channel=store:{store}"
    given: list[str] = []
    for number, (ring, kid) in enumerate(STEPS[:3]):
        given.append(owner_of(store, ring, kid))
        with core_with(database, tmp_path / str(number), ring, kid) as core:
            for who in given:
                response = httpx.get(core.stack.core_url + query, headers=bearer(who))
                assert response.status_code == 200
        # During a rolling restart the Cores of the step before meet tokens of this one.
        if number:
            token_keys(*STEPS[number - 1]).verify(given[-1])
    ring, kid = STEPS[3]
    with core_with(database, tmp_path / "3", ring, kid) as core:
        answers = [httpx.get(core.stack.core_url + query, headers=bearer(who)) for who in given]
    assert [answer.status_code for answer in answers] == [401, 401, 200]


async def test_t18_a_key_that_is_taken_from_the_ring_ends_every_token_that_it_signed(
    database: str, tmp_path: Path
) -> None:
    store = new_store()
    stolen = owner_of(store, *STEPS[1])
    everywhere = token_keys(*STEPS[1]).sign(Caller("thief", "ops"), 10**6)
    with core_with(database, tmp_path, *STEPS[3]) as core:
        async with httpx.AsyncClient(base_url=core.stack.core_url) as client:
            for call in calls(store, "01a1fd30-7f1d-7595-993b-25007a0a41f5"):
                for who in (stolen, everywhere):
                    assert (await call.send(client, who)).status_code == 401, call
                # Nor under the name of the key that is there.
                renamed = jwt.encode(jwt.decode(everywhere, OLD, ["HS256"], audience="yabam"),
                                     OLD, "HS256", {"kid": "2026"})  # fmt: skip
                assert (await call.send(client, renamed)).status_code == 401, call


async def test_t19_ticket_keys_rotate_with_no_stream_refused(client: httpx.AsyncClient) -> None:
    def ring(step: int) -> TicketKeys:
        keys, kid = STEPS[step]
        return TicketKeys({name: key.encode() for name, key in keys.items()}, kid)

    async def opened(events_at: int, core_at: int) -> int:
        keys, kid = STEPS[events_at]
        async with running(ticket_keys=keys, ticket_kid=kid, events_lifetime_min_s=0.05,
                           events_lifetime_max_s=0.1) as server:  # fmt: skip
            text = ring(core_at).sign(make_ticket({"store:12": 0}, issued_at=time.time()))
            response = await client.get(f"{server.url}/v1/stream", params={"ticket": text})
            return response.status_code

    # Event servers are a step ahead of Core, or at the same.
    for events_at, core_at in ((0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3)):
        assert await opened(events_at, core_at) == 200, (events_at, core_at)
    assert await opened(3, 1) == 401  # the old key is gone: such tickets have expired by then


def start_core() -> None:
    """As far as `yabam core` goes with its keys."""
    settings = load(core_settings.CoreSettings)
    token_keys(settings.token_keys, settings.token_kid)
    ring = {kid: key.encode() for kid, key in settings.ticket_keys.items()}
    TicketKeys(ring, settings.ticket_kid)


def start_events() -> None:
    """As far as `yabam events` goes with its keys."""
    settings = load(event_settings.EventSettings)
    ticket_keys(settings)
    OpsTokens(settings.token_keys, time.time)


@pytest.mark.parametrize("which", ["YABAM_TOKEN_KEYS", "YABAM_TICKET_KEYS"])
def test_t20_a_short_key_stops_the_start_and_no_message_shows_a_key(
    monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    short = "short-secret-of-27-characte"
    good = {"a": KEYS.token}

    for name, value in {
        "YABAM_DATABASE_URL": "postgresql://u:password-of-ours@h/d",
        "YABAM_TOKEN_KEYS": json.dumps(good), "YABAM_TOKEN_KID": "a",
        "YABAM_TICKET_KEYS": json.dumps(good), "YABAM_TICKET_KID": "a",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    start_core()
    start_events()
    for keys in (
        json.dumps({"a": short}),
        json.dumps({"a": [KEYS.token]}),
        json.dumps([KEYS.token]),
        f'{{"a": "{KEYS.token}"',
        f'{{"a": {KEYS.token}}}',
    ):
        monkeypatch.setenv(which, keys)
        for start in (start_core, start_events):
            with pytest.raises(YabamError) as refused:
                start()
            for secret in (short, KEYS.token, "password-of-ours"):
                assert secret not in str(refused.value)


async def test_t21_a_ring_of_an_event_servers_own_is_worth_nothing_at_core(
    core: CoreService, client: httpx.AsyncClient
) -> None:
    store = new_store()
    ring = {"a1": "0123456789abcdef0123456789abcdef"}
    async with running(token_keys=ring) as server:
        scrape = await client.get(f"{server.url}/metrics", headers=bearer(ops_token()))
        assert scrape.status_code == 200
    for kid in ("a1", "local"):
        for claims in ({"role": "ops"}, {"role": "owner", "stores": ["*"]}):
            forged = jwt.encode(
                {"sub": "x", "aud": "yabam", "exp": int(time.time()) + 60} | claims,
                ring["a1"], "HS256", {"kid": kid})  # fmt: skip
            for call in calls(store, "01a1fd30-7f1d-7595-993b-25007a0a41f5"):
                assert (await call.send(core.client, forged)).status_code == 401, call


@asynccontextmanager
async def broken_into() -> AsyncIterator[tuple[str, asyncio.Queue[str]]]:
    """A node whose thief keeps each token that it is shown; its address, and the tokens."""
    shown = asyncio.Queue[str]()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        for line in head.split("\r\n"):
            name, _, value = line.partition(": ")
            if name.lower() == "authorization":
                shown.put_nowait(value.removeprefix("Bearer "))
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with serving(take) as port:
        yield f"http://127.0.0.1:{port}", shown


async def test_t21_what_core_shows_to_its_nodes_is_worth_nothing_at_core(
    database: str, tmp_path: Path
) -> None:
    store = new_store()
    async with broken_into() as (node, shown):
        settings = {
            "YABAM_OPS_NODES": json.dumps([node]),
            "YABAM_OPS_NODES_KEY": json.dumps({"nodes": NEW}),
        }
        core = await asyncio.to_thread(CoreService.start, database, tmp_path, settings)
        try:
            async with (
                httpx.AsyncClient(base_url=core.stack.core_url, timeout=30) as client,
                client.stream("GET", "/v1/ops/stream", headers=bearer(token("ops"))) as figures,
            ):
                assert figures.status_code == 200
                stolen = await asyncio.wait_for(shown.get(), 30)
                assert jwt.decode(stolen, NEW, ["HS256"], audience="yabam")["role"] == "ops"
                OpsTokens({"nodes": NEW}, time.time).check(f"Bearer {stolen}")
                own = jwt.encode({"sub": "x", "aud": "yabam", "exp": int(time.time()) + 60,
                                  "role": "owner", "stores": ["*"]},
                                 NEW, "HS256", {"kid": "nodes"})  # fmt: skip
                for call in calls(store, "01a1fd30-7f1d-7595-993b-25007a0a41f5"):
                    for who in (stolen, own):
                        assert (await call.send(client, who)).status_code == 401, call
        finally:
            await asyncio.to_thread(core.stop)
