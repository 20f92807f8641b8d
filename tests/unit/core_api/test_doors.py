"""Any text at any door is of its grammar or refused, and none reaches Postgres that it refuses."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote
from uuid import UUID

import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from client_sdk.contract import text
from client_sdk.contract.channel import Channel
from client_sdk.contract.errors import DeviceError
from core_api.access.callers import Caller
from core_api.access.sign_in import SignIn
from core_api.access.tokens import TokenKeys
from core_api.api.app import core_app
from core_api.api.gate import ApiLimits, Gate
from core_api.api.handlers.cloudprnt_handlers import CloudPrnt
from core_api.api.handlers.ops_handlers import OpsApi
from core_api.api.handlers.order_handlers import CoreApi
from core_api.api.handlers.print_handlers import PrintApi
from core_api.api.handlers.revocation_handlers import RevocationsApi
from core_api.api.handlers.token_handlers import TokensApi
from core_api.api.routes import Handlers
from core_api.documents.definitions import Definitions
from core_api.documents.demonstration import DEFINITIONS
from core_api.documents.devices import DEVICE_DEFINITIONS
from core_api.edits.plan import Rules
from core_api.errors import CoreError
from core_api.ingest.inbound_commands import TransitionCommand, decode_command
from core_api.metrics import CoreMetrics
from core_api.orders.service import OrderService
from core_api.overload import Bound, PollingPace, RateLimit
from core_api.pairing.codes import Pairings
from core_api.printing.metrics import PrintMetrics
from core_api.printing.presence import PrinterPresence
from core_api.printing.service import PrintService
from core_api.printing.star.jobs import StarJobs
from core_api.printing.star_printers import StarPrinters
from core_api.receipts.devices import Sighting
from core_api.receipts.reached import Reached
from core_api.store_rules.sold_out_or_closed import is_obeyed
from core_api.sync import reading as reads
from core_api.sync.large_answers import LargeAnswers
from core_api.sync.long_poll import LongPolls
from core_api.sync.service import FetchSync
from core_api.system_edits.document_access import DocumentAccess
from core_api.wiring import MAX_DEVICES, new_order_id, utc_now
from server_common.access.access_tokens import AUDIENCE
from server_common.devices.identity import parse_user
from tests.unit.core_api.samples import (
    GRANTS,
    devices_api,
    everybody_stays,
    push_api,
    state_api,
    webhooks_api,
)
from tests.unit.core_api.test_fast_path import TOKENS, answer_of, scope_of

RATE = RateLimit(1e9, 10**9, lambda: 0.0)
KEY = b"t" * 32
OWNER = TOKENS.sign(Caller("o", "owner", frozenset({"*"})), 600)
ORDER_ID = "018f0000-0000-7000-8000-000000000000"
ORDER = {
    "store_id": "1", "currency": "KRW", "items": [{"name": "a", "quantity": 1, "unit_price": 1}],
}  # fmt: skip
REFUSALS = {400, 401, 403, 404, 413, 415, 422}


def all_texts(value: Any) -> Iterable[str]:
    """Every text in it, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from all_texts(one)


class Database:
    """Takes what Postgres would take: a text with a NUL or a lone surrogate is our failure."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        for one in all_texts(arguments):
            self.take(one)
        if statement == reads.PAGES:
            return [["e1", 1.5, 5, 7, 0, [], [], None] for _ in arguments[0]]
        if "AS views" in statement:
            opened = ["e1", 1.5, 5, 7, 1, [UUID(int=1)], ['{"id":"a"}'], 1, [], None]
            return [opened] * len(arguments[0])
        if "AS keys" in statement:
            return [[0, None, None] for _ in arguments[0]]
        if "k.request_hash" in statement:
            nothing = dict.fromkeys(("owner_view", "table_view", "request_hash"))
            return [{**nothing, "epoch": "e1"}]
        if "AS kind" in statement:
            return [(3, 0, datetime.now(UTC), "e1", None, None, None, None)]
        if statement.startswith("SELECT epoch"):
            return [("e1",)]
        return [] if "document" in statement else [(0, "written", None, "e1")]

    async def fetchrow(self, statement: str, *arguments: Any) -> None:
        for one in all_texts(arguments):
            self.take(one)

    def take(self, one: str) -> None:
        assert "\0" not in one
        one.encode()
        self.seen.append(one)


class Devices:
    """Keeps reports as `DeviceLog` would store them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_store(self, store_id: str) -> list[Any]:
        self._database.take(store_id)
        return []

    async def flush(self) -> None:
        """All is stored."""

    def saw(self, sightings: Sequence[Sighting]) -> None:
        for one in sightings:
            for field in (one.store_id, one.device, one.subject, one.epoch or ""):
                self._database.take(field)
            assert text.is_id(one.store_id)
            assert text.is_epoch(one.epoch or "")
            assert text.is_subject(one.subject)


class Alerts:
    """A sampler that shows one alert, which nobody has acknowledged."""

    async def now(self) -> SimpleNamespace:
        alert = SimpleNamespace(name="relay-down", acknowledged=None)
        return SimpleNamespace(alerts=[alert], late=(), at_ms=5)


async def printer_of(user: str, _password: str) -> tuple[Channel, list[str]] | None:
    """The printer with this user name; any password is right."""
    try:
        return parse_user(user).channel, []
    except DeviceError:
        return None


@cache
def core(database: Database) -> ASGIApp:
    """A Core over that database."""
    bound = Bound(100, "syncs", lambda low, _high: low)
    metrics = CoreMetrics(lambda: 0, {"sync": bound})
    pool: Any = database
    unused: Any = None
    devices: Any = Devices(database)
    fetch = FetchSync(
        pool, LongPolls(unused, 0.1, 0), GRANTS, PollingPace(3000, lambda: 0.0),
        bound, 5.0, metrics.reset_given, lambda _channel: None, LargeAnswers(lambda: 0.0),
    )  # fmt: skip
    commands = OrderService(pool, 4, utc_now, new_order_id, lambda _channels: None)
    limits = ApiLimits(bound, RATE, RATE, 5.0, RATE)
    gate = Gate(SignIn(TOKENS), limits, everybody_stays)
    ops = OpsApi(unused, cast(Any, Alerts()), pool, gate)
    reached = Reached(pool, MAX_DEVICES)
    api = CoreApi(commands, fetch, devices, reached, gate, metrics, unused, ops)
    rules = Rules(Definitions([*DEFINITIONS, *DEVICE_DEFINITIONS]), 4, is_obeyed)
    documents = DocumentAccess(pool, rules, lambda _channels: None)
    steps = PrintService(documents, PrintMetrics(CollectorRegistry()))
    presence = PrinterPresence(documents)
    prints = PrintApi(steps, presence, gate)
    broker = ("broker.example", 8883)
    printers = CloudPrnt(
        StarJobs(steps, presence), gate, printer_of, StarPrinters(pool), broker, "trigger"
    )
    sign_ins = TokensApi(TOKENS, Pairings(pool, lambda _below: 0), gate, 3600, lambda: 1000.0)
    revocations = RevocationsApi(pool, unused, gate, lambda: 1000.0)
    webhooks = webhooks_api(gate, pool)
    pushes = push_api(gate, pool)
    state, devices_of = state_api(gate, pool), devices_api(gate, TOKENS, pool, devices)
    return core_app(
        Handlers(api, state, devices_of, prints, sign_ins, revocations, webhooks, pushes),
        ["*"],
        printers.routes(),
    )


DATABASE = Database()
ODD = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=30),
    st.sampled_from(
        ["\0", "e1\0", "\ud800", "²", "١", "１", "e" * 65, "E1\n", "-1", "\x7f", "..", "%00",
         "9" * 5000, "a/b", "\u2028", ORDER_ID.upper(), ORDER_ID.replace("-", ""), ORDER_ID + "\n"]
    ),
)  # fmt: skip


def utf8(value: str) -> str:
    """In a URL; a lone surrogate as bytes that are no UTF-8."""
    return quote(value.encode("utf-8", "surrogatepass"), safe="")


def edits_with(place: str, odd: str) -> dict[str, Any]:
    """A request of two edits, the first with this text somewhere."""
    edit = {"n": 1, "channel": "public:1", "key": "waiting-time", "do": {"set": {"value": 5}}}
    batch: dict[str, Any] = {"client": "c", "edits": [edit, edit | {"n": 2}]}
    if place in ("client", "epoch"):
        return batch | {place: odd}
    if place == "name":
        edit |= {"do": {"set": {odd: 5}}}
    elif place == "value":
        edit |= {"do": {"set": {"value": odd}}}
    elif place == "pointer":
        edit |= {"do": {"add": {odd: 1}}}
    elif place == "metadata":
        edit |= {"metadata": {"a": odd}}
    else:
        edit |= {place: odd}
    return batch | {"edits": [edit, batch["edits"][1]]}


async def status_of(door: str, odd: str, database: Database, bearer: str = OWNER) -> int:
    """What Core answers to this text at this door."""
    app = core(database)
    database.seen.clear()
    headers = [
        ("authorization", f"Bearer {bearer}"),
        ("yabam-device", "till-1; mode=live; pending=0"),
    ]
    latin = odd.encode("utf-8", "surrogatepass").decode("latin-1")
    body: bytes = b""
    kind = ("content-type", "application/json")
    target, query, method = "/v1/sync", "channel=store:1&lastEventId=1", "GET"
    if door.startswith("query-"):
        name = door.removeprefix("query-")
        query = f"{name}={utf8(odd)}" + ("" if name in ("channel", "page") else "&channel=store:1")
    elif door.startswith("body-"):
        name, method, query = door.removeprefix("body-"), "POST", ""
        value = {"channels": {odd: 1}} if name == "channels" else {
            "channels": {"store:1": 1}, name: odd}  # fmt: skip
        body = json.dumps(value).encode()
    elif door == "header-yabam-device":
        headers[1] = ("yabam-device", latin)
    elif door.startswith("header-"):
        target, method, query = f"/v1/orders/{ORDER_ID}", "PATCH", ""
        body = b'{"note":"x"}'
        headers.append((door.removeprefix("header-"), latin))
    elif door == "path-order":
        target, query = f"/v1/orders/{odd}", ""
    elif door.startswith("order-"):
        target, method, query = "/v1/orders", "POST", ""
        body = json.dumps({**ORDER, door.removeprefix("order-"): odd}).encode()
    elif door.startswith("edit-"):
        target, method, query = "/v1/edits", "POST", ""
        body = json.dumps(edits_with(door.removeprefix("edit-"), odd)).encode()
    elif door.startswith("pair-"):
        target, method, query = "/v1/tokens/pairings", "POST", ""
        given = {"store": "1", "code": "000000"}
        body = json.dumps(given | {door.removeprefix("pair-"): odd}).encode()
    elif door.startswith("GET /"):
        target, _, name = door.removeprefix("GET ").partition("?")
        given = {"channel": "public:1", "key": "menu"} if "documents" in target else {}
        query = "&".join(f"{n}={utf8(v)}" for n, v in (given | {name: odd}).items())
    scope = {**scope_of(query, [*headers, kind], method), "path": target}
    sent = await answer_of(app, scope, body)
    status: int = sent[0]["status"]
    return status


DOORS = [
    *("query-" + name for name in ("epoch", "channel", "lastEventId", "limit", "wait", "page")),
    *("body-" + name for name in ("epoch", "channels", "page")),
    *("header-" + name for name in ("yabam-device", "idempotency-key", "if-match")),
    "header-yabam-if-updated-at",
    "path-order",
    *("order-" + name for name in ("store_id", "table_id", "note", "reference", "currency")),
    *("edit-" + name for name in ("client", "epoch", "channel", "key", "made_at", "name", "value")),
    *("edit-" + name for name in ("pointer", "metadata")),
    *("pair-" + name for name in ("store", "code")),
    "GET /v1/edits?client",
    *("GET /v1/documents?" + name for name in ("channel", "key", "version")),
    *("GET /v1/documents/events?" + name for name in ("channel", "key", "after", "limit")),
    f"GET /v1/orders/{ORDER_ID}/events?after",
]


@pytest.mark.parametrize("door", DOORS)
@settings(max_examples=15, deadline=None)
@given(odd=ODD)
@example(odd="\0")
@example(odd="\ud800")
def test_any_text_at_any_door_is_taken_or_refused_and_never_fails(door: str, odd: str) -> None:
    status = asyncio.run(status_of(door, odd, DATABASE))
    passing = {200, 201, 409} if door == "edit-epoch" else {200, 201}
    assert status in passing | REFUSALS, (door, odd)


async def test_pages_of_other_origins_may_say_what_a_command_was_made_on() -> None:
    said = "authorization,content-type,idempotency-key,if-match,yabam-if-updated-at"
    headers = [
        ("origin", "https://elsewhere.example"),
        ("access-control-request-method", "PATCH"),
        ("access-control-request-headers", said),
    ]
    scope = scope_of("", headers, "OPTIONS", f"/v1/orders/{ORDER_ID}")
    sent = await answer_of(core(DATABASE), scope)
    assert sent[0]["status"] == 200
    told = dict(sent[0]["headers"])[b"access-control-allow-headers"].decode()
    assert set(said.split(",")) <= set(told.lower().split(", "))


@pytest.mark.parametrize("door", ["query-epoch", "body-epoch"])
@pytest.mark.parametrize("epoch", ["\0", "e1\0", "e 1", "é", "e" * 65, "E1\n", "١"])
async def test_a_malformed_epoch_is_refused_and_leaves_nothing_behind(
    door: str, epoch: str
) -> None:
    assert await status_of(door, epoch, DATABASE) == 400
    assert DATABASE.seen == []


@settings(max_examples=60, deadline=None)
@given(sub=ODD, store=ODD, table=st.none() | ODD, role=st.sampled_from(["owner", "table", "ops"]))
@example(sub="a\0", store="1", table=None, role="owner")
@example(sub="\ud800", store="1", table=None, role="owner")
@example(sub="a", store="1\0", table=None, role="owner")
@example(sub="a", store="*", table=None, role="owner")
def test_a_claim_is_of_its_grammar_or_the_token_is_refused(
    sub: str, store: str, table: str | None, role: str
) -> None:
    claims = {"aud": AUDIENCE, "sub": sub, "role": role, "exp": 2000, "stores": [store]}
    if table is not None:
        claims["table"] = table
    bearer = jwt.encode(claims, KEY, "HS256", {"kid": "k"})
    status = asyncio.run(status_of("", "", DATABASE, bearer))
    is_every = store == "*"
    known = text.is_subject(sub) and (text.is_id(store) or is_every)
    if role == "owner" and table is None:
        assert status == (401 if not known else 200 if store == "1" or is_every else 403)
    assert status in {200, 401, 403}


def test_a_token_whose_header_is_nested_without_end_is_refused() -> None:
    for raw in (b"[" * 5000, b'{"kid":' * 800, b"9" * 5000, b"\xff"):
        header = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        with pytest.raises(CoreError, match="not a valid JWT"):
            TokenKeys({"k": KEY}, "k", lambda: 1000.0).verify(f"{header}.e30.x")


@settings(max_examples=60, deadline=None)
@given(key=ODD, subject=ODD, order_id=ODD)
def test_a_command_from_kafka_is_of_its_grammar_or_refused(
    key: str, subject: str, order_id: str
) -> None:
    value = {
        "command": "transition", "idempotency_key": key, "subject": subject, "order_id": order_id,
        "body": {"to": "cancelled"},
    }  # fmt: skip
    database = Database()
    pool: Any = database
    commands = OrderService(pool, 4, utc_now, new_order_id, lambda _channels: None)

    async def apply() -> None:
        command = decode_command(json.dumps(value).encode())
        assert isinstance(command, TransitionCommand)
        await commands.transition(
            command.caller, command.order_id, command.body, command.seen, command.idempotency
        )

    with pytest.raises(CoreError):  # at the latest, since there is no such order
        asyncio.run(apply())
    assert all(text.is_key(one) for one in database.seen if one != ORDER_ID)
