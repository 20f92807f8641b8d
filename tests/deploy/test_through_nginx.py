"""The real system behind a real nginx: two Cores, two event servers, one address for all."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import connect

from client_sdk import Item, OrderClient, OrderEvent, OrderProducer, Settings
from client_sdk.contract.sse import SseEvent, SseParser
from core_api.access.callers import Caller
from core_api.wiring import token_keys
from tests.deploy.site import Site, started
from tests.parts import FETCH_WAIT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("through-nginx")]

ITEMS: Final = [Item("Bibimbap", 1, 9_500)]
BRISK: Final = FETCH_WAIT | {
    "YABAM_EVENTS_HEARTBEAT_S": "0.3",
    "YABAM_EVENTS_LIFETIME_MIN_S": "2",
    "YABAM_EVENTS_LIFETIME_MAX_S": "3",
    "YABAM_POLL_AFTER_MS": "300",
}
IMPATIENT: Final = Settings(
    backoff_first=0.05, backoff_most=0.5, connect_timeout=3.0, watermark_timeout=4.0
)


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    with started(BRISK) as site:
        yield site


@pytest.fixture
async def site(running: Site) -> AsyncIterator[Site]:
    """The system, whole before and after each test, and a store that no other test uses."""
    running.choose_store()
    yield running
    await asyncio.to_thread(running.mend)


class Follower:
    """An SDK client behind nginx, and what its consumer was handed."""

    def __init__(self, client: OrderClient) -> None:
        self.client = client
        self.seqs: list[int] = []
        self._news = asyncio.Condition()

    async def follow(self) -> None:
        async for change in self.client.events():
            async with self._news:
                if isinstance(change, OrderEvent):
                    self.seqs.append(change.seq)
                self._news.notify_all()

    async def has(self, head: int) -> None:
        """Return once it has this event."""
        async with asyncio.timeout(30), self._news:
            await self._news.wait_for(lambda: bool(self.seqs) and self.seqs[-1] >= head)

    async def is_in(self, mode: str) -> None:
        """Return once the client is in this mode."""
        async with asyncio.timeout(30):
            async for status in self.client.statuses():
                if status.mode == mode:
                    return


@asynccontextmanager
async def following(site: Site) -> AsyncIterator[Follower]:
    async with OrderClient(
        site.nginx.url, site.token, [site.channel], settings=IMPATIENT, transport=site.transport()
    ) as client:
        follower = Follower(client)
        task = asyncio.create_task(follower.follow())
        try:
            # What came before its first sync, it would have from a snapshot.
            await follower.is_in("live")
            yield follower
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def ordering(site: Site) -> AsyncIterator[OrderProducer]:
    async with OrderProducer(
        site.nginx.url, site.token, attempts=20, transport=site.transport()
    ) as producer:
        yield producer


async def place(site: Site, producer: OrderProducer, count: int) -> None:
    for _ in range(count):
        await producer.place(site.store, ITEMS, currency="KRW", table_id="1")


async def test_orders_arrive_as_they_are_placed(site: Site) -> None:
    async with following(site) as follower, ordering(site) as producer:
        await follower.is_in("live")
        for number in range(1, 6):
            await place(site, producer, 1)
            await follower.has(number)
            assert follower.client.status.mode == "live"
    assert follower.seqs == [1, 2, 3, 4, 5]


async def test_pages_syncs_and_streams_have_one_origin(site: Site) -> None:
    async with client_of(site) as client:
        page = await client.get("/terminal")
        answer = await sync(site, client)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert answer["stream"]["url"] == f"{site.nginx.url}/v1/stream"


async def test_a_websocket_of_a_page_of_the_same_origin_comes_through(site: Site) -> None:
    async with client_of(site) as client, ordering(site) as producer:
        grant = (await sync(site, client))["stream"]
        address = grant["url"].replace("https://", "wss://").replace("/stream", "/socket")
        async with connect(
            f"{address}?ticket={grant['ticket']}",
            subprotocols=["yabam.v1"],  # type: ignore[list-item]
            origin=site.nginx.url,  # type: ignore[arg-type]
            ssl=site.nginx.trust,
            proxy=None,
        ) as socket:
            assert json.loads(await socket.recv())["event"] == "hello"
            await place(site, producer, 1)
            while json.loads(said := await socket.recv())["event"] == "heartbeat":
                pass
    assert json.loads(said)["id"] == f"{site.channel}@1"


async def test_heartbeats_come_one_by_one(site: Site) -> None:
    async with client_of(site) as client, opened(site, client) as events:
        types = [[event.type for event in chunk] async for chunk in events]
    assert types[0] == ["hello"]
    assert types[-1][-1] == "bye"
    assert types.count(["heartbeat"]) >= 3


async def test_the_figures_of_the_ops_page_come_as_they_are_made(site: Site) -> None:
    environment = site.stack.environment
    keys = token_keys(json.loads(environment["YABAM_TOKEN_KEYS"]), environment["YABAM_TOKEN_KID"])
    held = {"authorization": f"Bearer {keys.sign(Caller('ops-1', 'ops', frozenset()), 600)}"}
    parser = SseParser()
    pieces: list[list[str]] = []
    async with (
        asyncio.timeout(30),
        client_of(site) as client,
        client.stream("GET", "/v1/ops/stream", headers=held) as answer,
    ):
        assert answer.status_code == 200
        async for chunk in answer.aiter_raw():
            pieces += [[event.type for event in events]] if (events := parser.feed(chunk)) else []
            if len(pieces) == 4:
                break
    assert pieces[0][0] == "hello"
    assert pieces[2:] == [["figures"], ["figures"]], "nginx has held some back"


async def test_streams_come_over_http_2_as_well(site: Site) -> None:
    if shutil.which("curl") is None:
        pytest.fail("this test needs curl: on Debian, apt-get install curl", pytrace=False)
    async with client_of(site) as client:
        ticket = (await sync(site, client))["stream"]["ticket"]
    curl = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--no-buffer", "--http2", "--write-out", "HTTP/%{http_version}"),
        *("--cacert", str(site.nginx.certificate), "--max-time", "20"),
        f"{site.nginx.url}/v1/stream?ticket={ticket}",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await curl.communicate()
    told = out.decode()
    assert told.endswith("HTTP/2")
    types = re.findall(r"^event: (.+)$", told, re.MULTILINE)
    assert (types[0], types[-1]) == ("hello", "bye")
    assert set(types[1:-1]) == {"heartbeat"}


async def test_stream_after_stream_comes_on_connections_that_are_kept(site: Site) -> None:
    before = len(site.nginx.requests())
    async with following(site) as follower:
        await follower.is_in("live")
        async with asyncio.timeout(60):
            streams = await site.ended_streams(before, 4)
    assert len({stream["connection"] for stream in streams}) == 1


async def test_with_one_event_server_gone_the_other_serves(site: Site) -> None:
    async with following(site) as follower, ordering(site) as producer:
        await follower.is_in("live")
        for gone, head in zip(site.events, (3, 6), strict=True):
            await asyncio.to_thread(gone.kill)
            await place(site, producer, 3)
            await follower.has(head)
            await follower.is_in("live")
            await asyncio.to_thread(gone.start)
            await asyncio.to_thread(gone.wait_ready, 30)
    assert follower.seqs == [1, 2, 3, 4, 5, 6]


async def test_with_both_gone_orders_are_polled_for_until_they_are_back(site: Site) -> None:
    async with following(site) as follower, ordering(site) as producer:
        await follower.is_in("live")
        await place(site, producer, 2)
        for process in site.events:
            await asyncio.to_thread(process.kill)
        await follower.is_in("polling")
        await place(site, producer, 3)
        await follower.has(5)
        for process in site.events:
            await asyncio.to_thread(process.start)
        await follower.is_in("live")
        await place(site, producer, 2)
        await follower.has(7)
    assert follower.seqs == list(range(1, 8))
    assert not re.search(r"ticket=|eyJ", site.nginx.logs())


async def test_a_core_that_is_gone_is_not_missed(site: Site) -> None:
    async with following(site) as follower, ordering(site) as producer:
        await follower.is_in("live")
        await asyncio.to_thread(site.stack.core.kill)
        try:
            await place(site, producer, 5)
            await follower.has(5)
        finally:
            await asyncio.to_thread(site.stack.core.start)
            await asyncio.to_thread(site.stack.core.wait_ready, 30)
    assert follower.seqs == [1, 2, 3, 4, 5]


async def test_a_reload_cuts_no_stream_and_loses_nothing(site: Site) -> None:
    async with (
        client_of(site) as client,
        ordering(site) as producer,
        following(site) as follower,
        opened(site, client) as events,
    ):
        types = [event.type for event in await anext(events)]
        await asyncio.to_thread(site.nginx.reload)
        await place(site, producer, 3)
        types += [event.type async for chunk in events for event in chunk]
        await asyncio.to_thread(site.nginx.reload)
        await place(site, producer, 3)
        await follower.has(6)
    assert [kind for kind in types if kind != "heartbeat"] == [
        "hello",
        *3 * ["order.placed"],
        "bye",
    ]
    assert follower.seqs == [1, 2, 3, 4, 5, 6]


@asynccontextmanager
async def client_of(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {site.token}"}
    async with httpx.AsyncClient(
        base_url=site.nginx.url, headers=headers, transport=site.transport(), timeout=20
    ) as client:
        yield client


async def sync(site: Site, client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/v1/sync", params={"channel": site.channel})
    answer.raise_for_status()
    return dict(answer.json())


@asynccontextmanager
async def opened(
    site: Site, client: httpx.AsyncClient
) -> AsyncIterator[AsyncIterator[list[SseEvent]]]:
    """A stream; its events, as many at once as came in one piece."""
    ticket = (await sync(site, client))["stream"]["ticket"]
    async with (
        asyncio.timeout(30),
        client.stream("GET", "/v1/stream", params={"ticket": ticket}) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        parser = SseParser()
        pieces = (parser.feed(chunk) async for chunk in answer.aiter_raw())
        yield (piece async for piece in pieces if piece)
