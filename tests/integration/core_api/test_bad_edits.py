"""Each bad edit gets its problem, says what was wrong, and changes nothing, in whole or in part."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from client_sdk.contract.limits import MAX_VALUE_BYTES
from client_sdk.contract.problem import TITLES
from client_sdk.contract.state.edit import EditOutcome, decode_edits
from core_api.access.callers import Caller
from core_api.documents.definitions import Definition, Definitions
from core_api.edits.service import EditService
from core_api.postgres.pool import LOCK_WAIT_S, open_pool
from tests.integration.core_service import CoreService, bearer, new_store, token

Json = dict[str, Any]
_PLAIN: Any = {"type": "object"}


def an_edit(n: int, store: str, do: Json, **more: Any) -> Json:
    where = {"channel": f"public:{store}", "key": "waiting-time", "base": 1}
    return {"n": n, "do": do} | where | more


def bad_edits(store: str) -> dict[str, tuple[Json, str, str]]:
    """Edits of a document at version 1, the problem of each, and what its detail must name."""
    good = {"set": {"value": 30}}
    long_ago = "2020-01-01T00:00:00Z"
    too_many = {f"i{n}": {"name": "x"} for n in range(2001)}
    return {
        "an unknown key": (an_edit(2, store, good, key="weather"), "unknown-document", "weather"),
        "a key of another scope": (an_edit(2, store, good, key="cart"), "unknown-document", "cart"),
        "a channel of orders": (an_edit(2, store, good, channel=f"store:{store}"),
                                "unknown-document", "store"),
        "a channel that is none": (an_edit(2, store, good, channel="shop:1"), "bad-channel",
                                   "shop"),
        "another store's channel": (an_edit(2, store, good, channel="public:other"), "forbidden",
                                    "public:other"),
        "a document that others write": (an_edit(2, store, good, channel="global", key="notice"),
                                         "forbidden", "notice"),
        "an operation of a wrong type": (an_edit(2, store, {"set": 30}), "invalid",
                                         "JSON object"),
        "an operation that is none": (an_edit(2, store, {"put": {}}), "invalid", "put"),
        "a value of a wrong type": (an_edit(2, store, {"set": {"value": "soon"}}), "invalid",
                                    "/value"),
        "a value that breaks the schema": (an_edit(2, store, {"set": {"value": -1}}), "invalid",
                                           "/value"),
        "a field that the schema lacks": (an_edit(2, store, {"set": {"value": 1, "x": 1}}),
                                          "invalid", "x"),
        "a fraction": (an_edit(2, store, {"set": {"value": 1.5}}), "invalid", "/value"),
        "a schema that is not known yet": (an_edit(2, store, good, schema=9), "schema-ahead", "1"),
        "a base beyond the head": (an_edit(2, store, good, base=7), "base-ahead", "7"),
        "an edit that is too old": (an_edit(2, store, good, made_at=long_ago), "too-late", "older"),
        "a patch that does not apply": (
            an_edit(2, store, {"patch": [{"op": "remove", "path": "/none"}]}), "patch-failed",
            "/none"),
        "a patch of which one step fails": (
            an_edit(2, store, {"patch": [{"op": "replace", "path": "/value", "value": 40},
                                         {"op": "test", "path": "/value", "value": 1}]}),
            "patch-failed", "/value"),
        "a patch whose op is no text": (
            an_edit(2, store, {"patch": [{"op": {}, "path": "/value", "value": 1}]}), "invalid",
            "RFC 6902"),
        "a patch whose path is no text": (
            an_edit(2, store, {"patch": [{"op": "add", "path": 5, "value": 1}]}), "invalid",
            "path"),
        "an addition to what is no number": (
            an_edit(2, store, {"add": {"/value/x": 1}}), "invalid", "/value"),
        "an edit that is too large": (
            an_edit(2, store, good, metadata={"m": "x" * 70_000}), "too-large", "65536"),
        "metadata that are too large": (
            an_edit(2, store, good, metadata={"m": "x" * 5000}), "invalid", "metadata"),
        "a call of what is no function": (
            an_edit(2, store, {"call": {"name": "boil"}}), "forbidden-operation", "boil"),
        "more items than the schema takes": (
            an_edit(2, store, {"set": {"items": too_many}}, key="sold-out", base=0), "invalid",
            "more than 2000 properties"),
    }  # fmt: skip


POINTERS = {
    "an operation of a wrong type": "",
    "a value of a wrong type": "/value",
    "a value that breaks the schema": "/value",
    "a field that the schema lacks": "",
    "a fraction": "/value",
    "more items than the schema takes": "/items",
}
"""Where in the value the fault is; the other bad edits have none in a value."""


async def send(core: CoreService, holder: str, client: str, *edits: Json, **batch: Any) -> Any:
    body = {"client": client, "edits": list(edits)} | batch
    return await core.client.post("/v1/edits", json=body, headers=bearer(holder))


async def a_store(core: CoreService) -> str:
    """A store whose waiting time was set once, by the client of the store's name."""
    store = new_store()
    first = an_edit(1, store, {"set": {"value": 20}}, base=0)
    response = await send(core, token("owner", store), store, first)
    assert response.json()["outcomes"][0]["outcome"] == "applied"
    return store


async def nothing_has_changed(core: CoreService, store: str) -> None:
    owner = bearer(token("owner", store))
    path = f"channel=public:{store}&key=waiting-time"
    now = await core.client.get(f"/v1/documents?{path}", headers=owner)
    assert (now.json()["version"], now.json()["value"]) == (1, {"value": 20})
    history = await core.client.get(f"/v1/documents/events?{path}", headers=owner)
    assert [event["version"] for event in history.json()["events"]] == [1]
    log = await core.client.get(f"/v1/sync?channel=public:{store}", headers=owner)
    assert log.json()["channels"][0]["head"] == 1


@pytest.mark.parametrize("name", bad_edits("s"))
async def test_a_bad_edit_is_refused_by_itself_with_its_problem(
    core: CoreService, name: str
) -> None:
    store = await a_store(core)
    bad, slug, names = bad_edits(store)[name]
    response = await send(core, token("owner", store), store, bad)
    (outcome,) = response.json()["outcomes"]
    problem = outcome["problem"]
    assert (outcome["outcome"], problem["type"]) == ("refused", f"urn:yabam:problem:{slug}")
    assert (problem["status"], problem["title"]) == TITLES[slug]
    assert names in problem["detail"]
    await nothing_has_changed(core, store)
    assert outcome.get("pointer") == POINTERS.get(name)
    again = await send(core, token("owner", store), store, bad)
    assert again.json()["outcomes"] == [outcome | {"repeated": True}]


@pytest.mark.parametrize("name", ["an unknown key", "a base beyond the head", "a fraction"])
async def test_a_bad_edit_undoes_the_atomic_batch_that_it_is_in(
    core: CoreService, name: str
) -> None:
    store = await a_store(core)
    bad, slug, _ = bad_edits(store)[name]
    good = an_edit(3, store, {"set": {"value": 40}})
    response = await send(core, token("owner", store), store, bad, good, atomic=True)
    slugs = [one["problem"]["type"].rpartition(":")[2] for one in response.json()["outcomes"]]
    assert slugs == [slug, "depends"]
    await nothing_has_changed(core, store)


@pytest.mark.parametrize(("n", "minutes", "slug"), [(3, 30, "edit-gap"), (1, 30, "edit-mismatch")])
async def test_a_number_that_cannot_be_used_settles_nothing(
    core: CoreService, n: int, minutes: int, slug: str
) -> None:
    store = await a_store(core)
    bad = an_edit(n, store, {"set": {"value": minutes}})
    good = an_edit(n + 1, store, {"set": {"value": 40}})
    response = await send(core, token("owner", store), store, bad, good)
    assert (response.status_code, response.json()["type"]) == (409, f"urn:yabam:problem:{slug}")
    await nothing_has_changed(core, store)


async def test_a_queue_is_not_taken_with_anothers_token(core: CoreService) -> None:
    store = await a_store(core)
    other = token("owner", store, "another")
    response = await send(core, other, store, an_edit(2, store, {"set": {"value": 30}}))
    assert (response.status_code, response.json()["type"]) == (
        409, "urn:yabam:problem:client-taken",
    )  # fmt: skip
    await nothing_has_changed(core, store)


@pytest.mark.parametrize(
    ("role", "slug"),
    [("table", "forbidden"), ("producer", "forbidden"), ("ops", "forbidden")],
)
async def test_who_may_read_a_document_may_not_write_it_for_that(
    core: CoreService, role: Any, slug: str
) -> None:
    store = await a_store(core)
    stores = () if role in ("table", "ops") else (store,)
    holder = token(role, *stores, table=f"{store}/5" if role == "table" else None)
    client = f"{role}-{store}"
    response = await send(core, holder, client, an_edit(1, store, {"set": {"value": 30}}))
    (outcome,) = response.json()["outcomes"]
    assert outcome["problem"]["type"] == f"urn:yabam:problem:{slug}"
    await nothing_has_changed(core, store)


def renamed(value: Any) -> Any:
    return {"q": value["names"]["q"]}


TABLES = Definition(
    key="tables",
    scopes=frozenset({"public"}),
    schema=_PLAIN,
    schema_version=2,
    migrations={1: renamed},
    strategy="merge",
    writers=frozenset({"owner"}),
)


async def test_an_edit_for_an_older_schema_that_cannot_be_migrated_is_refused(
    database_url: str,
) -> None:
    pool = await open_pool(
        database_url, size=2, command_timeout_s=10, name="edits", lock_wait_s=LOCK_WAIT_S
    )
    try:
        service = EditService(
            pool, Definitions((TABLES,)), 4, lambda _channels: None, lambda _channel, _key: False
        )
        store = new_store()
        owner = Caller(f"owner-{store}", "owner", frozenset({store}))

        async def settle(*edits: Json) -> list[EditOutcome]:
            batch = decode_edits(msgspec.json.encode({"client": store, "edits": list(edits)}))
            return list((await service.apply(owner, batch)).outcomes)

        first = an_edit(1, store, {"set": {"q": 1}}, key="tables", base=0)
        stale = an_edit(2, store, {"set": {"other": 1}}, key="tables", base=0, schema=1)
        last = an_edit(3, store, {"set": {"q": 2}}, key="tables")
        applied, refused, after = await settle(first, stale, last)
        assert (applied.outcome, after.outcome, after.version) == ("applied", "applied", 2)
        assert refused.problem is not None
        assert refused.problem.slug == "edit-outdated"
    finally:
        pool.terminate()


async def test_a_document_that_would_become_too_large_stays_as_it_is(core: CoreService) -> None:
    store = new_store()
    owner = token("owner", store)
    outcomes: list[Json] = []
    for n in range(1, 8):
        line = {"name": "가" * 200, "note": "나" * 500, "quantity": 1, "unit_price": 1}
        lines = {f"l{n}-{m}": line for m in range(20)}
        bad = {
            "n": n,
            "channel": f"party:{store}/5",
            "key": "cart",
            "do": {"merge": {"lines": lines}},
        }
        response = await send(core, owner, store, bad)
        outcomes += response.json()["outcomes"]
        if outcomes[-1]["outcome"] == "refused":
            break
    assert outcomes[-1]["problem"]["type"] == "urn:yabam:problem:too-large"
    path = f"channel=party:{store}/5&key=cart"
    now = await core.client.get(f"/v1/documents?{path}", headers=bearer(owner))
    assert now.json()["version"] == len(outcomes) - 1
    assert len(now.content) < MAX_VALUE_BYTES + 2000
