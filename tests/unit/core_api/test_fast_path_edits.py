"""The fast path of `POST /v1/edits` answers what Starlette's way answers, byte for byte."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from starlette.types import Scope
from structlog.testing import capture_logs

from client_sdk.contract.problem import problem
from client_sdk.contract.state.edit import EditBatch, EditOutcome
from core_api.access.callers import Caller
from core_api.api.app import core_app
from core_api.edits.plan import EditAnswer
from core_api.edits.service import EditService
from core_api.errors import EditGapError, UnavailableError
from tests.unit.core_api.test_fast_path import (
    BODIES,
    HEADERS,
    OWNER,
    TYPES,
    answer_of,
    core,
    handlers,
    scope_of,
)


def body_of(client: str) -> bytes:
    return (
        f'{{"client":"{client}","edits":[{{"n":1,"channel":"party:1/2","key":"cart",'
        '"do":{"merge":{"lines":{}}}}]}'
    ).encode()


async def apply(
    _service: EditService, _caller: Caller, batch: EditBatch, _size: int = 0
) -> EditAnswer:
    """Settles for the client `good`; what others meet stands in their names."""
    if batch.client == "gap":
        raise EditGapError("edits are missing", 7)
    if batch.client == "down":
        raise UnavailableError("the database is away")
    if batch.client == "bug":
        raise ZeroDivisionError
    refused = EditOutcome(2, "refused", problem=problem("invalid", "김밥"), pointer="/lines")
    return EditAnswer(2, [EditOutcome(1, "applied", version=3), refused])


CLIENTS = ("good", "gap", "down", "bug", "not a client")


def requests() -> Iterator[tuple[Scope, bytes]]:
    """Every body with every set of headers."""
    bodies = [*BODIES, *map(body_of, CLIENTS)]
    for body, headers in itertools.product(bodies, HEADERS):
        yield scope_of("", [*headers, *TYPES[0]], "POST", "/v1/edits"), body
    for body, kind in itertools.product(bodies, TYPES):
        yield scope_of("a=b", [*HEADERS[2], *kind], "POST", "/v1/edits"), body
    too_long = ("content-length", "99999999999")
    yield scope_of("", [*HEADERS[2], *TYPES[0], too_long], "POST", "/v1/edits"), body_of("good")


@pytest.fixture(autouse=True)
def small_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EditService, "apply", apply)


@pytest.mark.parametrize("origins", [["*"], ["https://a.example"]], ids=["any", "one"])
async def test_edits_are_answered_alike_either_way(origins: list[str]) -> None:
    quick = core_app(handlers(core()), origins)
    usual = core_app(handlers(core()), origins)
    statuses = set()
    with capture_logs() as logged:
        for scope, body in requests():
            expected = await answer_of(usual.behind, dict(scope), body)
            assert await answer_of(quick, dict(scope), body) == expected, (scope, body)
            statuses.add(expected[0]["status"])
    assert {line["event"] for line in logged} == {"request_failed", "database_unavailable"}
    assert statuses == {200, 400, 401, 409, 413, 415, 422, 500, 503}


async def test_edits_are_counted_under_their_route_either_way() -> None:
    api = core()
    app = core_app(handlers(api), ["*"])
    scope = scope_of("", [("authorization", f"Bearer {OWNER}"), *TYPES[0]], "POST", "/v1/edits")
    for one in (app, app.behind):
        for client in ("good", "gap"):
            await answer_of(one, dict(scope), body_of(client))
    text = api.metrics.exposition().decode()
    for status in (200, 409):
        line = f'yabam_core_request_seconds_count{{route="/v1/edits",status="{status}"}} 2.0'
        assert line in text


async def test_posted_edits_do_not_reach_starlette(monkeypatch: pytest.MonkeyPatch) -> None:
    app = core_app(handlers(core()), ["*"])

    async def behind(*_request: object) -> None:
        raise AssertionError("passed on")

    monkeypatch.setattr(app, "behind", behind)
    scope = scope_of("", [*HEADERS[2], *TYPES[0]], "POST", "/v1/edits")
    assert (await answer_of(app, scope, body_of("good")))[0]["status"] == 200
