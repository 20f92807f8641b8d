"""Registered devices over HTTP: their passwords, tokens, commands and pictures."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import asyncpg
import httpx

from client_sdk.contract.limits import MAX_VALUE_DEPTH
from server_common.devices.identity import DeviceKeys, Identity
from tests.integration.core_service import KEYS, CoreService, bearer, new_store, token

PNG = b"\x89PNG\r\n\x1a\n"


class Owner:
    """An owner of a new store, with a bell."""

    def __init__(self, core: CoreService, device: str = "bell-1") -> None:
        self.core, self.store, self.device = core, new_store(), device
        self.path = f"/v1/stores/{self.store}/devices/{device}"
        self.token = token("owner", self.store)

    async def put(self, **wanted: Any) -> httpx.Response:
        return await self.core.client.put(self.path, json=wanted, headers=bearer(self.token))

    async def get(self, more: str = "", who: str | None = None) -> httpx.Response:
        headers = bearer(self.token if who is None else who)
        return await self.core.client.get(f"{self.path}{more}", headers=headers)

    async def ask(self, **wanted: Any) -> httpx.Response:
        path = f"{self.path}/commands"
        return await self.core.client.post(path, json=wanted, headers=bearer(self.token))

    async def login(self, user: str, password: str) -> httpx.Response:
        body = {"user": user, "password": password}
        return await self.core.client.post("/v1/devices/token", json=body)


async def test_a_registration_shows_the_password_that_the_broker_will_know(
    core: CoreService,
) -> None:
    owner = Owner(core)
    response = await owner.put(table="5")
    assert response.status_code == 201
    shown = response.json()
    keys = DeviceKeys({"local": KEYS.devices.encode()}, "local")
    assert shown["password"] == keys.password(Identity(owner.store, "bell-1", 1), "local")
    assert shown["user"] == shown["client_id"] == f"{owner.store}~bell-1~1"
    again = await owner.put()
    assert again.status_code == 200
    assert not {"password", "token"} & again.json().keys()
    assert again.json()["table"] == "5"
    rotated = (await owner.put(rotate=True)).json()
    assert (rotated["generation"], rotated["user"]) == (2, f"{owner.store}~bell-1~2")
    assert rotated["password"] != shown["password"]


async def test_a_password_opens_the_devices_own_doors_until_it_ends(core: CoreService) -> None:
    owner = Owner(core)
    made = (await owner.put()).json()
    answer = await owner.login(made["user"], made["password"])
    assert answer.status_code == 200
    own = answer.json()["token"]
    for more in ("", "/commands"):
        assert (await owner.get(more, own)).status_code == 200
    channel = f"device:{owner.store}/bell-1"
    synced = await core.client.get(f"/v1/sync?channel={channel}", headers=bearer(own))
    assert synced.status_code == 200
    for user, password in (
        (made["user"], "x"),
        (f"{owner.store}~bell-2~1", made["password"]),
        (f"{owner.store}~bell-1~2", made["password"]),
        ("nonsense", made["password"]),
    ):
        assert (await owner.login(user, password)).status_code == 401
    await owner.put(rotate=True)
    assert (await owner.login(made["user"], made["password"])).status_code == 401


async def test_a_devices_token_opens_no_other_device_and_commands_nobody(
    core: CoreService,
) -> None:
    owner = Owner(core)
    await owner.put()
    other = token("device", device=f"{owner.store}/bell-2")
    for more in ("", "/commands", "/snapshot"):
        assert (await owner.get(more, other)).status_code == 403
    own = token("device", device=f"{owner.store}/bell-1")
    for method, path, body in (
        ("PUT", owner.path, {}),
        ("DELETE", owner.path, None),
        ("POST", f"{owner.path}/commands", {"name": "blink"}),
        ("GET", f"/v1/stores/{owner.store}/devices", None),
    ):
        response = await core.client.request(method, path, json=body, headers=bearer(own))
        assert response.status_code == 403


async def test_the_devices_of_a_store_are_listed_without_their_passwords(
    core: CoreService,
) -> None:
    owner = Owner(core)
    await owner.put(media=["text/plain"])
    listed = await core.client.get(
        f"/v1/stores/{owner.store}/devices", headers=bearer(token("ops"))
    )
    (one,) = listed.json()["registered"]
    assert one["device"] == "bell-1"
    assert one["media"] == ["text/plain"]
    assert "password" not in one


async def test_a_removed_device_is_not_found_and_another_one_may_take_its_name(
    core: CoreService,
) -> None:
    owner = Owner(core)
    await owner.put()
    headers = bearer(owner.token)
    removed = await core.client.delete(owner.path, headers=headers)
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await core.client.delete(owner.path, headers=headers)).status_code == 404
    assert (await owner.get()).status_code == 404
    assert (await owner.ask(name="blink")).status_code == 404
    again = await owner.put()
    assert (again.status_code, again.json()["generation"]) == (201, 2)


async def test_a_command_is_answered_as_it_stands_however_often_it_is_sent(
    core: CoreService,
) -> None:
    owner = Owner(core)
    await owner.put()
    first = await owner.ask(name="show", arguments={"text": "ready"}, id="c-1")
    assert first.status_code == 201
    again = await owner.ask(name="show", arguments={"text": "ready"}, id="c-1")
    assert (again.status_code, again.json()) == (200, first.json())
    other = await owner.ask(name="show", arguments={}, id="c-1")
    assert other.json()["type"].endswith(":idempotency-mismatch")
    made = await owner.ask(name="blink")
    assert made.json()["id"]
    listed = (await owner.get("/commands")).json()["commands"]
    assert [one["name"] for one in listed] == ["blink", "show"]
    document = await core.client.get(
        f"/v1/documents?channel=device:{owner.store}/bell-1&key=command.c-1",
        headers=bearer(owner.token),
    )
    assert document.json()["value"]["state"] == "sent"


async def test_core_lets_a_command_expire(core: CoreService) -> None:
    owner = Owner(core)
    await owner.put()
    await owner.ask(name="blink", id="c-1", expires_in_s=1)
    channel = f"device:{owner.store}/bell-1"
    after = 1
    states = []
    async with asyncio.timeout(20):
        while "expired" not in states:
            query = f"channel={channel}&lastEventId={after}&wait=5"
            synced = await core.client.get(f"/v1/sync?{query}", headers=bearer(owner.token))
            for event in synced.json()["channels"][0]["events"]:
                states.append(event["data"]["state"])
                after = event["seq"]
    assert states == ["expired"]


async def test_what_is_wrong_with_a_command_is_told(core: CoreService) -> None:
    owner = Owner(core)
    await owner.put()
    for wanted, told in (
        ({"name": ""}, "name"),
        ({"name": "x", "expires_in_s": 0}, "expires_in_s"),
        ({"name": "x", "id": "a b"}, "id"),
        ({"name": "x", "arguments": {"a": 0.5}}, "/arguments/a:"),
        ({"name": "x", "surprise": 1}, "surprise"),
    ):
        response = await owner.ask(**wanted)
        assert response.status_code == 422, wanted
        assert told in response.json()["detail"]
    too_large = await owner.ask(name="x", arguments={"a": "x" * 9000})
    assert too_large.status_code == 413
    bad = await core.client.put(
        f"/v1/stores/{owner.store}/devices/a b", json={}, headers=bearer(owner.token)
    )
    assert bad.status_code == 400


async def test_arguments_are_as_deep_as_the_commands_document_permits(core: CoreService) -> None:
    owner = Owner(core)
    await owner.put()
    deepest: dict[str, Any] = {}
    for _ in range(MAX_VALUE_DEPTH - 2):
        deepest = {"a": deepest}
    assert (await owner.ask(name="x", arguments=deepest)).status_code == 201
    refused = await owner.ask(name="x", arguments={"a": deepest})
    assert refused.status_code == 422, refused.text
    assert f"at most {MAX_VALUE_DEPTH} deep" in refused.json()["detail"]


async def test_nobody_edits_what_core_makes_of_a_device(core: CoreService) -> None:
    owner = Owner(core)
    await owner.put()
    edits = [
        {"n": n, "channel": f"device:{owner.store}/bell-1", "key": key, "do": {"set": {}}}
        for n, key in enumerate(("status", "telemetry", "snapshot", "command.x", "event.x"), 1)
    ]
    for who in (owner.token, token("device", device=f"{owner.store}/bell-1"), token("ops")):
        body = {"client": new_store(), "edits": edits}
        answer = await core.client.post("/v1/edits", json=body, headers=bearer(who))
        outcomes = answer.json()["outcomes"]
        assert {one["outcome"] for one in outcomes} == {"refused"}
        assert {one["problem"]["type"] for one in outcomes} == {"urn:yabam:problem:forbidden"}


async def test_the_newest_picture_is_given_as_it_was_sent(core: CoreService) -> None:
    owner = Owner(core)
    await owner.put()
    assert (await owner.get("/snapshot")).status_code == 404
    picture = PNG + b"picture"
    connection = await asyncpg.connect(core.database)
    await connection.execute(
        "INSERT INTO device_snapshots VALUES ($1, $2, 'image/png', $3, $4, now())",
        owner.store,
        owner.device,
        picture,
        hashlib.sha256(picture).hexdigest(),
    )
    await connection.close()
    answer = await owner.get("/snapshot")
    assert answer.content == picture
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["etag"] == f'"{hashlib.sha256(picture).hexdigest()}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
