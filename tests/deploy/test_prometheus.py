"""A real Prometheus over a real installation: it reads every process, and raises what it should."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.local.broker import EmbeddedBroker
from deploy.local.device_door import add_door
from deploy.local.stack import Addresses, Stack, free_ports
from deploy.local.webhook_sender import add_sender
from deploy.mqtt.server import MosquittoServer
from deploy.processes.ports import free_port
from tests.data_folder import data_folder
from tests.deploy.exported import ROOT
from tests.deploy.tools import installed
from tests.drilled_postgres import DrilledPostgres
from tests.forked import FORKED
from tests.integration.core_service import KEYS, an_order, bearer, token
from tests.parts import FETCH_WAIT, migrated_database

WITHIN_S = 90.0
CORES_RING = {"local": KEYS.token}
NODES_RING = {"nodes": "n" * 32}
pytestmark = [
    pytest.mark.xdist_group("prometheus"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with data_folder("yabam-prom-") as path:
        yield path


@pytest.fixture(scope="module")
def more_ports() -> dict[str, int]:
    """Of the processes that not every stack has; not chosen before, or others get them, too."""
    return {name: free_port() for name in ("mqtt", "mqtt-admin", "webhooks")}


@pytest.fixture(scope="module")
def stack(folder: Path, more_ports: dict[str, int]) -> Iterator[Stack]:
    postgres, broker = DrilledPostgres(folder / "postgres", durable=False), EmbeddedBroker(folder)
    postgres.start()
    broker.start()
    stack = Stack(
        Addresses(asyncio.run(migrated_database(postgres)), broker.bootstrap, ports=free_ports()),
        KEYS,
        folder,
        FETCH_WAIT | {"YABAM_TOKEN_KEYS": json.dumps(NODES_RING), "YABAM_TOKEN_KID": "nodes"},
        {"core": {"YABAM_TOKEN_KEYS": json.dumps(CORES_RING), "YABAM_TOKEN_KID": "local"}},
        starter=FORKED,
    )  # fmt: skip
    mosquitto = MosquittoServer(folder / "mqtt")
    mosquitto.start()
    add_sender(stack, more_ports["webhooks"])
    add_door(stack, mosquitto.settings, more_ports["mqtt"], more_ports["mqtt-admin"])
    try:
        stack.start()
        yield stack
    finally:
        stack.kill()
        mosquitto.kill()
        broker.kill()
        postgres.stop_at_once()


@pytest.fixture(scope="module")
def prometheus(stack: Stack, folder: Path, more_ports: dict[str, int]) -> Iterator[str]:
    """Prometheus with our configuration, in which only the addresses and the pace are other."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(ROOT / "deploy/prometheus/alerts.yml")]
    held = {"ops_token": token("ops"), "ops_nodes_token": ops_token_of_the_nodes()}
    for name, text in held.items():
        (folder / name).write_text(text)
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        secret = Path(job["authorization"]["credentials_file"])
        assert secret.parent == Path("/run/secrets")
        job["authorization"] = {"credentials_file": str(folder / secret.name)}
        name = job["job_name"].removeprefix("yabam-")
        port = more_ports.get(name) or getattr(stack.addresses.ports, name)
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                installed("prometheus", "prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield f"http://127.0.0.1:{port}/api/v1"
    finally:
        process.terminate()
        process.wait(20)


def ops_token_of_the_nodes() -> str:
    return token_keys(NODES_RING, "nodes").sign(Caller("prometheus", "ops"), 600)


@pytest.fixture
async def client(prometheus: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=prometheus, timeout=10) as client:
        yield client


async def data(client: httpx.AsyncClient, path: str, **query: str) -> Any:
    answer = (await client.get(path, params=query)).json()
    assert answer["status"] == "success", answer
    return answer["data"]


async def until(
    client: httpx.AsyncClient, path: str, wanted: Callable[[Any], bool], **query: str
) -> Any:
    """What the path answers, as soon as it is as wanted."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                if wanted(found := await data(client, path, **query)):
                    return found
            except (httpx.TransportError, json.JSONDecodeError):
                pass  # it is starting
            await asyncio.sleep(0.2)


def firing(alerts: dict[str, Any]) -> set[str]:
    return {one["labels"]["alertname"] for one in alerts["alerts"] if one["state"] == "firing"}


async def test_it_reads_every_process(client: httpx.AsyncClient) -> None:
    targets = await until(
        client,
        "/targets",
        lambda found: (
            len(found["activeTargets"]) == 7
            and all(target["health"] == "up" for target in found["activeTargets"])
        ),
    )
    jobs = {target["labels"]["job"] for target in targets["activeTargets"]}
    kinds = ("core", "events", "relay", "ingest", "mqtt", "mqtt-admin", "webhooks")
    assert jobs == {f"yabam-{kind}" for kind in kinds}


async def test_every_query_of_the_dashboard_is_answered(
    client: httpx.AsyncClient, stack: Stack
) -> None:
    rate = "sum(rate(yabam_relay_published_events_total[1m]))"
    async with httpx.AsyncClient(base_url=stack.core_url) as core, asyncio.timeout(120):
        # What is published before the first scrape is in no rate: so orders go on coming.
        while True:
            placed = await core.post(
                "/v1/orders", json=an_order("1"), headers=bearer(token("owner", "1"))
            )
            assert placed.status_code == 201
            found = (await data(client, "/query", query=rate))["result"]
            if found and float(found[0]["value"][1]) > 0:
                break
            await asyncio.sleep(0.25)
    board = json.loads((ROOT / "deploy/grafana/yabam.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    for query in queries:
        await data(client, "/query", query=query)


async def test_a_system_that_is_well_raises_nothing_and_one_without_event_server_does(
    client: httpx.AsyncClient, stack: Stack
) -> None:
    groups = (await until(client, "/rules", lambda found: bool(found["groups"])))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert all(rule["health"] in ("ok", "unknown") for rule in rules), rules
    assert firing(await data(client, "/alerts")) == set()
    stack.events.kill()
    try:
        wanted = {"YabamNoEventServerReady"}
        await until(client, "/alerts", lambda found: wanted <= firing(found))
    finally:
        stack.events.start()
        await asyncio.to_thread(stack.events.wait_ready, 30)
    await until(client, "/alerts", lambda found: not wanted & firing(found))
