"""Any text at a door that writes is refused, or is one that Postgres takes.

The database of these tests answers as if there were what each door asks for, up to the statement
that is given the door's text: then it looks at the text, and is away. So a text that passes is
answered by 503. tests/unit/core_api/test_doors.py has the doors that read.
"""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given, settings
from msgspec.json import encode
from msgspec.structs import replace

from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller
from core_api.errors import UnavailableError
from core_api.printing.jobs import Job
from server_common.devices.identity import DeviceKeys, Identity
from tests.unit.core_api.samples import LATER, NOW, order
from tests.unit.core_api.test_doors import (
    ODD,
    ORDER_ID,
    OWNER,
    REFUSALS,
    Database,
    core,
)
from tests.unit.core_api.test_fast_path import TOKENS, answer_of, scope_of

PLACE = "\N{WHITE SQUARE}"
"""Where the text goes."""
PASSWORD = "\N{BLACK SQUARE}"
"""Where the password goes of the device that the text names."""
OPS = TOKENS.sign(Caller("s", "ops"), 600)
GUEST = TOKENS.sign(Caller("g", "table", table=Channel("table", "1", "5")), 600)
PRINTS = "/v1/stores/1/devices/printer-1/prints/"
COMMANDS = "/v1/stores/1/devices/lamp/commands"
STAR = "/cloudprnt/1~printer-1~1.x/printer?"
STAR_SETTING = "/cloudprnt/1~printer-1~1.x/cloudprnt-setting.json?"
POINT = (
    urlsafe_b64encode(
        generate_private_key(SECP256R1())
        .public_key()
        .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    )
    .rstrip(b"=")
    .decode()
)
PUSH = {"endpoint": "https://push.example/x", "p256dh": POINT, "auth": "A" * 22}
URL = "https://hooks.example/x"
HOOK: dict[str, Any] = {"url": URL, "stores": ["1"]}
DEVICES = DeviceKeys({"k": b"d" * 32}, "k")
STEP = {"step": "again", "agent": "a1"}
FAIL = {"step": "fail", "agent": "a1", "attempt": 1}
JOB = Job(
    ORDER_ID, 1, "order", 1, 1, 1, NOW.isoformat(), LATER.isoformat(), 600, "en", 48, "text",
    [], "sent", 1, agent="a1",
)  # fmt: skip
WEBHOOK = {
    "id": "wh1", "url": URL, "stores": ["1"], "types": ["order.placed"], "state": "active",
    "made_by": "o", "made_at": NOW, "late": 0, "parked": 0, "set_aside": 0,
    "old_secret_until": None,
}  # fmt: skip
READ_ORDER = {
    "owner_view": encode(order("preparing")).decode(), "table_view": None, "request_hash": None,
    "epoch": "e1",
}  # fmt: skip
LAMP = ("1", "lamp", 1, "k", ["image/png"], "5", NOW, None, NOW)
TAKEN = replace(JOB, agent="cloudprnt")
TAKEN_JSON = encode(TAKEN.value).decode()
ANSWERS: dict[str, list[Any]] = {
    "AND value IS NOT NULL\nUNION ALL": [
        ("device:1/star", "print.j2", 1, TAKEN_JSON, 1, NOW, NOW),
        ("", "", 0, None, 0, NOW, NOW),
    ],
    "AS of_subject": [dict.fromkeys(("whole", "of_subject", "of_store", "lanes"), 0)],
    "FROM webhooks w JOIN": [WEBHOOK],
    "SELECT store_id FROM webhook_lanes": [{"store_id": "1"}],
    "AND held_until > now() + ": [(1,)],
    "SELECT agent = $3": [(True,)],
    "SELECT count(*) FILTER": [(0, 0)],
    "device_id = $2\n FOR NO KEY": [LAMP],
    "SELECT count(*) FROM device_commands": [(0,)],
    "SELECT o.owner_view": [READ_ORDER],
}
"""What stands there before a door's text is written, by a part of the statement that asks."""
DOCUMENTS = {
    "print.j1": encode(JOB.value).decode(), "print.j2": TAKEN_JSON,
    "status": None,
}  # fmt: skip


def given_texts(value: Any) -> Iterator[str]:
    """Every text that a statement is given, also in JSON."""
    if isinstance(value, UUID):
        yield str(value)
    elif isinstance(value, bytes):
        with suppress(UnicodeDecodeError):  # else it is no text, but a hash
            yield from given_texts(value.decode())
    elif isinstance(value, dict):
        yield from given_texts([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from given_texts(one)
    elif isinstance(value, str):
        yield value
        if value.startswith(("{", "[")):
            with suppress(ValueError):
                yield from given_texts(json.loads(value))


class AwayDatabase(Database):
    """Answers until it is given the text that it waits for; looks at that as Postgres would, and is
    away."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited = ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        async def asked(statement: str, *given: Any, **_named: Any) -> None:
            self.check(statement, given)

        return asked

    def acquire(self, **_named: Any) -> Any:
        return self._entered()

    def transaction(self, **_named: Any) -> Any:
        return self._entered()

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        return self.check(statement, arguments)

    async def fetchrow(self, statement: str, *arguments: Any) -> Any:
        found = self.check(statement, arguments)
        return found[0] if found else None

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        found = self.check(statement, arguments)
        return found[0][0] if found else None

    def check(self, statement: str, given: tuple[Any, ...]) -> list[Any]:
        """Take what is given, and answer. Raises UnavailableError: it was the awaited text."""
        texts = list(given_texts(given))
        for one in texts:
            self.take(one)
        if any(self.awaited in one for one in texts):
            raise UnavailableError("the database is away")
        is_document = "SELECT channel, key, version, value" in statement and len(given) > 1
        if is_document and given[1] in DOCUMENTS:
            return [(given[0], given[1], 1, DOCUMENTS[given[1]], 1, NOW, NOW)]
        return next((rows for part, rows in ANSWERS.items() if part in statement), [])

    @asynccontextmanager
    async def _entered(self) -> AsyncIterator[AwayDatabase]:
        yield self


class Door(NamedTuple):
    """A request with a place for a text, and a text that may stand there and reaches the
    database."""

    name: str
    method: str
    target: str
    good: str
    body: Any = None
    bearer: str = OWNER


DOORS = [
    Door("webhook: url", "POST", "/v1/webhooks", URL, HOOK | {"url": PLACE}),
    Door("webhook: store", "POST", "/v1/webhooks", "1", HOOK | {"stores": [PLACE]}),
    Door("webhook: type", "POST", "/v1/webhooks", "order.placed", HOOK | {"types": [PLACE]}),
    Door("webhook: name", "GET", f"/v1/webhooks/{PLACE}", "wh1"),
    Door("webhook: removal", "DELETE", f"/v1/webhooks/{PLACE}", "wh1"),
    Door(
        "webhook: cursor", "POST", "/v1/webhooks/wh1/replays", "s7",
        {"cursor": f"store:{PLACE}@5"},
    ),
    Door("webhook: state", "PUT", "/v1/webhooks/wh1/state", "active", {"state": PLACE}),
    Door("push: store", "PUT", f"/v1/stores/{PLACE}/pushes/d1", "1", PUSH),
    Door("push: device", "PUT", f"/v1/stores/1/pushes/{PLACE}", "d1", PUSH),
    *(
        Door(f"push: {name}", "PUT", "/v1/stores/1/pushes/d1", good, PUSH | {name: PLACE})
        for name, good in (PUSH | {"language": "ko"}).items()
    ),
    Door("push: removal", "DELETE", f"/v1/stores/1/pushes/{PLACE}", "d1"),
    Door("guest push: device", "PUT", f"/v1/guest-pushes/{PLACE}", "d1", PUSH, GUEST),
    Door(
        "guest push: endpoint", "PUT", "/v1/guest-pushes/d1", PUSH["endpoint"],
        PUSH | {"endpoint": PLACE}, GUEST,
    ),
    Door("guest push: table", "DELETE", f"/v1/stores/1/guest-pushes/{PLACE}/d1", "5"),
    Door("seen: order", "POST", "/v1/orders/seen", ORDER_ID, {"orders": [PLACE]}),
    *(
        Door(
            f"revocation: {kind}", "POST", "/v1/revocations", "ann",
            {"kind": kind, "name": PLACE}, OPS,
        )
        for kind in ("token", "session", "subject")
    ),
    Door("printer: agent", "POST", "/v1/stores/1/devices/p1/printer", "a1", {"agent": PLACE}),
    Door(
        "printer: trouble", "POST", "/v1/stores/1/devices/p1/printer", "paper end",
        {"agent": "a1", "troubles": [PLACE]},
    ),
    Door("print: name", "POST", PRINTS + PLACE, "j1", STEP),
    Door("print: agent", "POST", PRINTS + "j1", "a1", STEP | {"agent": PLACE}),
    Door("print: detail", "POST", PRINTS + "j1", "no paper", FAIL | {"detail": PLACE}),
    Door("device: store", "PUT", f"/v1/stores/{PLACE}/devices/lamp", "1", {}),
    Door("device: name", "PUT", f"/v1/stores/1/devices/{PLACE}", "lamp", {}),
    Door("device: table", "PUT", "/v1/stores/1/devices/lamp", "5", {"table": PLACE}),
    Door("device: media", "PUT", "/v1/stores/1/devices/lamp", "image/png", {"media": [PLACE]}),
    Door("command: name", "POST", COMMANDS, "blink", {"name": PLACE}),
    Door("command: id", "POST", COMMANDS, "c1", {"name": "blink", "id": PLACE}),
    Door(
        "command: argument", "POST", COMMANDS, "red", {"name": "blink", "arguments": {"a": PLACE}}
    ),
    Door(
        "command: name of an argument", "POST", COMMANDS, "color",
        {"name": "blink", "arguments": {PLACE: 1}},
    ),
    Door(
        "device: user", "POST", "/v1/devices/token", "lamp",
        {"user": f"1~{PLACE}~1", "password": PASSWORD},
    ),
    Door("cloudprnt: token", "DELETE", STAR + f"token={PLACE}.1&code=511", "j2"),
    Door("cloudprnt: code", "DELETE", STAR + f"token=j2.1&code=511{PLACE}", " Bad"),
    Door("cloudprnt: MAC", "GET", STAR_SETTING + f"mac={PLACE}", "00:11:62:1d:9a:b7"),
    Door(
        "acknowledgement: alert", "POST", "/v1/ops/acknowledgements", "relay-down",
        {"alert": PLACE}, OPS,
    ),
    Door("pairing: store", "POST", f"/v1/stores/{PLACE}/pairings", "1"),
    Door("recall: order", "POST", f"/v1/orders/{PLACE}/recalls", ORDER_ID, {"to": "accepted"}),
    Door("recall: status", "POST", f"/v1/orders/{ORDER_ID}/recalls", "accepted", {"to": PLACE}),
]  # fmt: skip


def filled(value: Any, text: str) -> Any:
    """The same with this text in its place."""
    if isinstance(value, str):
        if value == PASSWORD:
            return DEVICES.password(Identity("1", text, 1), "k") if text.isascii() else ""
        return value.replace(PLACE, text)
    if isinstance(value, list):
        return [filled(one, text) for one in value]
    if isinstance(value, dict):
        return {filled(name, text): filled(one, text) for name, one in value.items()}
    return value


async def status_of(door: Door, text: str, database: AwayDatabase) -> int:
    """What Core answers to this text there."""
    database.seen.clear()
    database.awaited = text
    headers = [
        ("authorization", f"Bearer {door.bearer}"),
        ("yabam-device", "till-1; mode=live; pending=0"),
        ("content-type", "application/json"),
    ]
    target, _, query = door.target.partition("?")
    asked = query.replace(PLACE, quote(text.encode("utf-8", "surrogatepass"), safe=""))
    scope = {**scope_of(asked, headers, door.method), "path": filled(target, text)}
    body = b"" if door.body is None else json.dumps(filled(door.body, text)).encode()
    sent = await answer_of(core(database), scope, body)
    status: int = sent[0]["status"]
    return status


DATABASE = AwayDatabase()


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
@settings(max_examples=15, deadline=None)
@given(odd=ODD)
@example(odd="\0")
@example(odd="a\0")
@example(odd="\ud800")
def test_any_text_is_refused_or_is_one_that_postgres_takes(door: Door, odd: str) -> None:
    status = asyncio.run(status_of(door, odd, DATABASE))
    # A printer is not told that nothing was stored.
    passing = {200} if door.name.startswith("cloudprnt") else set()
    assert status in {503, *REFUSALS, 405} | passing, (door, odd)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
async def test_each_door_is_open_to_what_may_stand_there(door: Door) -> None:
    assert await status_of(door, door.good, DATABASE) == 503
    assert any(door.good in one for one in DATABASE.seen), "the text reaches no statement"


async def test_a_receipt_is_of_its_grammar_or_refused() -> None:
    for epoch, channel in (("e\0", "store:1"), ("e1", "store:\0"), ("\ud800", "store:1")):
        body = {"epoch": epoch, "cursor": f"{channel}@5", "channels": {channel: 5}}
        door = Door("receipts", "POST", "/v1/receipts", "", body)
        assert await status_of(door, "", DATABASE) in REFUSALS
    assert DATABASE.seen == []
