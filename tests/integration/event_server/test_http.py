"""The routes around the stream: problems, probes, metrics, CORS."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
import structlog

from client_sdk.contract.problem import decode_problem
from event_server.streams.registry import Streams
from tests.integration.event_server.conftest import Start, following, ops_token
from tests.unit.event_server.parts import KEYS, document_record, make_ticket

A = "store:12"


async def problem_of(client: httpx.AsyncClient, method: str, url: str, **more: object) -> str:
    answer = await client.request(method, url, **more)  # type: ignore[arg-type]
    assert answer.headers["content-type"] == "application/problem+json"
    problem = decode_problem(answer.content)
    assert problem is not None
    assert problem.status == answer.status_code
    return problem.slug


class TestProblems:
    @pytest.mark.parametrize(
        ("method", "path", "slug"),
        [
            ("GET", "/", "not-found"),
            ("GET", "/v1/stream/", "not-found"),
            ("GET", "/v1/streams", "not-found"),
            ("POST", "/v1/stream", "method-not-allowed"),
            ("DELETE", "/metrics", "method-not-allowed"),
            ("GET", "/v1/stream", "bad-ticket"),
            ("GET", "/v1/stream?ticket=", "bad-ticket"),
            ("GET", "/v1/stream?ticket=x.y.z", "bad-ticket"),
            ("GET", "/v1/stream?ticket=%ff", "bad-request"),
            ("GET", "/v1/stream?ticket=a&ticket=b", "bad-request"),
            ("GET", "/metrics", "unauthorized"),
        ],
    )
    async def test_each_has_its_own(
        self, start: Start, client: httpx.AsyncClient, method: str, path: str, slug: str
    ) -> None:
        server = await start()
        assert await problem_of(client, method, server.url + path) == slug

    async def test_tickets_and_positions(self, start: Start, client: httpx.AsyncClient) -> None:
        server = await start()
        good = server.ticket({A: 7})

        async def slug(ticket: str, last_event_id: str = "") -> str:
            params = {"ticket": ticket, "lastEventId": last_event_id}
            return await problem_of(client, "GET", f"{server.url}/v1/stream", params=params)

        assert await slug(KEYS.sign(make_ticket({A: 7}, issued_at=1.0))) == "bad-ticket"
        assert await slug(good[:-2] + "xx") == "bad-ticket"
        assert await slug(good, "seven") == "bad-cursor"
        assert await slug(good, "store:13@7") == "forbidden"

    async def test_a_full_server_says_when_to_come_again(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start(events_max_streams=1)
        ticket = server.ticket({A: 0})
        async with following(client, server, ticket) as stream:
            await stream.next()
            answer = await client.get(f"{server.url}/v1/stream", params={"ticket": ticket})
            assert answer.status_code == 503
            assert answer.json()["type"] == "urn:yabam:problem:overloaded"
            assert 1 <= int(answer.headers["retry-after"]) <= 5

    async def test_a_bug_leaks_nothing(
        self, start: Start, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = await start()

        def broken(*_: object) -> None:
            raise ZeroDivisionError("a secret")

        monkeypatch.setattr(Streams, "judge", broken)
        answer = await client.get(f"{server.url}/v1/stream?ticket=x")
        assert answer.status_code == 500
        assert answer.json()["type"] == "urn:yabam:problem:internal"
        assert "secret" not in answer.text


class TestProbes:
    async def test_ready_only_while_streams_are_served(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start()
        assert (await client.get(f"{server.url}/readyz")).status_code == 200
        server.server.streams.hub.warm = False
        assert (await client.get(f"{server.url}/readyz")).status_code == 503
        assert (await client.get(f"{server.url}/healthz")).status_code == 200

    @pytest.mark.parametrize("path", ["/v1/stream", "/healthz", "/readyz", "/metrics"])
    async def test_options_names_the_methods(
        self, start: Start, client: httpx.AsyncClient, path: str
    ) -> None:
        server = await start()
        answer = await client.options(server.url + path)
        assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")

    async def test_head_of_a_stream_opens_none(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start()
        ticket = server.ticket({A: 0})
        answer = await client.head(f"{server.url}/v1/stream", params={"ticket": ticket})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.content == b""
        assert server.server.streams.opened == 0
        assert (await client.head(f"{server.url}/v1/stream")).status_code == 401


class TestMetrics:
    async def test_they_tell_what_happens(self, start: Start, client: httpx.AsyncClient) -> None:
        server = await start()
        headers = {"authorization": f"Bearer {ops_token()}"}
        async with following(client, server, server.ticket({A: 0})) as stream:
            await stream.next()
            server.publish(f"{A}@1")
            await stream.next()
            await client.get(f"{server.url}/v1/stream")
            text = (await client.get(f"{server.url}/metrics", headers=headers)).text
        for line in (
            "yabam_events_streams_open_count 1.0",
            "yabam_events_streams_opened_total 1.0",
            "yabam_events_deliveries_total 1.0",
            "yabam_events_events_total 1.0",
            'yabam_events_requests_refused_total{problem="bad-ticket"} 1.0',
            "yabam_events_ready_state 1.0",
            'yabam_events_health_state{state="ok"} 1.0',
            'yabam_events_health_state{state="degraded"} 0.0',
            "yabam_events_push_seconds_count 1.0",
        ):
            assert line in text.splitlines()

    async def test_every_series_is_there_before_its_first_fault(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start()
        headers = {"authorization": f"Bearer {ops_token()}"}
        lines = (await client.get(f"{server.url}/metrics", headers=headers)).text.splitlines()
        for series in (
            'yabam_events_streams_ended_total{reason="slow"}',
            'yabam_events_streams_ended_total{reason="degraded"}',
            'yabam_events_requests_refused_total{problem="overloaded"}',
            'yabam_events_records_skipped_total{kind="malformed"}',
            'yabam_events_sync_required_total{reason="gap"}',
            "yabam_events_gaps_total",
            "yabam_events_ring_evictions_total",
        ):
            assert f"{series} 0.0" in lines

    async def test_channels_of_documents_count_like_any_other(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start()
        headers = {"authorization": f"Bearer {ops_token()}"}
        positions = {"global": 0, "party:1/5": 0}
        async with following(client, server, server.ticket(positions)) as stream:
            await stream.next()
            for name in ("global@1", "party:1/5@1", "global@1"):
                server.take(*document_record(name))
            assert await stream.ids(2) == ["global@1", "party:1/5@1"]
            top = (await client.get(f"{server.url}/v1/channels/top", headers=headers)).json()
            text = (await client.get(f"{server.url}/metrics", headers=headers)).text
        assert top["channels"] == [
            {"channel": "global", "followers": 1, "events": 1},
            {"channel": "party:1/5", "followers": 1, "events": 1},
        ]
        assert "yabam_events_copies_total 1.0" in text.splitlines()
        assert "yabam_events_duplicates_total 0.0" in text.splitlines()

    async def test_the_busiest_channels_are_told_when_asked_for(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start()
        headers = {"authorization": f"Bearer {ops_token()}"}
        url = f"{server.url}/v1/channels/top"
        async with following(client, server, server.ticket({A: 0, "store:quiet": 0})) as stream:
            await stream.next()
            server.publish(f"{A}@1")
            server.publish("store:followed-by-nobody@1")
            await stream.next()
            all_of_them = (await client.get(url, headers=headers)).json()
            first = (await client.get(url, params={"limit": 1}, headers=headers)).json()
        busy = {"channel": A, "followers": 1, "events": 1}
        quiet = {"channel": "store:quiet", "followers": 1, "events": 0}
        assert all_of_them == {"channels": [busy, quiet]}
        assert first == {"channels": [busy]}
        for limit in ("0", "101", "-1", "x", "1000000"):
            refused = await client.get(url, params={"limit": limit}, headers=headers)
            assert refused.json()["type"] == "urn:yabam:problem:bad-request"

    @pytest.mark.parametrize("path", ["/metrics", "/v1/channels/top"])
    @pytest.mark.parametrize("role", ["owner", "table", "producer"])
    async def test_only_ops_may_read_them(
        self, start: Start, client: httpx.AsyncClient, role: str, path: str
    ) -> None:
        server = await start()
        headers = {"authorization": f"Bearer {ops_token(role)}"}
        url = server.url + path
        assert await problem_of(client, "GET", url, headers=headers) == "forbidden"


class TestCors:
    async def test_a_page_of_any_origin_may_follow(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start()
        answer = await client.get(f"{server.url}/v1/stream", headers={"origin": "http://shop"})
        assert answer.headers["access-control-allow-origin"] == "*"
        preflight = await client.options(
            f"{server.url}/v1/stream",
            headers={
                "origin": "http://shop",
                "access-control-request-method": "GET",
                "access-control-request-headers": "last-event-id",
            },
        )
        assert preflight.status_code == 200

    async def test_only_the_named_origins_if_some_are_named(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start(cors_origins=["https://ours"])
        theirs = await client.get(f"{server.url}/healthz", headers={"origin": "https://theirs"})
        ours = await client.get(f"{server.url}/healthz", headers={"origin": "https://ours"})
        assert "access-control-allow-origin" not in theirs.headers
        assert ours.headers["access-control-allow-origin"] == "https://ours"


async def test_each_change_of_health_is_a_line_of_the_log(start: Start) -> None:
    def states() -> list[str]:
        return [line["state"] for line in log if line["event"] == "health_changed"]

    async def until(state: str) -> None:
        async with asyncio.timeout(20):
            while states()[-1:] != [state]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    with structlog.testing.capture_logs() as log:
        server = await start()
        await until("ok")
        clock = server.server.streams.hub.clock
        clock.observe(time.time() + 60, time.monotonic())  # so the watermark is a minute old
        await until("degraded")
        clock.forget()
        server.mark()
        await until("ok")
    assert states()[-3:] == ["ok", "degraded", "ok"]
