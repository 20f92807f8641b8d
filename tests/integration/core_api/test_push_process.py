"""Pushes as they are run: by `yabam webhooks`, beside its webhooks; and the commands beside it."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import jwt
import msgspec
import pytest

from core_api.push.messages import PushKeys
from deploy.processes.ports import free_port
from tests.integration.core_service import KEYS, CoreService, an_order, bearer, new_store, token
from tests.push_service import PushService

pytestmark = pytest.mark.xdist_group("webhook-process")

SHORTEST_S = "2"
KEY = PushKeys(KEYS.push, "https://yabam.example").public


async def subscribe(
    core: CoreService, service: PushService, store: str, by: str | None = None
) -> None:
    """Tell a browser of a store's orders, as an owner with this token."""
    answer = await core.client.put(
        f"/v1/stores/{store}/pushes/phone",
        json=msgspec.to_builtins(service.browser().subscription),
        headers=bearer(by or token("owner", store)),
    )
    assert answer.status_code == 204, answer.text


async def test_a_phone_is_told_by_the_process_that_sends_webhooks(core: CoreService) -> None:
    store = new_store()
    port = free_port()
    settings = {"YABAM_WEBHOOKS_PORT": str(port), "YABAM_PUSH_AFTER_S": SHORTEST_S}
    process = core.stack.add_command(f"webhooks-{store}", ["webhooks"], port, settings)
    async with PushService(KEY) as service:
        given = await core.client.get("/v1/push", headers=bearer(token("owner", store)))
        assert given.json() == {"key": KEY}
        await subscribe(core, service, store)
        process.start()
        try:
            await asyncio.to_thread(process.wait_ready, 60)
            owner = bearer(token("owner", store))
            await core.client.post("/v1/orders", json=an_order(store), headers=owner)
            await service.until(lambda s: len(s.taken) == 1)
            await _counts(core, port, 'yabam_pushes_attempts_total{outcome="delivered"} 1.0')
        finally:
            process.kill()
    assert service.taken[0].told == {"store": store, "count": 1, "language": "ko"}


async def test_a_phone_whose_owner_s_token_was_revoked_is_told_nothing(core: CoreService) -> None:
    signed_out, store = new_store(), new_store()
    port = free_port()
    settings = {"YABAM_WEBHOOKS_PORT": str(port), "YABAM_PUSH_AFTER_S": SHORTEST_S}
    process = core.stack.add_command(f"webhooks-{store}", ["webhooks"], port, settings)
    owner = bearer(token("owner", signed_out, store))
    async with PushService(KEY) as service:
        stolen, keeps = token("owner", signed_out), token("owner", store)
        for place, by in ((signed_out, stolen), (store, keeps)):
            await subscribe(core, service, place, by)
        named = jwt.decode(stolen, options={"verify_signature": False})["jti"]
        answer = await core.client.post(
            "/v1/revocations", json={"kind": "token", "name": named}, headers=bearer(token("ops"))
        )
        assert answer.status_code == 204, answer.text
        for place in (signed_out, store):
            await core.client.post("/v1/orders", json=an_order(place), headers=owner)
        process.start()
        try:
            await asyncio.to_thread(process.wait_ready, 60)
            await service.until(lambda s: len(s.taken) == 1)
        finally:
            process.kill()
        assert service.asked == ["/push/1"]
    kept = [
        (await core.client.get(f"/v1/stores/{place}/pushes", headers=owner)).json()["pushes"]
        for place in (signed_out, store)
    ]
    assert [len(pushes) for pushes in kept] == [0, 1]


async def _counts(core: CoreService, port: int, line: str) -> None:
    """Return once the process's metrics have this line: it counts what has been answered."""
    ops = bearer(token("ops"))
    async with asyncio.timeout(30):
        while True:
            numbers = await core.client.get(f"http://127.0.0.1:{port}/metrics", headers=ops)
            if line in numbers.text:
                return
            await asyncio.sleep(0.02)


async def test_the_commands_show_and_end_what_is_told(core: CoreService) -> None:
    store = new_store()

    async def yabam(*arguments: str) -> Any:
        command = [sys.executable, "-m", "client_sdk.cli", "push", *arguments, "--json"]
        where = ["--core", core.stack.core_url, "--token", token("owner", store)]
        process = await asyncio.create_subprocess_exec(
            *command, *where, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, error = await process.communicate()
        assert process.returncode == 0, error.decode()
        return json.loads(out) if out else None

    async with PushService(KEY) as service:
        await subscribe(core, service, store)
    assert (await yabam("list", store))["device"] == "phone"
    assert await yabam("remove", f"{store}/phone") == {"removed": f"{store}/phone"}
    assert await yabam("list", store) is None
