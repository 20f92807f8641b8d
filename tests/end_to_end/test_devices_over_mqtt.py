"""Devices over MQTT through the whole system: registered, commanded, answered, removed."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from client_sdk import Item, OrderProducer
from deploy.mqtt.server import MosquittoServer
from deploy.processes.ports import LOOPBACK
from deploy.processes.process import Process
from server_common.devices.identity import parse_user
from server_common.mqtt.broker import MqttError
from tests.end_to_end.conftest import Installation
from tests.integration.core_service import new_store
from tests.mqtt_parts import Device, broker_of, device, until, until_it_connects_with

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka-devices")]

GUIDE = Path(__file__).parents[2] / "docs" / "sdk.md"


@pytest.fixture
def stack(stack_with_devices: Installation) -> Installation:
    return stack_with_devices


@pytest.fixture
def store() -> str:
    return new_store()


@pytest.fixture
async def owner(stack: Installation, store: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {stack.token('owner', store)}"}
    async with httpx.AsyncClient(base_url=stack.core_url, headers=headers, timeout=30) as client:
        yield client


async def registered(
    owner: httpx.AsyncClient, store: str, name: str, **body: Any
) -> dict[str, Any]:
    answer = await owner.put(f"/v1/stores/{store}/devices/{name}", json=body)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


async def document(owner: httpx.AsyncClient, store: str, name: str, key: str) -> Any:
    where = {"channel": f"device:{store}/{name}", "key": key}
    answer = await owner.get("/v1/documents", params=where)
    return answer.json().get("value") if answer.status_code == 200 else None


async def until_document(
    owner: httpx.AsyncClient, store: str, name: str, key: str, **wanted: Any
) -> None:
    """Return once the document has these values."""
    async with asyncio.timeout(30):
        while True:
            value = await document(owner, store, name, key) or {}
            if wanted.items() <= value.items():
                return
            await asyncio.sleep(0.1)


def topic(store: str, name: str, what: str) -> str:
    return f"yabam/v1/{store}/devices/{name}/{what}"


async def say_online(one: Device, store: str, name: str, connection: str) -> None:
    status = {"connection": connection, "online": True, "boot": 1, "at": 1}
    await one.connection.publish(
        topic(store, name, "status"), json.dumps(status).encode(), retain=True
    )


async def test_a_device_is_registered_commanded_answered_and_removed(
    store: str, owner: httpx.AsyncClient, mosquitto: MosquittoServer
) -> None:
    made = await registered(owner, store, "lamp")
    broker = broker_of(mosquitto, made["user"], made["password"], tls=True)
    await until_it_connects_with(broker)
    hears = topic(store, "lamp", "commands"), topic(store, "lamp", "accepted")
    async with device(broker, *hears) as lamp:
        await say_online(lamp, store, "lamp", "c1")
        await until_document(owner, store, "lamp", "status", online=True, connection="c1")

        sent = await owner.post(
            f"/v1/stores/{store}/devices/lamp/commands",
            json={"name": "blink", "arguments": {"times": 3}},
        )
        assert sent.status_code == 201, sent.text
        await until(lambda: lamp.on(hears[0]))
        command = lamp.on(hears[0])[0]
        assert (command["name"], command["arguments"]) == ("blink", {"times": 3})

        await lamp.say(
            topic(store, "lamp", "results"), boot=1, n=1, id=command["id"], outcome="done"
        )
        await until(lambda: lamp.on(hears[1]))
        assert [(a["n"], a["outcome"]) for a in lamp.on(hears[1])] == [(1, "applied")]
        assert (await document(owner, store, "lamp", f"command.{command['id']}"))["state"] == "done"

        gone = await owner.delete(f"/v1/stores/{store}/devices/lamp")
        assert gone.status_code == 204
        with pytest.raises(MqttError):
            async with asyncio.timeout(20):
                await lamp.connection.until_lost()


async def test_a_device_that_was_away_gets_its_command_and_the_public_documents(
    store: str, owner: httpx.AsyncClient, mosquitto: MosquittoServer
) -> None:
    made = await registered(owner, store, "lamp")
    broker = broker_of(mosquitto, made["user"], made["password"])
    await until_it_connects_with(broker)
    edit = {
        "n": 1,
        "channel": f"public:{store}",
        "key": "taking-orders",
        "do": {"set": {"value": False}},
    }
    settled = await owner.post("/v1/edits", json={"client": "till", "edits": [edit]})
    assert settled.json()["outcomes"][0]["outcome"] == "applied", settled.text
    sent = await owner.post(f"/v1/stores/{store}/devices/lamp/commands", json={"name": "blink"})
    assert sent.status_code == 201, sent.text
    commands, state = topic(store, "lamp", "commands"), f"yabam/v1/{store}/state/taking-orders"
    # Whatever the gateway has published of it meanwhile, nobody was there.
    async with device(broker, commands, state) as lamp:
        await say_online(lamp, store, "lamp", "c1")
        await until(lambda: any(one["name"] == "blink" for one in lamp.on(commands)))
        await until(lambda: lamp.on(state))


@pytest.mark.parametrize("store", ["1"])  # as the guide has it
async def test_the_guides_program_prints_each_order_once(
    stack: Installation,
    store: str,
    owner: httpx.AsyncClient,
    mosquitto: MosquittoServer,
    tmp_path: Path,
) -> None:
    made = await registered(owner, store, "terminal-1")
    await until_it_connects_with(broker_of(mosquitto, made["user"], made["password"]))
    section = GUIDE.read_text().partition("## Orders over MQTT\n")[2]
    source = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert source is not None
    (tmp_path / "program.py").write_text(source[1])
    environment = {
        "YABAM_CORE_URL": stack.core_url,
        "YABAM_TOKEN": stack.token("owner", store),
        "YABAM_MQTT_HOST": LOOPBACK,
        "MQTT_PORT": str(mosquitto.tls_port),
        "MQTT_CA_FILE": str(mosquitto.ca_file),
        "DEVICE_USER": parse_user(made["user"]).user,
        "DEVICE_PASSWORD": made["password"],
    }
    program = Process(
        "the guide's program", ["sh", "-c", f"cd {tmp_path} && exec {sys.executable} program.py"],
        environment, tmp_path / "output", None,
    )  # fmt: skip
    program.start()
    try:
        # Orders that are there before it starts come as a snapshot, which it does not print.
        await until(lambda: (tmp_path / "terminal.cursor").exists(), 60)
        async with OrderProducer(stack.core_url, stack.token("producer", store)) as producer:
            for _ in range(5):
                await producer.place(store, [Item("Bibimbap", 1, 9_500)], currency="KRW")
        lines = [f"store:{store}@{seq} order.placed placed" for seq in range(1, 6)]
        await until(lambda: program.log.read_text().splitlines() == lines, 60)
    finally:
        program.kill()
