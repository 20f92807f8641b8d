"""T12 to T16: what a ticket opens, for how long, and what it tells."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

import httpx
import jwt
import pytest

from client_sdk.contract.errors import TicketError
from client_sdk.contract.problem import decode_problem
from tests.integration.core_service import CoreService, bearer, new_store, token
from tests.integration.event_server.conftest import Running, following, running
from tests.security.routes import calls, placed
from tests.unit.event_server.parts import KEYS, make_ticket

STORE = "store:12"


async def refusal(
    client: httpx.AsyncClient, server: Running, ticket: str, last_event_id: str = ""
) -> str:
    """Why the stream is refused."""
    params = {"ticket": ticket, "lastEventId": last_event_id}
    problem = decode_problem((await client.get(f"{server.url}/v1/stream", params=params)).content)
    assert problem is not None
    return problem.slug


async def granted(core: CoreService, store: str, who: str) -> str:
    """A ticket from Core."""
    response = await core.client.get(f"/v1/sync?channel=store:{store}", headers=bearer(who))
    text: str = response.json()["stream"]["ticket"]
    return text


async def test_t12_a_ticket_opens_the_channels_that_it_names_and_no_other(
    client: httpx.AsyncClient,
) -> None:
    async with running() as server:
        ticket = server.ticket({"table:12/5": 0})
        for other in ("store:12@0", "table:12/6@0", "table:12/5@0,store:12@0"):
            assert await refusal(client, server, ticket, other) == "forbidden"
        async with following(client, server, ticket) as stream:
            await stream.next()
            server.publish("store:13@1")
            server.publish("store:12@1", "table:12/6@1")
            server.publish("store:12@2", "table:12/5@1")
            assert (await stream.next()).last_event_id == "table:12/5@1"


async def test_t13_core_takes_a_ticket_on_no_route(core: CoreService) -> None:
    store = new_store()
    order_id = await placed(core, store)
    ticket = await granted(core, store, token("owner", store))
    for call in calls(store, order_id):
        assert (await call.send(core.client, ticket)).status_code == 401, call
        by_query = await core.client.request(
            call.method, call.path, params={"ticket": ticket}, json=call.json
        )
        assert by_query.status_code == 401, call


async def test_t14_a_stolen_ticket_shows_its_channels_for_its_life_and_one_stream_more(
    core: CoreService, client: httpx.AsyncClient
) -> None:
    store = new_store()
    said = core.tickets.verify(await granted(core, store, token("owner", store)), 0.0)
    assert said.expires_at - said.issued_at == pytest.approx(30.0)
    lifetime_s, ttl_s = 0.6, 1.2
    limits = {"events_lifetime_min_s": 0.1, "events_lifetime_max_s": lifetime_s}
    async with running(**limits, events_ring_events=2) as server:
        begun = time.monotonic()
        ticket = server.ticket({STORE: 3}, ttl=ttl_s)
        for seq in range(1, 6):
            server.publish(f"{STORE}@{seq}")
        for _ in range(3):
            async with following(client, server, ticket) as stream:
                events = [await stream.next() for _ in range(3)]
                assert [event.last_event_id for event in events] == ["", f"{STORE}@4", f"{STORE}@5"]
        # Further back than the ring it shows nothing, whatever its thief claims to have.
        async with following(client, server, ticket, f"{STORE}@1") as stream:
            assert (await stream.next()).type == "sync-required"
        async with following(client, server, ticket, f"{STORE}@5") as stream:
            await stream.rest()
        ended = time.monotonic()
        while time.monotonic() < begun + ttl_s:
            server.mark()
            await asyncio.sleep(0.05)
        server.mark()
        assert await refusal(client, server, ticket) == "bad-ticket"
        assert ended - begun < ttl_s + lifetime_s + server.server.settings.events_abort_after_s


async def test_t15_a_ticket_that_differs_in_one_bit_is_refused(
    client: httpx.AsyncClient,
) -> None:
    text = KEYS.sign(make_ticket({STORE: 1}, issued_at=time.time()))
    raw = text.encode()
    for place in range(len(raw)):
        for bit in range(8):
            changed = bytes([*raw[:place], raw[place] ^ 1 << bit, *raw[place + 1 :]])
            with pytest.raises(TicketError):
                KEYS.verify(changed.decode("latin-1"), time.time())
    header, payload, mac = text.split(".")
    wider = urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).replace(b"12", b"13")
    forged = f"{header}.{urlsafe_b64encode(wider).rstrip(b'=').decode()}.{mac}"
    async with running() as server:
        for ticket in (forged, text[:-1], text + "A", f"{header}.{payload}.", payload, "x"):
            assert await refusal(client, server, ticket) == "bad-ticket"


async def test_t16_a_ticket_holds_no_token_no_key_and_nothing_of_an_order(
    core: CoreService,
) -> None:
    store = new_store()
    order_id = await placed(core, store, note="no onions")
    who = token("owner", store)
    payload = (await granted(core, store, who)).split(".")[1]
    said = urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
    usual = {"epoch", "cursor", "issued_at", "expires_at", "subject"}
    # The hashes by which a revocation finds it.
    assert set(json.loads(said)) == usual | {"token", "session", "made_at"}
    assert json.loads(said)["cursor"] == {f"store:{store}": 1}
    for secret in (
        order_id,
        "onions",
        "Kim",
        "010-5550",
        who,
        who.split(".")[2],
        *(jwt.decode(who, options={"verify_signature": False})[name] for name in ("jti", "sid")),
        "k" * 32,
        "t" * 32,
    ):
        assert secret not in said
