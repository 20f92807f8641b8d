"""Any text at a door that writes is refused, or is one that Postgres takes.

The database of these tests checks what it is given, and then is away: a text that passes is
answered by 503. tests/unit/core_api/test_doors.py has the doors whose answers are made up as well.
"""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given, settings

from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller
from core_api.errors import UnavailableError
from server_common.devices.identity import DeviceKeys, Identity
from tests.unit.core_api.test_doors import (
    ODD,
    ORDER_ID,
    OWNER,
    REFUSALS,
    Database,
    all_texts,
    core,
)
from tests.unit.core_api.test_fast_path import TOKENS, answer_of, scope_of

PLACE = "\N{WHITE SQUARE}"
"""Where the text goes."""
OPS = TOKENS.sign(Caller("s", "ops"), 600)
GUEST = TOKENS.sign(Caller("g", "table", table=Channel("table", "1", "5")), 600)
PRINT = "/v1/stores/1/devices/printer-1/prints/"
COMMANDS = "/v1/stores/1/devices/lamp/commands"
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
PASSWORD = DeviceKeys({"k": b"d" * 32}, "k").password(Identity("1", "lamp", 1), "k")
STEP = {"step": "again", "agent": "a1"}


class AwayDatabase(Database):
    """Looks at what it is given, as Postgres would, and is away."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        async def fails(*given: Any, **_named: Any) -> None:
            self.check(given)

        return fails

    def acquire(self, **_named: Any) -> Any:
        return self._entered()

    def transaction(self, **_named: Any) -> Any:
        return self._entered()

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        self.check((statement, *arguments))
        return []

    async def fetchrow(self, statement: str, *arguments: Any) -> None:
        self.check((statement, *arguments))

    def check(self, given: tuple[Any, ...]) -> None:
        """Take it, and fail. Raises UnavailableError."""
        for one in all_texts(given):
            self.take(one)
        raise UnavailableError("the database is away")

    @asynccontextmanager
    async def _entered(self) -> AsyncIterator[AwayDatabase]:
        yield self


class Door(NamedTuple):
    """A request with a place for a text, and a text that may stand there."""

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
    Door("webhook: cursor", "POST", "/v1/webhooks/wh1/replays", "store:1@5", {"cursor": PLACE}),
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
    Door("print: name", "POST", PRINT + PLACE, "j1", STEP),
    Door("print: agent", "POST", PRINT + "j1", "a1", STEP | {"agent": PLACE}),
    Door("print: detail", "POST", PRINT + "j1", "no paper", STEP | {"detail": PLACE}),
    Door("device: store", "PUT", f"/v1/stores/{PLACE}/devices/lamp", "1", {}),
    Door("device: name", "PUT", f"/v1/stores/1/devices/{PLACE}", "lamp", {}),
    Door("device: table", "PUT", "/v1/stores/1/devices/lamp", "5", {"table": PLACE}),
    Door("device: media", "PUT", "/v1/stores/1/devices/lamp", "image/png", {"media": [PLACE]}),
    Door("command: name", "POST", COMMANDS, "blink", {"name": PLACE}),
    Door("command: id", "POST", COMMANDS, "c1", {"name": "blink", "id": PLACE}),
    Door("command: argument", "POST", COMMANDS, "x", {"name": "blink", "arguments": {"a": PLACE}}),
    Door(
        "command: name of an argument", "POST", COMMANDS, "x",
        {"name": "blink", "arguments": {PLACE: 1}},
    ),
    Door(
        "device: user", "POST", "/v1/devices/token", "1~lamp~1",
        {"user": PLACE, "password": PASSWORD},
    ),
    Door("recall: order", "POST", f"/v1/orders/{PLACE}/recalls", ORDER_ID, {"to": "accepted"}),
    Door("recall: status", "POST", f"/v1/orders/{ORDER_ID}/recalls", "accepted", {"to": PLACE}),
]  # fmt: skip


def filled(value: Any, text: str) -> Any:
    """The same with this text in its place."""
    if isinstance(value, str):
        return value.replace(PLACE, text)
    if isinstance(value, list):
        return [filled(one, text) for one in value]
    if isinstance(value, dict):
        return {filled(name, text): filled(one, text) for name, one in value.items()}
    return value


async def status_of(door: Door, text: str, database: AwayDatabase) -> int:
    """What Core answers to this text there."""
    database.seen.clear()
    headers = [
        ("authorization", f"Bearer {door.bearer}"),
        ("yabam-device", "till-1; mode=live; pending=0"),
        ("content-type", "application/json"),
    ]
    scope = {**scope_of("", headers, door.method), "path": filled(door.target, text)}
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
    assert status in {503, *REFUSALS, 405}, (door, odd)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
async def test_each_door_is_open_to_what_may_stand_there(door: Door) -> None:
    assert await status_of(door, door.good, DATABASE) == 503
    assert DATABASE.seen


async def test_a_receipt_is_of_its_grammar_or_refused() -> None:
    for epoch, channel in (("e\0", "store:1"), ("e1", "store:\0"), ("\ud800", "store:1")):
        body = {"epoch": epoch, "cursor": f"{channel}@5", "channels": {channel: 5}}
        door = Door("receipts", "POST", "/v1/receipts", "", body)
        assert await status_of(door, "", DATABASE) in REFUSALS
    assert DATABASE.seen == []
