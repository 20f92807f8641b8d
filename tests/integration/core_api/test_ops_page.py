"""`GET /v1/ops/stream` over everything that it looks at: Postgres, relay, ingest, event server."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from client_sdk.contract.sse import SseEvent, SseParser
from deploy.local.broker import EmbeddedBroker
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Addresses, Stack, free_ports
from tests.forked import FORKED
from tests.integration.core_service import KEYS, an_order, bearer, new_store, token
from tests.parts import FETCH_WAIT, migrated_database

PATH = "/v1/ops/stream"
NODES_KEY = {"nodes": "n" * 32}
CORES_OWN = {
    "YABAM_TOKEN_KEYS": json.dumps({"local": KEYS.token}),
    "YABAM_TOKEN_KID": "local",
    "YABAM_OPS_NODES_KEY": json.dumps(NODES_KEY),
}
WITHIN_S = 30.0


pytestmark = pytest.mark.xdist_group("core-ops-page")


@pytest.fixture(scope="module")
def everything(
    postgres_server: EmbeddedPostgres, embedded_broker: EmbeddedBroker
) -> Iterator[Stack]:
    """All processes; what reaches nobody is told of after a second."""
    name = uuid4().hex[:12]
    ports = free_ports()
    with tempfile.TemporaryDirectory(prefix="yabam-ops-") as folder:
        stack = Stack(
            Addresses(
                asyncio.run(migrated_database(postgres_server)),
                embedded_broker.bootstrap,
                ports=ports,
            ),
            KEYS,
            Path(folder),
            FETCH_WAIT
            | {
                "YABAM_EVENTS_TOPIC": f"order-events-{name}",
                "YABAM_INBOUND_TOPIC": f"orders.inbound-{name}",
                "YABAM_DEVICES_INBOUND_TOPIC": f"devices.inbound-{name}",
                "YABAM_INBOUND_DLQ_TOPIC": f"orders.inbound.dlq-{name}",
                "YABAM_ALERTS_TOPIC": f"store-alerts-{name}",
                "YABAM_UNRECEIVED_AFTER_S": "1",
                "YABAM_REACH_EVERY_S": "0.2",
                "YABAM_OPS_VIEWERS": "2",
                "YABAM_TOKEN_KEYS": json.dumps(NODES_KEY),
                "YABAM_TOKEN_KID": "nodes",
            },
            {"core": CORES_OWN | {"YABAM_OPS_CORES": f'["http://127.0.0.1:{ports.core}"]'}},
            starter=FORKED,
        )
        try:
            stack.start()
            yield stack
        finally:
            stack.kill()


class Watching:
    """A viewer's end of the stream."""

    def __init__(self, response: httpx.Response) -> None:
        self._bytes = response.aiter_raw()
        self._parser = SseParser()
        self._events: list[SseEvent] = []

    async def next(self) -> SseEvent:
        while not self._events:
            self._events += self._parser.feed(await anext(self._bytes))
        return self._events.pop(0)

    async def until(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The first figures that are as wanted."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                event = await self.next()
                if event.type == "figures" and wanted(figures := json.loads(event.data)):
                    return dict(figures)


@asynccontextmanager
async def watching(stack: Stack, role_token: str | None = None) -> AsyncIterator[Watching]:
    headers = bearer(role_token or token("ops"))
    async with (
        httpx.AsyncClient(base_url=stack.core_url, timeout=WITHIN_S) as client,
        client.stream("GET", PATH, headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        yield Watching(response)


@asynccontextmanager
async def following(stack: Stack, store: str) -> AsyncIterator[None]:
    """An owner's device that is live, without a client around it."""
    headers = bearer(token("owner", store), yabam_device=f"till-{store}; mode=live; pending=0")
    async with httpx.AsyncClient(timeout=WITHIN_S) as client:
        answer = await client.get(
            f"{stack.core_url}/v1/sync", params={"channel": f"store:{store}"}, headers=headers
        )
        grant = answer.json()["stream"]
        async with client.stream("GET", grant["url"], params={"ticket": grant["ticket"]}) as stream:
            assert stream.status_code == 200
            frames = stream.aiter_raw()  # held on to: when it goes, so does the connection
            await anext(frames)
            yield


async def place(stack: Stack, store: str) -> str:
    async with httpx.AsyncClient(base_url=stack.core_url) as client:
        headers = bearer(token("producer", store), idempotency_key=uuid4().hex)
        answer = await client.post("/v1/orders", json=an_order(store), headers=headers)
        assert answer.status_code == 201
        return str(answer.json()["id"])


class TestFigures:
    async def test_they_move_when_orders_are_placed(self, everything: Stack) -> None:
        store = new_store()
        async with watching(everything) as ops, following(everything, store):
            before = await ops.until(lambda f: f["connections"] == 1)
            assert before["watermark_age_s"] < 5
            placed = [asyncio.create_task(place(everything, store)) for _ in range(20)]
            await asyncio.gather(*placed)
            moved = await ops.until(lambda f: f["latency"] and f["latency"]["events"] >= 20)
            assert moved["events_per_s"] > 0
            assert moved["deliveries_per_s"] > 0
            assert 0 < moved["latency"]["p50_ms"] <= moved["latency"]["p99_ms"] < 30_000
            assert moved["top"][0] == {"channel": f"store:{store}", "followers": 1, "events": 20}
            seen = await ops.until(lambda f: f["clients"].get("live", 0) >= 1)
            assert seen["outbox"] == {"rows": 0, "age_s": 0.0}
            assert seen["database"] == ""

    async def test_every_process_is_there_with_what_tells_how_it_is(
        self, everything: Stack
    ) -> None:
        async with watching(everything) as ops:
            figures = await ops.until(lambda f: all(n["state"] == "ready" for n in f["nodes"]))
        assert figures["nodes"][0]["node"] == everything.core_url
        by_kind = {node["kind"]: node["figures"] for node in figures["nodes"]}
        assert by_kind.keys() == {"core", "events", "relay", "ingest"}
        assert by_kind["relay"]["shards"] == 4
        assert by_kind["events"].keys() == {"streams", "lag_s", "channels"}

    async def test_a_store_whose_order_reaches_nobody_is_named(self, everything: Stack) -> None:
        store = new_store()
        order = await place(everything, store)
        async with watching(everything) as ops:
            figures = await ops.until(
                lambda f: any(late["store_id"] == store for late in f["late"])
            )
        (late,) = [late for late in figures["late"] if late["store_id"] == store]
        assert (late["kind"], late["orders"], late["order_id"]) == ("unreceived", 1, order)
        assert late["waiting_s"] >= 1

    async def test_a_process_that_is_gone_is_what_it_was_until_it_is_back(
        self, everything: Stack
    ) -> None:
        address = f"127.0.0.1:{everything.addresses.ports.ingest}"
        name = f"down:{address}"
        async with watching(everything) as ops:
            await ops.until(lambda f: all(n["state"] == "ready" for n in f["nodes"]))
            assert await acknowledged(everything, name) == (404, "not-found")
            everything.ingest.kill()
            try:
                figures = await ops.until(lambda f: alert_of(f, name))
                by, at_ms = await acknowledged(everything, name)
                assert await acknowledged(everything, name) == (by, at_ms), "who came first"
                seen_to = await ops.until(lambda f: alert_of(f, name).get("acknowledged"))
            finally:
                everything.ingest.start()
                await asyncio.to_thread(everything.ingest.wait_ready, 30)
            await ops.until(lambda f: not alert_of(f, name))
        (down,) = [node for node in figures["nodes"] if node["state"] == "down"]
        assert (down["name"], down["kind"]) == (address, "ingest")
        assert down["detail"]
        assert figures["connections"] is not None, "it hides nothing"
        alert = alert_of(figures, name)
        assert (alert["node"], alert["kind"], alert["effect"]) == (address, "ingest", "commands")
        assert alert["since_ms"] <= figures["at_ms"]
        assert alert_of(seen_to, name)["acknowledged"] == {"by": "ops-", "at_ms": at_ms}
        log = (everything.folder / "log/core.log").read_text()
        (line,) = [json.loads(one) for one in log.splitlines() if "alert_acknowledged" in one]
        assert (line["alert"], line["subject"], by) == (name, "ops-", "ops-")

    async def test_the_day_is_kept_whether_or_not_anybody_looks(self, everything: Stack) -> None:
        async with (
            httpx.AsyncClient(base_url=everything.core_url, headers=bearer(token("ops"))) as client,
            asyncio.timeout(WITHIN_S),
        ):
            while not (points := (await client.get("/v1/ops/day")).json()["points"]):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert points[0]["outbox_rows"] is not None

    async def test_a_second_viewer_is_told_what_the_charts_showed_before(
        self, everything: Stack
    ) -> None:
        async with watching(everything) as first:
            shown = await first.until(lambda _: True)
            async with watching(everything) as second:
                hello = await second.next()
        assert hello.type == "hello"
        told = json.loads(hello.data)
        assert told["nodes"] == 4
        assert shown["at_ms"] in [point["at_ms"] for point in told["points"]]


def alert_of(figures: dict[str, Any], name: str) -> dict[str, Any]:
    """The alert of that name; empty: there is none."""
    return next((one for one in figures["alerts"] if one["name"] == name), {})


async def acknowledged(stack: Stack, alert: str) -> tuple[Any, Any]:
    """Who sees to it, and since when; or the status and the problem."""
    headers = bearer(token("ops"))
    async with httpx.AsyncClient(base_url=stack.core_url) as client:
        path, body = "/v1/ops/acknowledgements", {"alert": alert}
        answer = await client.post(path, json=body, headers=headers)
        told = answer.json()
        if answer.status_code != 200:
            return answer.status_code, told["type"].rpartition(":")[2]
        return told["by"], told["at_ms"]


class TestWhoMayWatch:
    @pytest.mark.parametrize("role", ["owner", "producer", "table"])
    async def test_only_ops(self, everything: Stack, role: Any) -> None:
        stores = () if role == "table" else ("*",)
        held = token(role, *stores, table="12/5" if role == "table" else None)
        assert await problem(everything, bearer(held)) == (403, "forbidden")

    async def test_nobody_without_a_token(self, everything: Stack) -> None:
        assert await problem(everything, {}) == (401, "unauthorized")
        assert await problem(everything, bearer(token("ops", lifetime_s=-1))) == (
            401,
            "unauthorized",
        )

    async def test_no_more_than_the_bound_until_one_leaves(self, everything: Stack) -> None:
        async with watching(everything) as one, watching(everything) as two:
            await asyncio.gather(one.next(), two.next())
            assert await problem(everything, bearer(token("ops"))) == (503, "overloaded")
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    async with watching(everything) as next_one:
                        assert (await next_one.next()).type == "hello"
                    break
                except AssertionError:
                    continue  # the server has not seen yet that one left


class TestTheEnd:
    async def test_a_core_that_stops_says_goodbye(
        self, postgres_server: EmbeddedPostgres, tmp_path: Path
    ) -> None:
        addresses = Addresses(
            await migrated_database(postgres_server), "127.0.0.1:1", ports=free_ports()
        )
        stack = Stack(addresses, KEYS, tmp_path, {"YABAM_OPS_NODES": "[]"}, starter=FORKED)
        stack.core.start()
        try:
            await asyncio.to_thread(stack.core.wait_ready, 30)
            async with watching(stack) as ops:
                figures = await ops.until(lambda _: True)
                assert [node["kind"] for node in figures["nodes"]] == ["core"]
                assert figures["connections"] is None
                stopping = asyncio.create_task(asyncio.to_thread(stack.core.stop))
                async with asyncio.timeout(WITHIN_S):
                    while (event := await ops.next()).type != "bye":
                        pass
            assert json.loads(event.data)["reason"] == "drain"
            await stopping
        finally:
            stack.core.kill()


async def problem(stack: Stack, headers: dict[str, str]) -> tuple[int, str]:
    async with httpx.AsyncClient(base_url=stack.core_url) as client:
        answer = await client.get(PATH, headers=headers)
        return answer.status_code, answer.json()["type"].rpartition(":")[2]
