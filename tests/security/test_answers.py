"""T24 to T26: what an answer tells, to whom, and what of a request it heeds."""

from __future__ import annotations

import asyncpg
import httpx
import pytest
from starlette.requests import Request

from core_api.errors import UnavailableError
from core_api.problems import on_core_error
from tests.integration.core_api.test_hostile_http import request, send
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.integration.event_server.conftest import running
from tests.security.routes import OPEN, calls, placed

INSIDE = (
    "Traceback",
    "File ",
    "asyncpg",
    "core_api",
    "DETAIL",
    "INSERT",
    "postgresql://",
    "10.0.0.7",
)


async def test_t24_an_error_answer_shows_no_host_no_query_no_file_and_no_traceback(
    core: CoreService, db: asyncpg.Connection[asyncpg.Record]
) -> None:
    store = new_store()
    owner = bearer(token("owner", store))
    reason = UnavailableError("could not connect to 10.0.0.7:5432, postgresql://u:p@10.0.0.7/d")
    answers = [bytes((await on_core_error(Request({"type": "http"}), reason)).body).decode()]
    for body in (b"{", b"[]", b"\xff", b'{"store_id": 1}', b"[" * 30_000):
        _, _, raw = await send(core, request("POST", "/v1/orders", body=body))
        answers.append(raw.decode())
    paths = ("/v1/orders/1'--", "/v1/sync?channel='", "/%00", "/v1/stores/%27/devices")
    answers += [(await core.client.get(path, headers=owner)).text for path in paths]
    rule = f"order_of_{store}"
    await db.execute(f"ALTER TABLE orders ADD CONSTRAINT {rule} CHECK (store_id <> '{store}')")
    try:
        failed = await core.client.post("/v1/orders", json=an_order(store), headers=owner)
    finally:
        await db.execute(f"ALTER TABLE orders DROP CONSTRAINT {rule}")
    assert failed.status_code == 500
    for text in [*answers, failed.text.replace(store, "")]:
        assert '"type":"urn:yabam:problem:' in text
        for inside in (*INSIDE, rule):
            assert inside not in text


async def test_t25_a_page_of_another_origin_has_no_rights_of_its_visitors(
    core: CoreService, client: httpx.AsyncClient
) -> None:
    store = new_store()
    order_id = await placed(core, store)
    page = {"origin": "https://elsewhere.example"}
    for call in calls(store, order_id):
        cookie = {"cookie": f"token={token('owner', store)}; authorization=Bearer x"} | page
        answer = await core.client.request(call.method, call.path, json=call.json, headers=cookie)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers
    async with running(cors_origins=["https://ours.example"]) as server:
        for path in ("/v1/stream", "/healthz"):
            theirs = await client.get(server.url + path, headers=page)
            assert "access-control-allow-origin" not in theirs.headers
            ours = await client.get(server.url + path, headers={"origin": "https://ours.example"})
            assert ours.headers["access-control-allow-origin"] == "https://ours.example"
            assert "access-control-allow-credentials" not in ours.headers


@pytest.mark.parametrize(
    "headers", [[b"Host: evil.example:1@x"], [b"Host: a", b"Host: evil.example"], []]
)
async def test_t26_a_host_that_is_malformed_doubled_or_missing_is_refused(
    core: CoreService, headers: list[bytes]
) -> None:
    for target in ("/v1/orders", "/metrics", *sorted(OPEN)):
        text = b"\r\n".join([b"GET %b HTTP/1.1" % target.encode(), *headers])
        got, told, body = await send(core, text + b"\r\n\r\n")
        assert got == 400
        assert "evil" not in body.decode() + str(told)


@pytest.mark.parametrize(
    "headers",
    [
        [b"Host: evil.example"],
        [b"Host: x", b"X-Forwarded-Host: evil.example", b"X-Forwarded-Proto: evil"],
        [b"Host: x", b"Forwarded: for=evil.example;host=evil.example;proto=evil"],
        [b"Host: x", b"X-Forwarded-For: 127.0.0.1", b"X-Real-IP: evil", b"X-Original-URL: /evil"],
        [b"Host: x", b"X-HTTP-Method-Override: DELETE", b"X-Rewrite-URL: /metrics"],
    ],
    ids=lambda value: b"_".join(value).decode()[:40],
)
async def test_t26_host_and_forwarded_headers_change_no_answer(
    core: CoreService, headers: list[bytes]
) -> None:
    store = new_store()
    await placed(core, store)
    authorization = b"Authorization: Bearer " + token("owner", store).encode()
    for target, status in (
        (f"/v1/sync?channel=store:{store}", 200),
        ("/v1/sync/", 404),
        ("/v1/orders", 405),
        ("/metrics", 403),
        *((path, 200) for path in sorted(OPEN)),
    ):
        text = b"\r\n".join([b"GET %b HTTP/1.1" % target.encode(), *headers, authorization])
        got, told, body = await send(core, text + b"\r\n\r\n")
        assert got == status
        assert "evil" not in body.decode() + str(told)
        if target.startswith("/v1/sync?"):
            assert core.stack.events_url in body.decode()
