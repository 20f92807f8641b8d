"""Each text of each route is a door, and whatever comes in there, Core takes or refuses it.

A request with good values stands here for each route. Its doors follow from it: each part of its
path, each parameter, each header, and each place in its body. A route, a parameter or a field
without a good value fails a test, so that none can be forgotten.

The database of these tests answers what a route asks first, and is away afterwards; so a good
request is answered by 503, or needs no database. tests/unit/core_api/test_doors_that_write.py looks
at what reaches the statements behind that.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Struct, inspect
from starlette.applications import Starlette
from starlette.routing import Route

import core_api.api.handlers
from client_sdk.contract.text import time_text
from core_api.api.operations import Operation
from core_api.api.routes import operations
from core_api.errors import UnavailableError
from core_api.printing.cloudprnt import Poll
from server_common.devices.identity import Identity
from tests.unit.core_api import test_fast_path
from tests.unit.core_api.samples import NOW
from tests.unit.core_api.test_doors import ODD, ORDER_ID, OWNER, REFUSALS, core
from tests.unit.core_api.test_doors_that_write import (
    DEVICES,
    GUEST,
    HOOK,
    OPS,
    PUSH,
    AwayDatabase,
)
from tests.unit.core_api.test_fast_path import answer_of, scope_of

HERE = "@@here@@"
PAGE = f"store:1@4~{ORDER_ID}~e1"
DEVICE = {"yabam-device": "till-1; mode=live; pending=0"}
LAMP = {"id": "1", "device": "lamp"}
ITEMS = [{"name": "a", "quantity": 1, "unit_price": 1, "note": "b"}]
ORDER = {
    "store_id": "1", "currency": "KRW", "table_id": "5", "note": "x", "reference": "r",
    "items": ITEMS, "guest": {"name": "Kim", "phone": "010"},
}  # fmt: skip
ON_ORDER = {
    "idempotency-key": "k1", "if-match": '"1"',
    "yabam-if-updated-at": time_text(NOW),
}  # fmt: skip
EDIT = {
    "n": 1, "channel": "public:1", "key": "waiting-time", "do": {"set": {"value": 5}}, "base": 0,
    "schema": 1, "made_at": "2026-11-21T03:00:38Z", "metadata": {"a": "b"}, "seen": {"a": "b"},
    "base_value": {"value": 4},
}  # fmt: skip
DOCUMENT = {"channel": "public:1", "key": "menu"}
LOGIN = {"user": "1~lamp~1", "password": DEVICES.password(Identity("1", "lamp", 1), "k")}
PRINTER = "/cloudprnt/{secret}/{last}"
SETTING = "/cloudprnt/{secret}/cloudprnt-setting.json"
URL = {"secret": "1~star~1.password", "last": "printer"}
BASIC = "1~star~1:password"


class Good(NamedTuple):
    """A request that is let in."""

    path: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: Any = None
    bearer: str = OWNER
    basic: str | None = None
    """Whose Basic authentication it has; None: it has a token."""


GOOD: Mapping[str, Sequence[Good]] = {
    "fetchSync": [
        Good(
            query={
                "channel": "store:1", "lastEventId": "1", "epoch": "e1", "limit": "5", "wait": "0"
            },
            headers=DEVICE,
        ),
        Good(query={"page": PAGE, "orders": "5"}),
    ],
    "fetchSyncOfBody": [
        Good(
            headers=DEVICE,
            body={"channels": {"store:1": 1}, "epoch": "e1", "limit": 5, "wait": 0},
        ),
        Good(body={"page": PAGE, "orders": 5}),
    ],
    "placeOrder": [Good(headers={"idempotency-key": "k1"}, body=ORDER)],
    "placeOrders": [Good(body={"items": [{"order": ORDER, "idempotency_key": "k1"}]})],
    "readOrder": [Good({"id": ORDER_ID})],
    "changeOrder": [Good({"id": ORDER_ID}, {}, ON_ORDER, {"items": ITEMS, "note": "x"})],
    "stepOrder": [Good({"id": ORDER_ID}, {}, ON_ORDER, {"to": "cancelled", "reason": "x"})],
    "recallOrder": [Good({"id": ORDER_ID}, {}, ON_ORDER, {"to": "accepted"})],
    "listOrderEvents": [Good({"id": ORDER_ID}, {"after": "1"})],
    "edit": [
        Good(
            body={
                "client": "c", "atomic": False, "answered": 0, "epoch": "e1",
                "edits": [EDIT, EDIT | {"n": 2, "base": {"n": 1}}],
            }
        )
    ],
    "readClient": [Good(query={"client": "c"})],
    "readDocument": [Good(query=DOCUMENT | {"version": "1"})],
    "listDocumentEvents": [Good(query=DOCUMENT | {"after": "1", "limit": "5"})],
    "listDevices": [Good({"id": "1"})],
    "registerDevice": [Good(LAMP, body={"rotate": False, "media": ["image/png"], "table": "5"})],
    "readDevice": [Good(LAMP)],
    "removeDevice": [Good(LAMP)],
    "commandDevice": [
        Good(LAMP, body={"name": "blink", "arguments": {"a": "b"}, "id": "c1", "expires_in_s": 60})
    ],
    "listDeviceCommands": [Good(LAMP)],
    "readDeviceSnapshot": [Good(LAMP)],
    "deviceToken": [Good(body=LOGIN)],
    "offerPairing": [Good({"id": "1"})],
    "pairTablet": [Good(body={"store": "1", "code": "000000"})],
    "holdPrinter": [Good(LAMP, body={"agent": "a1", "troubles": ["paper"], "leaving": False})],
    "stepPrint": [
        Good(
            LAMP | {"print": "j1"},
            body={"step": "fail", "agent": "a1", "attempt": 1, "detail": "no paper"},
        )
    ],
    "listOrderDevices": [Good({"id": ORDER_ID})],
    "sendSeen": [Good(headers=DEVICE, body={"orders": [ORDER_ID]})],
    "sendReceipts": [Good(headers=DEVICE, body={"cursor": "store:1@5", "epoch": "e1"})],
    "revoke": [
        Good(body={"kind": "subject", "name": "ann", "before": 5, "until": 2000}, bearer=OPS)
    ],
    "addWebhook": [Good(body=HOOK | {"types": ["order.placed"]})],
    "readWebhook": [Good({"webhook": "wh1"})],
    "removeWebhook": [Good({"webhook": "wh1"})],
    "rotateWebhook": [Good({"webhook": "wh1"}, {"end_old": "true"})],
    "replayWebhook": [Good({"webhook": "wh1"}, body={"cursor": "store:1@5"})],
    "setWebhookState": [Good({"webhook": "wh1"}, body={"state": "active"})],
    "listPushes": [Good({"id": "1"})],
    "subscribeToPushes": [Good({"id": "1", "device": "d1"}, body=PUSH | {"language": "ko"})],
    "endPushes": [Good({"id": "1", "device": "d1"})],
    "listGuestPushes": [Good({"id": "1"})],
    "removeGuestPush": [Good({"id": "1", "table": "5", "device": "d1"})],
    "tellGuest": [Good({"device": "d1"}, body=PUSH | {"language": "ko"}, bearer=GUEST)],
    "endGuestPush": [Good({"device": "d1"}, bearer=GUEST)],
    "acknowledgeAlert": [Good(body={"alert": "relay-down"}, bearer=OPS)],
}  # fmt: skip
"""For each operation with a text: requests that together give each a good value."""
STATUS = {"statusCode": "200 OK", "jobToken": "j1.1", "printingInProgress": False}
OF_PRINTERS: Mapping[tuple[str, str], Sequence[Good]] = {
    ("POST", PRINTER): [Good(URL, body=STATUS), Good(URL, body=STATUS, basic=BASIC)],
    ("GET", PRINTER): [
        Good(
            URL,
            {"token": "j2.1", "type": "text/plain"},
            {"x-star-accept-codepages": "949"},
        )
    ],
    ("DELETE", PRINTER): [Good(URL, {"token": "j1.1", "code": "511 Bad"})],
    ("GET", SETTING): [Good({"secret": URL["secret"]}, {"mac": "00:11:62:1d:9a:b7"})],
}
"""The same for printers as they are sold: their vendor has described what they send."""
PASSED = {200, 201, 204, 503}


# Doors --------------------------------------------------------------------------------------


class Door(NamedTuple):
    """A place in a good request."""

    method: str
    path: str
    good: Good
    where: str
    """path, query, header, basic, body (a value) or name (of a field of the body)."""
    name: tuple[str | int, ...]

    def __str__(self) -> str:
        """For a failure's message."""
        return f"{self.method} {self.path} {self.where} {'.'.join(map(str, self.name))}"


def every_operation() -> Sequence[Operation]:
    return operations(test_fast_path.handlers(test_fast_path.core()))


def good_requests() -> Iterator[tuple[str, str, Good]]:
    for one in every_operation():
        yield from ((one.method, one.path, good) for good in GOOD.get(one.name, ()))
    for (method, path), requests in OF_PRINTERS.items():
        yield from ((method, path, good) for good in requests)


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Each value in a body, whole and in part, and each name of a field."""
    yield "body", at
    inner: Iterable[Any] = ()
    if isinstance(value, dict):
        yield from (("name", (*at, name)) for name in value)
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for name, one in inner:
        yield from places(one, (*at, name))


def doors_of(method: str, path: str, good: Good) -> Iterator[Door]:
    for where, names in (("path", good.path), ("query", good.query), ("header", good.headers)):
        yield from (Door(method, path, good, where, (name,)) for name in names)
    if good.basic is not None:
        yield Door(method, path, good, "basic", ())
    if good.body is not None:
        for where, at in places(good.body):
            yield Door(method, path, good, where, at)


DOORS = [door for request in good_requests() for door in doors_of(*request)]


def replaced(value: Any, at: tuple[str | int, ...], *, name: bool) -> Any:
    """The body with a mark at this place."""
    if not at:
        return HERE
    head, rest = at[0], at[1:]
    if isinstance(value, list):
        return [replaced(one, rest, name=name) if i == head else one for i, one in enumerate(value)]
    if name and not rest:
        return {HERE if key == head else key: one for key, one in value.items()}
    return {key: replaced(one, rest, name=name) if key == head else one
            for key, one in value.items()}  # fmt: skip


class SternDatabase(AwayDatabase):
    """It is away as soon as it is asked for something that these tests do not need."""

    def check(self, statement: str, given: tuple[Any, ...]) -> list[Any]:
        found = super().check(statement, given)
        if not found:
            raise UnavailableError("the database is away")
        return found


DATABASE = SternDatabase()
APP = core(DATABASE)


async def status_at(door: Door, given: str, *, is_json: bool = False) -> int:
    """What Core answers where this text stands at the door.

    Args:
        door: the place.
        given: what stands there in place of the good value.
        is_json: whether it is JSON itself, for the place of a value in a body.
    """
    good = door.good
    path, query, headers = dict(good.path), dict(good.query), dict(good.headers)
    body = b"" if good.body is None else json.dumps(good.body).encode()
    basic = good.basic
    raw = given.encode("utf-8", "surrogatepass")
    if door.where in ("body", "name"):
        marked = json.dumps(replaced(good.body, door.name, name=door.where == "name"))
        text = given if is_json else json.dumps(given)
        body = marked.replace(json.dumps(HERE), text).encode("utf-8", "surrogatepass")
    elif door.where == "basic":
        basic = ""
    else:
        part = {"path": path, "query": query, "header": headers}[door.where]
        part[str(door.name[0])] = raw.decode("latin-1") if door.where == "header" else given
    if basic is None:
        headers["authorization"] = f"Bearer {good.bearer}"
    else:
        login = raw if door.where == "basic" else basic.encode()
        headers["authorization"] = f"Basic {b64encode(login).decode()}"
    headers["content-type"] = "application/json"
    target = re.sub(r"{(\w+)}", lambda found: path[found[1]], door.path)
    asked = "&".join(
        f"{name}={quote(one.encode('utf-8', 'surrogatepass'), safe='')}"
        for name, one in query.items()
    )
    DATABASE.seen.clear()
    DATABASE.awaited = "\uffff"
    sent = await answer_of(APP, scope_of(asked, [*headers.items()], door.method, target), body)
    status: int = sent[0]["status"]
    return status


async def failures(doors: Iterable[Door], given: Iterable[str], *, is_json: bool) -> list[str]:
    """Where Core fails, for all doors and texts."""
    texts = list(given)
    return [
        f"{door}: {text[:40]!a} gives {status}"
        for door in doors
        for text in texts
        if (status := await status_at(door, text, is_json=is_json))
        not in PASSED | REFUSALS | {405, 409, 412}
    ]


HOSTILE = ["", "\0", "a\0", "a\0.1", "511\0", "\ud800", "²", "9" * 5000, "a\n", "../x"]
DEEP = [
    opening * depth + closing * depth
    for opening, closing in (("[", "]"), ('{"a":', "}"))
    for depth in (100, 600, 990, 1500)
] + ["[" * 15_000]  # fmt: skip


async def test_each_door_stands_in_a_request_that_is_let_in() -> None:
    refused = []
    for method, path, good in good_requests():
        # A name of a header that nobody reads: the request is as it should be.
        status = await status_at(Door(method, path, good, "header", ("x-none",)), "")
        if status not in PASSED:
            refused.append(f"{method} {path}: {status}")
    assert refused == []


async def test_hostile_text_at_any_door_is_taken_or_refused() -> None:
    assert await failures(DOORS, HOSTILE, is_json=False) == []


async def test_json_that_is_nested_deep_at_any_place_of_a_body_is_taken_or_refused() -> None:
    bodies = [door for door in DOORS if door.where == "body"]
    assert await failures(bodies, DEEP, is_json=True) == []


async def test_json_that_is_nested_deep_in_a_field_that_nobody_knows_is_taken_or_refused() -> None:
    more = [
        Door(method, path, good._replace(body=good.body | {"x": 1}), "body", ("x",))
        for method, path, good in good_requests()
        if isinstance(good.body, dict)
    ]
    assert len(more) > 20
    assert await failures(more, DEEP, is_json=True) == []


@settings(max_examples=300, deadline=None)
@given(number=st.integers(0, len(DOORS) - 1), odd=ODD)
@example(number=0, odd="\ud800")
def test_any_text_at_any_door_is_taken_or_refused(number: int, odd: str) -> None:
    assert asyncio.run(failures([DOORS[number]], [odd], is_json=False)) == []


@pytest.mark.parametrize("name", ["sendReceipts", "sendSeen", "acknowledgeAlert", "revoke"])
async def test_whoever_lacks_the_right_is_refused_before_the_body_is_read(name: str) -> None:
    (operation,) = (one for one in every_operation() if one.name == name)
    good = GOOD[name][0]._replace(bearer=GUEST)
    door = Door(operation.method, operation.path, good, "body", ())
    assert await status_at(door, "{", is_json=True) == 403


# Whether any is forgotten -------------------------------------------------------------------


def forgotten(kind: inspect.Type, values: Sequence[Any], at: str = "") -> Iterator[str]:
    """Each field of a body's type for which these bodies have no value."""
    if isinstance(kind, inspect.Metadata):
        yield from forgotten(kind.type, values, at)
    elif isinstance(kind, inspect.StructType):
        mine = [one for one in values if isinstance(one, dict)]
        if not mine:
            yield at
            return
        for field in kind.fields:
            name = field.encode_name
            found = [one[name] for one in mine if name in one]
            yield from forgotten(field.type, found, f"{at}.{name}") if found else [f"{at}.{name}"]
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from forgotten(one, values, at)
    elif isinstance(kind, inspect.ListType | inspect.DictType):
        inner = kind.item_type if isinstance(kind, inspect.ListType) else kind.value_type
        found = [
            one
            for value in values
            if isinstance(value, list | dict)
            for one in (value if isinstance(value, list) else value.values())
        ]
        yield from forgotten(inner, found, f"{at}[]") if found else [f"{at}[]"]


def test_each_text_of_each_operation_has_a_door() -> None:
    missing = []
    for one in every_operation():
        good = GOOD.get(one.name, ())
        has = {
            *(("path", name) for request in good for name in request.path),
            *(("query", name) for request in good for name in request.query),
            *(("header", name) for request in good for name in request.headers),
        }
        named = {(part.where, part.name.lower() if part.where == "header" else part.name)
                 for part in one.parameters}  # fmt: skip
        missing += [f"{one.name}: {where} {name}" for where, name in named - has]
        if one.body is not None:
            bodies = [request.body for request in good]
            kind = inspect.type_info(one.body)
            missing += [f"{one.name}: body {at}" for at in forgotten(kind, bodies)]
    assert missing == []


def test_no_door_is_of_an_operation_that_there_is_not() -> None:
    assert set(GOOD) <= {one.name for one in every_operation()}


def test_each_route_of_printers_has_its_doors() -> None:
    behind = cast(Starlette, cast(Any, APP).behind)
    described = {(one.method, one.path) for one in every_operation()}
    served = {
        (method, route.path)
        for route in behind.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert served - described == set(OF_PRINTERS)
    polls = [good.body for good in OF_PRINTERS["POST", PRINTER]]
    assert list(forgotten(inspect.type_info(Poll), polls)) == []


def read_names() -> set[str]:
    """What the handlers read of a path, a query or the headers, by the names that stand there."""
    found = set()
    for file in Path(core_api.api.handlers.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            name: ast.expr | None = None
            if isinstance(node, ast.Subscript) and "path_params" in ast.unparse(node.value):
                name = node.slice
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                of = ast.unparse(node.func.value)
                if node.func.attr in ("get", "getlist") and re.search("query|header", of):
                    name = node.args[0]
            if isinstance(name, ast.Constant):
                found.add(str(name.value))
    return found


def test_whatever_a_handler_reads_is_a_door() -> None:
    named = {str(door.name[0]) for door in DOORS if door.where in ("path", "query", "header")}
    # Whoever asks: test_doors.py has the claims of a token.
    assert read_names() - named == {"authorization"}
    assert {"token", "code", "mac", "type", "end_old"} <= read_names()


class _Inner(Struct):
    b: str
    c: list[int]


class _Outer(Struct):
    a: _Inner | None
    d: dict[str, _Inner]


def test_a_field_without_a_value_is_named() -> None:
    kind = inspect.type_info(_Outer)
    assert list(forgotten(kind, [{"a": {"b": "x"}}])) == [".a.c", ".d"]
    whole = {"a": {"b": "x", "c": [1]}, "d": {"k": {"b": "x", "c": []}}}
    assert list(forgotten(kind, [whole])) == [".d[].c[]"]
