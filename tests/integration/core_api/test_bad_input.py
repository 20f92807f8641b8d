"""Bad input: each gets its problem, says what was wrong, and leaks nothing."""

from __future__ import annotations

from typing import Any

import pytest

from client_sdk.contract.problem import TITLES
from tests.integration.core_service import ITEM, CoreService, an_order, bearer, new_store, token

JSON = {"content-type": "application/json"}


def check(response: Any, slug: str) -> str:
    """It is this problem, complete and without a trace of our insides; its detail."""
    status, title = TITLES[slug]
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem["status"]) == (status, status), response.text
    assert (problem["type"], problem["title"]) == (f"urn:yabam:problem:{slug}", title)
    assert len(problem["detail"]) > 10
    for leak in ("Traceback", "asyncpg", "core_api", "msgspec", "File "):
        assert leak not in response.text
    return str(problem["detail"])


def bad_orders() -> dict[str, tuple[dict[str, Any], str]]:
    """Bodies that break a rule, with what the answer must name."""
    good = an_order("s")
    return {
        "an unknown field": (good | {"colour": "red"}, "colour"),
        "a field that is missing": ({"store_id": "s", "items": [ITEM]}, "currency"),
        "a wrong type": (good | {"items": "none"}, "items"),
        "no item": (good | {"items": []}, "items"),
        "too many items": (good | {"items": [ITEM] * 201}, "items"),
        "money as a fraction": (good | {"items": [ITEM | {"unit_price": 1.5}]}, "unit_price"),
        "money below nothing": (good | {"items": [ITEM | {"unit_price": -1}]}, "unit_price"),
        "a quantity of nothing": (good | {"items": [ITEM | {"quantity": 0}]}, "quantity"),
        "a name of nothing": (good | {"items": [ITEM | {"name": ""}]}, "name"),
        "a currency that is none": (good | {"currency": "krw"}, "currency"),
        "a currency with a line end": (good | {"currency": "KRW\n"}, "currency"),
        "a store with a line end": (good | {"store_id": "s\n"}, "store_id"),
        "a store with a slash": (good | {"store_id": "s/5"}, "store_id"),
        "a store too long": (good | {"store_id": "s" * 65}, "store_id"),
        "a table with an at sign": (good | {"table_id": "5@1"}, "table_id"),
        "a note too long": (good | {"note": "x" * 501}, "note"),
        "a NUL in a note": (good | {"note": "a\0b"}, "note"),
        "a NUL in an item": (good | {"items": [ITEM | {"name": "a\0"}]}, "name"),
        "a guest with a field of his own": (good | {"guest": {"age": 7}}, "age"),
    }


@pytest.mark.parametrize("name", bad_orders())
async def test_a_body_that_breaks_a_rule_is_refused_and_names_the_field(
    core: CoreService, name: str
) -> None:
    body, names = bad_orders()[name]
    response = await core.client.post("/v1/orders", json=body, headers=bearer(token("owner", "*")))
    assert names in check(response, "invalid")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json",
        b'{"store_id": "\xff\xfe"}',
        b'{"store_id":"s","note":"\\ud800","currency":"KRW","items":[]}',
        b"\xef\xbb\xbf{}",
    ],
    ids=["empty", "cut", "text", "bad utf-8", "lone surrogate", "bom"],
)
async def test_what_is_not_json_in_utf8_is_refused(core: CoreService, body: bytes) -> None:
    response = await core.client.post(
        "/v1/orders", content=body, headers=bearer(token("owner", "*")) | JSON
    )
    check(response, "bad-json")


async def test_a_number_as_body_is_refused(core: CoreService) -> None:
    response = await core.client.post(
        "/v1/orders", content=b"1", headers=bearer(token("owner", "*")) | JSON
    )
    check(response, "invalid")


async def test_a_body_over_64_kib_is_refused_with_and_without_its_length(
    core: CoreService,
) -> None:
    body = b'{"note":"' + b"x" * 65_536 + b'"}'
    headers = bearer(token("owner", "*")) | JSON

    async def in_pieces() -> Any:
        yield body[:40_000]
        yield body[40_000:]

    check(await core.client.post("/v1/orders", content=body, headers=headers), "too-large")
    check(await core.client.post("/v1/orders", content=in_pieces(), headers=headers), "too-large")


async def test_a_body_of_another_kind_is_refused(core: CoreService) -> None:
    response = await core.client.post(
        "/v1/orders", content=b"{}", headers=bearer(token("owner", "*"))
    )
    check(response, "unsupported-media-type")


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ("", "bad-channel"),
        ("channel=shop:1", "bad-channel"),
        ("channel=store:", "bad-channel"),
        ("channel=store:1%0A", "bad-channel"),
        ("channel=table:1", "bad-channel"),
        ("channel=store:1&channel=store:1", "bad-channel"),
        ("channel=store:1&lastEventId=abc", "bad-cursor"),
        ("channel=store:1&lastEventId=-1", "bad-cursor"),
        ("channel=store:1&lastEventId=9223372036854775808", "bad-cursor"),
        ("channel=store:1&lastEventId=%D9%A1", "bad-cursor"),
        ("channel=store:1&lastEventId=store:2@1", "bad-cursor"),
        ("channel=store:1&lastEventId=store:1@1,store:1@2", "bad-cursor"),
        ("channel=store:1&channel=store:2&lastEventId=5", "bad-cursor"),
        ("channel=store:1&lastEventId=store:1@1,,", "bad-cursor"),
        ("channel=store:1&limit=0", "bad-request"),
        ("channel=store:1&limit=1001", "bad-request"),
        ("channel=store:1&limit=x", "bad-request"),
        ("channel=store:1&wait=-1", "bad-request"),
        ("channel=store:1&wait=26", "bad-request"),
        ("channel=store:1&wait=nan", "bad-request"),
        ("channel=store:1&wait=1&wait=2", "bad-request"),
        ("channel=store:1&chanel=store:2", "bad-request"),
    ],
)
async def test_a_malformed_sync_is_refused(core: CoreService, query: str, slug: str) -> None:
    response = await core.client.get(f"/v1/sync?{query}", headers=bearer(token("owner", "*")))
    check(response, slug)


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"channels": {}}, "invalid"),
        ({"channels": {"store:1": -1}}, "bad-cursor"),
        ({"channels": {"shop:1": 1}}, "bad-channel"),
        ({"channels": {"store:1": 1}, "limit": 0}, "invalid"),
        ({"channels": {"store:1": 1}, "wait": 99}, "invalid"),
        ({"channels": {"store:1": 1}, "more": 1}, "invalid"),
    ],
)
async def test_a_malformed_sync_body_is_refused(
    core: CoreService, body: dict[str, Any], slug: str
) -> None:
    response = await core.client.post("/v1/sync", json=body, headers=bearer(token("owner", "*")))
    check(response, slug)


@pytest.mark.parametrize(
    "headers",
    [
        {"if-match": "3"},
        {"if-match": '"x"'},
        {"yabam-if-updated-at": "2026-11-22"},
        {"yabam-if-updated-at": "2026-02-30T00:00:00Z"},
        {"yabam-if-updated-at": "2026-11-22T09:30:00+09:00"},
        {"yabam-if-updated-at": ""},
        {"idempotency-key": ""},
        {"idempotency-key": "k" * 256},
    ],
)
async def test_a_malformed_header_is_refused(core: CoreService, headers: dict[str, str]) -> None:
    store = new_store()
    placed = await core.client.post(
        "/v1/orders", json=an_order(store), headers=bearer(token("owner", store))
    )
    response = await core.client.post(
        f"/v1/orders/{placed.json()['id']}/transitions",
        json={"to": "accepted"},
        headers=bearer(token("owner", store)) | headers,
    )
    check(response, "bad-request")


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"to": "ready"}, "impossible-transition"),
        ({"to": "placed"}, "invalid"),
        ({"to": "eaten"}, "invalid"),
        ({"to": "accepted", "reason": "why"}, "invalid"),
    ],
)
async def test_an_impossible_step_is_refused(
    core: CoreService, body: dict[str, Any], slug: str
) -> None:
    store = new_store()
    placed = await core.client.post(
        "/v1/orders", json=an_order(store), headers=bearer(token("owner", store))
    )
    response = await core.client.post(
        f"/v1/orders/{placed.json()['id']}/transitions",
        json=body,
        headers=bearer(token("owner", store)),
    )
    check(response, slug)


async def test_a_change_of_nothing_is_refused(core: CoreService) -> None:
    store = new_store()
    placed = await core.client.post(
        "/v1/orders", json=an_order(store), headers=bearer(token("owner", store))
    )
    response = await core.client.patch(
        f"/v1/orders/{placed.json()['id']}", json={}, headers=bearer(token("owner", store))
    )
    check(response, "invalid")


@pytest.mark.parametrize(
    ("method", "path", "slug"),
    [
        ("GET", "/v1", "not-found"),
        ("GET", "/v2/sync", "not-found"),
        ("DELETE", "/v1/orders", "method-not-allowed"),
        ("PUT", "/v1/sync", "method-not-allowed"),
    ],
)
async def test_a_wrong_path_or_method_is_a_problem_too(
    core: CoreService, method: str, path: str, slug: str
) -> None:
    check(await core.client.request(method, path, headers=bearer(token("ops"))), slug)


@pytest.mark.parametrize(
    "text",
    [
        "a.b.c",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4Iiwicm9sZSI6Im9wcyIsImV4cCI6OTk5OTk5OTk5OX0.",
        "x" * 9000,
        token("owner", "1")[:-4] + "AAAA",
    ],
    ids=["nonsense", "alg none", "endless", "another signature"],
)
async def test_a_forged_token_is_refused(core: CoreService, text: str) -> None:
    response = await core.client.get("/v1/sync?channel=store:1", headers=bearer(text))
    check(response, "unauthorized")
