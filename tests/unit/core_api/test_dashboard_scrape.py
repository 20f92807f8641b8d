"""Asking the other processes: what they tell, and what is shown when they do not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from core_api.dashboard.processes import BusyChannel, ProcessKind, ProcessReading
from core_api.dashboard.scrape import MAX_BYTES, MAX_NODES, Scraper, reading_of

METRICS = (
    "# TYPE yabam_events_streams_ended_total counter\n"
    'yabam_events_streams_ended_total{reason="slow"} 3.0\n'
    "# TYPE python_info gauge\npython_info 1.0\n"
)
BUSY = '{"channels":[{"channel":"store:1","followers":2,"events":5}]}'
Answers = Mapping[str, httpx.Response]


def events_server(**changes: httpx.Response) -> dict[str, httpx.Response]:
    return {
        "/metrics": httpx.Response(200, text=METRICS),
        "/readyz": httpx.Response(200, text="ready"),
        "/v1/channels/top": httpx.Response(200, text=BUSY),
    } | {f"/{path}": answer for path, answer in changes.items()}


async def ask(
    answer: Callable[[httpx.Request], httpx.Response],
    *nodes: str,
    names: Mapping[str, list[str]] | None = None,
    kinds: dict[str, ProcessKind] | None = None,
) -> list[ProcessReading]:
    async def addresses(host: str, _port: int) -> list[str]:
        if names is None:
            raise OSError("no such name")
        return names[host]

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        known = {} if kinds is None else kinds
        return await Scraper(nodes, lambda: "a-token", client, known, addresses).read()


async def ask_one(answers: Answers) -> ProcessReading:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/readyz":
            assert request.headers["authorization"] == "Bearer a-token"
        return answers[request.url.path]

    (reading,) = await ask(answer, "http://e:8001/")
    return reading


async def test_what_a_process_tells_is_read_without_what_is_not_ours() -> None:
    reading = await ask_one(events_server())
    assert reading == ProcessReading(
        "http://e:8001",
        "events",
        "ready",
        "",
        {"yabam_events_streams_ended_total": {("slow",): 3.0}},
        [BusyChannel("store:1", 2, 5)],
        "e:8001",
    )


async def test_one_that_is_not_ready_says_why_and_keeps_its_figures() -> None:
    body = '{"type":"urn:yabam:problem:degraded","title":"x","status":503,"detail":"Kafka is away"}'
    reading = await ask_one(events_server(readyz=httpx.Response(503, text=body)))
    assert (reading.state, reading.detail) == ("not-ready", "Kafka is away")
    assert reading.values


async def test_one_that_refuses_the_token_is_down_with_its_reason() -> None:
    body = '{"type":"urn:yabam:problem:forbidden","title":"x","status":403,"detail":"not you"}'
    reading = await ask_one(events_server(metrics=httpx.Response(403, text=body)))
    assert (reading.state, reading.detail) == ("down", "/metrics answered 403: not you")


@pytest.mark.parametrize(
    "body", [b"yabam_events_x{ 1\n", b"\xff\xfe", b"# x" * MAX_BYTES], ids=["odd", "bytes", "long"]
)
async def test_what_cannot_be_read_makes_it_down_and_nothing_else(body: bytes) -> None:
    reading = await ask_one(events_server(metrics=httpx.Response(200, content=body)))
    assert reading.state == "down"
    assert reading.detail


async def test_a_number_that_is_none_is_left_out_and_the_others_are_read() -> None:
    text = METRICS + "".join(
        f'yabam_events_streams_ended_total{{reason="{value}"}} {value}\n'
        for value in ("NaN", "+Inf")
    )
    reading = await ask_one(events_server(metrics=httpx.Response(200, text=text)))
    assert reading.values == {"yabam_events_streams_ended_total": {("slow",): 3.0}}


async def test_channels_that_are_nested_without_end_make_it_down_and_nothing_else() -> None:
    busy = httpx.Response(200, text='{"more":' + "[" * 100_000)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "odd" and request.url.path == "/v1/channels/top":
            return busy
        return events_server()[request.url.path]

    odd, other = await ask(answer, "http://odd:8001", "http://e:8001")
    assert (odd.state, other.state) == ("down", "ready")


async def test_an_answer_without_end_is_read_up_to_the_bound() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 16
            yield b"#" * (1 << 16)

    reading = await ask_one(events_server(metrics=httpx.Response(200, content=endless())))
    assert reading.state == "down"
    assert sent <= MAX_BYTES + (2 << 16)


async def test_one_that_cannot_be_reached_does_not_hide_the_others() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "gone":
            raise httpx.ConnectError("connection refused")
        return events_server()[request.url.path]

    gone, there = await ask(answer, "http://gone:8001", "http://e:8001")
    assert (gone.state, gone.detail) == ("down", "connection refused")
    assert there.state == "ready"


async def test_each_address_of_a_name_is_a_process_of_its_own() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return events_server()[request.url.path]

    names = {"events": ["10.0.0.2", "10.0.0.1"], "v6": ["fd00::1", "fd00::2"], "one": ["10.0.0.9"]}
    found = await ask(answer, "http://events:8001", "http://v6:1", "http://one:8001", names=names)
    assert [reading.node for reading in found] == [
        "http://10.0.0.1:8001",
        "http://10.0.0.2:8001",
        "http://[fd00::1]:1",
        "http://[fd00::2]:1",
        "http://one:8001",
    ]


async def test_several_behind_one_name_are_told_apart() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return events_server()[request.url.path]

    names = {"events": ["10.0.0.2", "10.0.0.1"], "one": ["10.0.0.9"]}
    found = await ask(answer, "http://events:8001", "http://one:8001", names=names)
    assert [reading.name for reading in found] == [
        "events:8001 (10.0.0.1)",
        "events:8001 (10.0.0.2)",
        "one:8001",
    ]


async def test_a_dead_process_is_of_the_kind_that_it_was_before_it_died() -> None:
    is_dead = False

    def answer(request: httpx.Request) -> httpx.Response:
        if is_dead:
            raise httpx.ConnectError("connection refused")
        return events_server()[request.url.path]

    kinds: dict[str, ProcessKind] = {}
    await ask(answer, "http://e:8001", kinds=kinds)
    is_dead = True
    (dead,) = await ask(answer, "http://e:8001", kinds=kinds)
    assert (dead.state, dead.kind, dead.name) == ("down", "events", "e:8001")
    (stranger,) = await ask(answer, "http://other:8001", kinds=kinds)
    assert (stranger.state, stranger.kind, stranger.name) == ("down", "unknown", "other:8001")


async def test_no_more_are_asked_than_the_bound() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return events_server()[request.url.path]

    names = {"events": [f"10.0.{n // 250}.{n % 250}" for n in range(500)]}
    assert len(await ask(answer, "http://events:8001", names=names)) == MAX_NODES


def test_this_processes_own_numbers_need_no_request() -> None:
    registry = CollectorRegistry()
    Counter("yabam_core_resets_total", "x", ["reason"], registry=registry).labels("epoch").inc(2)
    Gauge("other", "x", registry=registry)
    reading = reading_of("this Core", registry)
    assert (reading.kind, reading.state) == ("core", "ready")
    assert reading.values["yabam_core_resets_total"] == {("epoch",): 2.0}
    assert "other" not in reading.values


async def test_all_behind_a_name_are_asked_by_https_each_for_the_names_certificate() -> None:
    asked: list[tuple[str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((str(request.url), request.extensions.get("sni_hostname")))
        return events_server()[request.url.path]

    names = {"events": ["10.0.0.2", "10.0.0.1"]}
    first, second = await ask(answer, "https://events:8001", names=names)
    assert [first.node, second.node] == ["https://10.0.0.1:8001", "https://10.0.0.2:8001"]
    assert first.name == "events:8001 (10.0.0.1)"
    assert {name for _, name in asked} == {"events"}
    asked.clear()
    (alone,) = await ask(answer, "https://orders.example", names={"orders.example": ["10.0.0.1"]})
    assert alone.node == "https://orders.example"
    assert {name for _, name in asked} == {None}
