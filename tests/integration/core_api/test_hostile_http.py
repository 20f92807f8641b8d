"""Requests that no library of good will sends: each gets a problem, and Core goes on serving."""

from __future__ import annotations

import asyncio
import json
import re
from urllib.parse import quote, urlsplit

import pytest

from client_sdk.contract.problem import TITLES, decode_problem
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token

NOTE = (
    'sep\u2028par\u2029nel\u0085new\r\nline\ttab \x01\x1f\x7f "q" \\ / 🍜👩\u200d👧 \u202e ﷽'
    " e\u0301 \ufeff \uffff </script>"
)


async def send(core: CoreService, *chunks: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send these bytes as they are; the answer's status, headers and body."""
    address = urlsplit(core.stack.core_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        async with asyncio.timeout(10):
            head, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
            headers = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, _, value in (line.partition(b": ") for line in rest.split(b"\r\n"))
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        return int(head.split(b" ")[1]), headers, body
    finally:
        writer.close()


def request(
    method: str, target: bytes | str, *headers: bytes, body: bytes = b"", who: str | None = None
) -> bytes:
    """A request with any bytes in its target and headers."""
    lines = [b"%b %b HTTP/1.1" % (method.encode(), target if isinstance(target, bytes) else
                                  target.encode()), b"Host: x"]  # fmt: skip
    text = token("owner", "*") if who is None else who
    if text:
        lines.append(b"Authorization: Bearer " + text.encode())
    if body:
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, *headers]) + b"\r\n\r\n" + body


def check(answer: tuple[int, dict[str, str], bytes], slug: str) -> None:
    status, headers, body = answer
    assert headers["content-type"] == "application/problem+json", body
    problem = decode_problem(body)
    assert problem is not None
    assert (problem.slug, problem.status, status) == (slug, TITLES[slug][0], TITLES[slug][0]), body
    assert b"Traceback" not in body
    assert b"core_api" not in body


ORDER = json.dumps(an_order("s")).encode()


@pytest.mark.parametrize(
    ("target", "slug"),
    [
        (b"/v1/sync?channel=store:%ff", "bad-channel"),
        (b"/v1/sync?channel=store:%00", "bad-channel"),
        (b"/v1/sync?channel=store:1%0d%0aX-Forged:%201", "bad-channel"),
        (b"/v1/sync?channel=store:%F0%9F%8D%9C", "bad-channel"),
        (b"/v1/sync?channel=store:1&lastEventId=%ED%A0%80", "bad-cursor"),
        (b"/v1/sync?channel=store:1&%00=1", "bad-request"),
        (b"/v1/sync?channel=store:1&wait=%E2%88%9E", "bad-request"),
        (b"/v1/sync?" + b"&".join(b"channel=store:%d" % n for n in range(501)), "bad-channel"),
        (b"/v1/orders/%00", "not-found"),
        (b"/v1/orders/%ff%fe", "not-found"),
        (b"/v1/orders/..%2f..%2fetc", "not-found"),
        (b"/v1/orders/%E2%80%A8", "not-found"),
        (b"/v1/orders/" + b"a" * 8000, "not-found"),
        (b"/v1/orders/1'%20OR%20'1'='1", "not-found"),
        (b"//v1/orders", "not-found"),
        (b"/v1/sync/", "not-found"),
        (b"/v1/", "not-found"),
    ],
    ids=lambda value: ascii(value)[:50],
)
async def test_a_target_of_any_bytes_gets_its_problem(
    core: CoreService, target: bytes, slug: str
) -> None:
    check(await send(core, request("GET", target)), slug)


@pytest.mark.parametrize(
    ("header", "slug"),
    [
        (b"Idempotency-Key: a b", "bad-request"),
        (b"Idempotency-Key: \xc3\xa9", "bad-request"),
        (b"Idempotency-Key: \xff\xff", "bad-request"),
        (b"Idempotency-Key:", "bad-request"),
        (b"Idempotency-Key: " + b"k" * 256, "bad-request"),
        (b'Idempotency-Key: ""', "bad-request"),
        (b"Content-Type: text/plain", "unsupported-media-type"),
    ],
    ids=lambda value: ascii(value)[:40],
)
async def test_a_header_of_any_bytes_gets_its_problem(
    core: CoreService, header: bytes, slug: str
) -> None:
    own_type = b"" if header.startswith(b"Content-Type") else b"Content-Type: application/json"
    lines = [line for line in (header, own_type, b"Content-Length: %d" % len(ORDER)) if line]
    check(await send(core, request("POST", "/v1/orders", *lines) + ORDER), slug)


@pytest.mark.parametrize(
    "if_match",
    [b"3", b'"0"', b'"-1"', b'"01"', b'W/"1"', b'"1", "2"', b'"\xb2"', b"", b'"1"x', b'""',
     b'"99999999999"', b"**"],
)  # fmt: skip
async def test_an_if_match_that_no_etag_gave_is_refused(core: CoreService, if_match: bytes) -> None:
    store = new_store()
    placed = await core.client.post(
        "/v1/orders", json=an_order(store), headers=bearer(token("owner", store))
    )
    line = b"If-Match: " + if_match
    step = request(
        "POST", f"/v1/orders/{placed.json()['id']}/transitions", line, body=b'{"to":"accepted"}'
    )
    check(await send(core, step), "bad-request")


@pytest.mark.parametrize(
    "authorization",
    [b"Bearer", b"Bearer ", b"Basic b3duZXI6", b"Bearer \xff\xfe", b"Bearer a b c", b"",
     b"Bearer " + b"x" * 20_000, b"Token abc"],
    ids=lambda value: ascii(value)[:20],
)  # fmt: skip
async def test_an_authorization_of_any_other_form_is_refused(
    core: CoreService, authorization: bytes
) -> None:
    line = b"Authorization: " + authorization
    answer = await send(core, request("GET", "/v1/sync?channel=store:1", line, who=""))
    check(answer, "unauthorized")
    assert answer[1]["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/sync", {"GET", "HEAD", "POST"}),
        ("/v1/orders", {"POST"}),
        ("/v1/orders/x", {"GET", "HEAD", "PATCH"}),
        ("/healthz", {"GET", "HEAD"}),
    ],
)
async def test_another_method_is_refused_and_told_which_there_are(
    core: CoreService, method: str, path: str, allowed: set[str]
) -> None:
    answer = await send(core, request(method, path))
    check(answer, "method-not-allowed")
    assert set(answer[1]["allow"].split(", ")) == allowed


async def test_a_head_request_is_answered_as_its_get_without_the_body(core: CoreService) -> None:
    answer = await core.client.head("/v1/sync?channel=store:1", headers=bearer(token("owner", "1")))
    assert (answer.status_code, answer.content) == (200, b"")


CHUNKED = (b"Content-Type: application/json", b"Transfer-Encoding: chunked")


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/sync"])
@pytest.mark.parametrize(
    "rest", [b"zz\r\n", b"5\r\n{}   xx", b"-1\r\n", b"2\r\n{}\r\n0\r\nbad\r\n\r\n"]
)
async def test_a_malformed_body_is_refused_at_once_and_the_connection_closed(
    core: CoreService, path: str, rest: bytes
) -> None:
    address = urlsplit(core.stack.core_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(request("POST", path, *CHUNKED) + rest)
        # Core would wait ten seconds for the rest of a request, and then cut without an answer.
        async with asyncio.timeout(8):
            whole = await reader.read()
        head, _, body = whole.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"connection: close" in head
        problem = decode_problem(body)
        assert problem is not None
        assert problem.slug == "bad-request"
    finally:
        writer.close()


async def test_a_malformed_body_behind_another_request_costs_that_one_no_answer(
    core: CoreService,
) -> None:
    address = urlsplit(core.stack.core_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        first = request("POST", "/v1/orders", body=ORDER)
        writer.write(first + request("POST", "/v1/orders", *CHUNKED) + b"zz\r\n")
        async with asyncio.timeout(8):
            whole = await reader.read()
        assert re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", whole) == [b"201", b"400"]
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /healthz HTTP/1.1", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a b", 400),
        (b"GET /healthz HTTP/2.0\r\nHost: a", 505),
        (b"GET /healthz HTTP/1.0", 200),
        (b"GET /healthz HTTP/1.1\r\nHost: [::1]:80", 200),
    ],
)
async def test_a_head_has_one_host_and_is_of_http_1(
    core: CoreService, head: bytes, status: int
) -> None:
    answer = await send(core, head + b"\r\n\r\n")
    assert answer[0] == status
    if status != 200:
        assert answer[1]["content-type"] == "application/problem+json"
        assert json.loads(answer[2])["status"] == status
        assert answer[1]["connection"] == "close"


async def test_an_id_that_is_spelled_otherwise_does_not_tell_whether_the_order_exists(
    core: CoreService,
) -> None:
    store = new_store()
    placed = await core.client.post(
        "/v1/orders", json=an_order(store), headers=bearer(token("owner", store))
    )
    there = placed.json()["id"]
    absent = "018f0000-0000-7abc-8def-00000000000a"
    stranger = bearer(token("owner", new_store()))
    for spelled in (str.upper, lambda text: text.replace("-", ""), lambda text: "{" + text + "}"):
        told = set()
        for order_id in (there, absent):
            text = spelled(order_id)
            for who in (stranger, bearer(token("owner", store))):
                answer = await core.client.get(f"/v1/orders/{quote(text)}", headers=who)
                assert answer.status_code == 404
                told.add(answer.text.replace(text, "X"))
        assert len(told) == 1


def padded(size: int) -> bytes:
    """A good order of exactly this many bytes."""
    body = json.dumps(an_order("s")).encode()
    return body + b" " * (size - len(body))


async def test_a_body_of_exactly_64_kib_is_taken_and_one_byte_more_is_not(
    core: CoreService,
) -> None:
    status, _, _ = await send(core, request("POST", "/v1/orders", body=padded(65_536)))
    assert status == 201
    check(await send(core, request("POST", "/v1/orders", body=padded(65_537))), "too-large")


async def test_a_body_that_is_too_large_is_refused_before_it_is_sent(core: CoreService) -> None:
    head = request("POST", "/v1/orders", b"Content-Type: application/json",
                   b"Content-Length: 99999999999")  # fmt: skip
    check(await send(core, head), "too-large")


async def test_a_body_without_length_is_refused_as_soon_as_it_is_too_large(
    core: CoreService,
) -> None:
    head = request("POST", "/v1/orders", b"Content-Type: application/json",
                   b"Transfer-Encoding: chunked")  # fmt: skip
    piece = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    check(await send(core, head, piece, piece, piece), "too-large")


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        (b'{"store_id":"s","note":"\xff"}', "bad-json"),
        (b'{"store_id":"s","note":"\xed\xa0\x80"}', "bad-json"),
        (b'{"store_id":"\\ud800"}', "bad-json"),
        (b'{"store_id":"\\udc00\\ud800"}', "bad-json"),
        (b'{"store_id":"\xc0\x80"}', "bad-json"),
        (b'{"store_id":NaN}', "bad-json"),
        (b"{'store_id':'s'}", "bad-json"),
        (b'{"store_id":"s",}', "bad-json"),
        (b'{"store_id":"a\nb"}', "bad-json"),
        ('{"store_id":"s"}'.encode("utf-16"), "bad-json"),
        (b"{}{}", "invalid"),
        (b"null", "invalid"),
        (b"[]", "invalid"),
        (b'"s"', "invalid"),
        (b'{"x":' + b"[" * 30_000, "invalid"),
        (b"[" * 30_000, "invalid"),
        (b'{"items":[{"quantity":' + b"9" * 30_000 + b"}]}", "invalid"),
        (b'{"items":[{"quantity":1e999}]}', "invalid"),
    ],
    ids=lambda value: ascii(value)[:30],
)
@pytest.mark.parametrize("path", ["/v1/orders", "/v1/orders/batch", "/v1/sync"])
async def test_a_body_of_any_bytes_gets_its_problem(
    core: CoreService, path: str, body: bytes, slug: str
) -> None:
    status, headers, raw = await send(core, request("POST", path, body=body))
    problem = decode_problem(raw)
    assert problem is not None
    assert headers["content-type"] == "application/problem+json"
    # Where two things are wrong, either may be named: the fields come before the end of the text.
    assert problem.slug in ("bad-json", "invalid"), raw
    if path == "/v1/orders" and slug == "bad-json":
        assert (status, problem.slug) in ((400, "bad-json"), (422, "invalid"))
    assert b"Traceback" not in raw
    assert (await core.client.get("/healthz")).status_code == 200


async def test_a_note_arrives_exactly_as_it_was_sent_on_every_path(core: CoreService) -> None:
    store = new_store()
    headers = bearer(token("owner", store))
    item = {"name": NOTE[:200], "quantity": 1, "unit_price": 1, "note": NOTE}
    placed = await core.client.post(
        "/v1/orders",
        json=an_order(store, note=NOTE, reference=NOTE[:100], items=[item],
                      guest={"name": NOTE, "phone": NOTE[:40]}),
        headers=headers,
    )  # fmt: skip
    assert placed.status_code == 201, placed.text
    order_id = placed.json()["id"]
    await core.client.patch(f"/v1/orders/{order_id}", json={"note": NOTE * 2}, headers=headers)
    cancelled = await core.client.post(
        f"/v1/orders/{order_id}/transitions",
        json={"to": "cancelled", "reason": NOTE},
        headers=headers,
    )
    read = await core.client.get(f"/v1/orders/{order_id}", headers=headers)
    synced = await core.client.get(f"/v1/sync?channel=store:{store}&lastEventId=0", headers=headers)
    events = synced.json()["channels"][0]["events"]
    for order in (cancelled.json(), read.json(), events[2]["data"]):
        assert (order["note"], order["reason"]) == (NOTE * 2, NOTE)
        assert order["items"][0]["note"] == NOTE
        assert order["guest"]["name"] == NOTE
    assert events[0]["data"]["note"] == NOTE
    for raw in (read.content, synced.content):
        assert len(raw.splitlines()) == 1


async def test_a_text_that_is_no_http_is_refused_and_core_goes_on_serving(
    core: CoreService,
) -> None:
    for text in (b"BREW / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9\r\n\r\n",
                 b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):  # fmt: skip
        status, _, body = await send(core, text)
        assert status == 400
        assert b"Traceback" not in body
    assert (await core.client.get("/healthz")).status_code == 200


async def test_a_client_that_hangs_up_harms_nobody(core: CoreService) -> None:
    address = urlsplit(core.stack.core_url)
    whole = request("POST", "/v1/orders", body=padded(2000))
    for cut in (1, 30, len(whole) - 100, len(whole)):
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(whole[:cut])
        writer.close()
    waiting = request("GET", f"/v1/sync?channel=store:{new_store()}&lastEventId=0&wait=20")
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(waiting)
    await writer.drain()
    writer.close()
    check(await send(core, request("GET", "/v1/orders/" + quote("김밥"))), "not-found")
