"""`yabam webhooks` as it is run: killed in the middle, told to stop, asked how it is; and the
commands beside it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from deploy.local.webhook_sender import add_sender
from deploy.processes.ports import free_port
from deploy.processes.process import Process
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.webhook_receiver import OK, Received, Receiver

pytestmark = pytest.mark.xdist_group("webhook-process")


@asynccontextmanager
async def sender(core: CoreService) -> AsyncIterator[Process]:
    """A process that sends, ended with the block."""
    process = add_sender(core.stack, free_port(), f"webhooks-{new_store()}")
    process.start()
    try:
        await asyncio.to_thread(process.wait_ready, 60)
        yield process
    finally:
        process.kill()


async def place(core: CoreService, store: str, count: int) -> None:
    headers = bearer(token("owner", store))
    for _ in range(count):
        answer = await core.client.post("/v1/orders", json=an_order(store), headers=headers)
        assert answer.status_code == 201, answer.text


async def add(core: CoreService, receiver: Receiver, *stores: str) -> str:
    answer = await core.client.post(
        "/v1/webhooks",
        json={"url": receiver.url, "stores": list(stores)},
        headers=bearer(token("owner", *stores)),
    )
    assert answer.status_code == 201, answer.text
    receiver.secret = answer.json()["secret"]
    return str(answer.json()["webhook"]["id"])


async def test_a_sender_that_is_killed_in_the_middle_loses_nothing(core: CoreService) -> None:
    stores = [new_store(), new_store()]

    def answer(received: Received) -> str | None:
        return None if received.seq == 4 else OK

    async with Receiver(answer) as receiver:
        webhook_id = await add(core, receiver, *stores)
        async with sender(core) as first:
            for store in stores:
                await place(core, store, 8)
            await receiver.until(lambda r: sum(one.seq == 4 for one in r.requests) == 2)
            first.kill()
        receiver.answer = lambda _: OK
        # What the dead one held is free after a while; the test does not wait for it.
        connection = await asyncpg.connect(core.database)
        await connection.execute(
            "UPDATE webhook_lanes SET held_until = now() WHERE webhook_id = $1", webhook_id
        )
        await connection.close()
        async with sender(core):
            await receiver.until(lambda r: len(r.taken) >= 16)
    for store in stores:
        assert receiver.seqs(f"store:{store}") == list(range(1, 9))
    ids = [one.id for one in receiver.requests]
    assert len(set(ids)) == 16
    assert len(ids) == 18


async def test_a_sender_that_is_told_to_stop_ends_what_is_under_way_and_gives_it_back(
    core: CoreService,
) -> None:
    store = new_store()
    async with Receiver() as receiver:
        webhook_id = await add(core, receiver, store)
        async with sender(core) as process:
            await place(core, store, 3)
            await receiver.until(lambda r: len(r.taken) >= 3)
            assert await asyncio.to_thread(process.stop) == 0
        await place(core, store, 3)
        async with sender(core):
            await receiver.until(lambda r: len(r.taken) >= 6)
    assert [one.seq for one in receiver.requests] == [1, 2, 3, 4, 5, 6]
    assert webhook_id.startswith("wh-")


async def test_the_commands_do_what_the_api_does(core: CoreService) -> None:
    store = new_store()

    async def yabam(*arguments: str) -> Any:
        command = [sys.executable, "-m", "client_sdk.cli", "webhook", *arguments, "--json"]
        where = ["--core", core.stack.core_url, "--token", token("owner", store)]
        process = await asyncio.create_subprocess_exec(
            *command, *where, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, error = await process.communicate()
        assert process.returncode == 0, error.decode()
        return json.loads(out) if out else None

    made = await yabam("add", "https://example.com/", "--store", store, "--type", "order.paid")
    webhook_id = made["webhook"]["id"]
    assert made["secret"].startswith("whsec_")
    assert (await yabam("list"))["types"] == ["order.paid"]
    assert (await yabam("show", webhook_id))["lanes"][0]["state"] == "current"
    assert (await yabam("rotate", webhook_id))["secret"] != made["secret"]
    assert (await yabam("replay", webhook_id, f"store:{store}@0"))["id"] == webhook_id
    assert (await yabam("resume", webhook_id))["state"] == "active"
    assert await yabam("remove", webhook_id) == {"removed": webhook_id}
    assert await yabam("list") is None
