"""What a WebSocket can do that a stream cannot, on both push paths."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from core_api.kafka.topics import ensure_topics, messages_topic, receipts_topic
from event_server.kafka.side_topics import SideTopics
from server_common.kafka_records.receipts import Receipt, decode_receipts
from server_common.supervision import Supervisor
from tests.integration.event_server.conftest import Running, Start, connected, streaming

A, B, TEAM = "store:12", "table:12/5", "team:12"


async def refusal(server: Running, ticket: str, **options: Any) -> tuple[int, str]:
    """The status and the problem with which a socket is refused."""
    with pytest.raises(InvalidStatus) as caught:
        async with connected(server, ticket, **options):
            pass
    answer = caught.value.response
    return answer.status_code, json.loads(answer.body)["type"].rpartition(":")[2]


class TestTheDoor:
    async def test_a_bad_ticket_is_refused_by_a_problem(self, start: Start) -> None:
        server = await start()
        assert await refusal(server, "nonsense") == (401, "bad-ticket")

    async def test_who_offers_another_subprotocol_is_refused(self, start: Start) -> None:
        server = await start()
        refused = await refusal(server, server.ticket({A: 0}), subprotocols=["chat"])
        assert refused == (400, "bad-request")

    async def test_only_pages_of_the_set_origins_may_open_one(self, start: Start) -> None:
        server = await start(cors_origins=["https://ours.example"])
        ticket = server.ticket({A: 0})
        assert await refusal(server, ticket, origin="https://evil.example") == (403, "forbidden")
        async with connected(server, ticket, origin="https://ours.example") as socket:
            assert (await socket.next()).type == "hello"

    async def test_a_request_that_is_no_websocket_is_told_so(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start()
        url = f"{server.url}/v1/socket"
        answer = await client.get(url, params={"ticket": server.ticket({A: 0})})
        assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
        assert (await client.post(url)).status_code == 405

    async def test_no_compression_is_taken(self, start: Start) -> None:
        server = await start()
        async with connected(server, server.ticket({A: 0}), compression="deflate") as socket:
            assert socket.connection.protocol.extensions == []

    async def test_a_server_that_is_full_says_when_to_come_again(self, start: Start) -> None:
        server = await start(events_max_streams=1)
        ticket = server.ticket({A: 0})
        async with connected(server, ticket) as socket:
            await socket.next()
            assert await refusal(server, ticket) == (503, "overloaded")


class TestFurtherTickets:
    async def test_are_followed_on_the_open_connection_with_what_was_missed(
        self, start: Start
    ) -> None:
        server = await start()
        server.publish(f"{B}@1")
        server.publish(f"{B}@2")
        async with connected(server, server.ticket({A: 0})) as socket:
            await socket.next()
            said = await socket.ask("subscribe", ticket=server.ticket({B: 1}), ref="r1")
            assert said == ("subscribed", {"ref": "r1", "channels": [B], "replayed": 1})
            assert await socket.ids(1) == [f"{B}@2"]
            server.publish(f"{A}@1", f"{B}@3")
            assert sorted(await socket.ids(2)) == [f"{A}@1", f"{B}@3"]

    async def test_go_on_from_the_last_event_id_that_is_given(self, start: Start) -> None:
        server = await start()
        for seq in (1, 2, 3):
            server.publish(f"{B}@{seq}")
        async with connected(server, server.ticket({A: 0})) as socket:
            await socket.next()
            ticket = server.ticket({B: 3})
            _, done = await socket.ask("subscribe", ticket=ticket, lastEventId=f"{B}@1")
            assert done["replayed"] == 2
            assert await socket.ids(2) == [f"{B}@2", f"{B}@3"]

    async def test_do_not_extend_the_life_of_the_connection(self, start: Start) -> None:
        server = await start(events_lifetime_min_s=0.6, events_lifetime_max_s=0.6)
        async with connected(server, server.ticket({A: 0})) as socket:
            await socket.next()
            await socket.ask("subscribe", ticket=server.ticket({B: 0}))
            events = await socket.rest()
        assert [(e.type, json.loads(e.data)["reason"]) for e in events] == [("bye", "timeout")]

    @pytest.mark.parametrize(
        ("ticket", "problem"),
        [
            (lambda server: "nonsense", "bad-ticket"),
            (lambda server: server.ticket({B: 0}, ttl=-1.0), "bad-ticket"),
            (lambda server: server.ticket({A: 0}), "bad-request"),
            (lambda server: server.ticket({B: 0}, subject="somebody-else"), "forbidden"),
        ],
        ids=["forged", "expired", "followed-already", "another-subject"],
    )
    async def test_that_may_not_be_followed_are_refused_and_the_rest_goes_on(
        self, start: Start, ticket: Callable[[Running], str], problem: str
    ) -> None:
        server = await start()
        async with connected(server, server.ticket({A: 0})) as socket:
            await socket.next()
            event, refused = await socket.ask("subscribe", ticket=ticket(server), ref="r2")
            assert (event, refused["ref"], refused["event"]) == ("refused", "r2", "subscribe")
            assert refused["problem"]["type"].endswith(problem)
            server.publish(f"{A}@1")
            assert await socket.ids(1) == [f"{A}@1"]

    async def test_beyond_the_ring_must_be_synced_and_the_rest_goes_on(self, start: Start) -> None:
        server = await start(events_ring_events=1)
        for seq in range(1, 5):
            server.publish(f"{B}@{seq}")
        async with connected(server, server.ticket({A: 0})) as socket:
            await socket.next()
            ticket = server.ticket({B: 4})
            event, refused = await socket.ask("subscribe", ticket=ticket, lastEventId=f"{B}@1")
            assert event == "refused"
            assert refused["sync_required"] == {"channel": B, "reason": "ring"}
            server.publish(f"{A}@1")
            assert await socket.ids(1) == [f"{A}@1"]


class TestUnsubscribing:
    async def test_ends_the_events_of_these_channels_only(self, start: Start) -> None:
        server = await start()
        async with connected(server, server.ticket({A: 0, B: 0})) as socket:
            await socket.next()
            said = await socket.ask("unsubscribe", channels=[B, "table:12/9"], ref="u")
            assert said == ("unsubscribed", {"ref": "u", "channels": [B]})
            server.publish(f"{A}@1", f"{B}@1")
            server.publish(f"{A}@2")
            assert await socket.ids(2) == [f"{A}@1", f"{A}@2"]

    async def test_from_all_leaves_a_connection_that_may_subscribe_again(
        self, start: Start
    ) -> None:
        server = await start()
        async with connected(server, server.ticket({A: 0})) as socket:
            await socket.next()
            await socket.ask("unsubscribe", channels=[A])
            server.publish(f"{A}@1", epoch="01EPOCH2")
            server.mark("01EPOCH2")
            ticket = server.ticket({A: 0}, epoch="01EPOCH2")
            assert (await socket.ask("subscribe", ticket=ticket))[0] == "subscribed"
            assert await socket.ids(1) == [f"{A}@1"]


class TestWhatMakesNoSense:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("nonsense", "bad-json"),
            ("[]", "bad-json"),
            ('{"event":"dance"}', "bad-request"),
            ('{"event":"subscribe"}', "invalid"),
            ('{"event":"ping","data":{"ref":7}}', "invalid"),
            ('{"event":"received","data":{"cursor":"x"}}', "bad-cursor"),
            ('{"event":"unsubscribe","data":{"channels":[]}}', "invalid"),
            ("[" * 4000, "bad-json"),
        ],
    )
    async def test_is_answered_by_a_problem_and_the_rest_goes_on(
        self, start: Start, text: str, problem: str
    ) -> None:
        server = await start()
        async with connected(server, server.ticket({A: 0})) as socket:
            await socket.next()
            await socket.connection.send(text)
            refused = await socket.next()
            assert refused.type == "refused"
            assert json.loads(refused.data)["problem"]["type"].endswith(f":{problem}")
            assert await socket.ask("ping", ref="on") == ("pong", {"ref": "on"})


class TestMessagesToOthers:
    async def test_reach_the_other_sockets_of_the_channel_with_the_senders_name(
        self, start: Start, client: httpx.AsyncClient
    ) -> None:
        server = await start()
        ann, bo = server.ticket({A: 0}, subject="ann"), server.ticket({A: 0}, subject="bo")
        async with (
            connected(server, ann) as sender,
            connected(server, bo) as other,
            streaming(client, server, bo) as stream,
        ):
            await sender.next(), await other.next(), await stream.next()
            await sender.say("message", channel=A, name="presence", body={"order": "01A"})
            assert (await sender.ask("ping"))[0] == "pong"
            server.pass_on()
            told = await other.next()
            assert (told.type, json.loads(told.data)) == (
                "message",
                {"channel": A, "name": "presence", "sender": "ann", "body": {"order": "01A"}},
            )
            server.publish(f"{A}@1")
            assert await sender.ids(1) == [f"{A}@1"]  # it is not told what it has said
            assert await stream.ids(1) == [f"{A}@1"]

    @pytest.mark.parametrize(
        ("channel", "body", "problem"),
        [
            (B, 1, "forbidden"),
            ("public:12", 1, "forbidden"),
            (A, "x" * 1100, "too-large"),
        ],
        ids=["not-followed", "too-many-followers", "too-long"],
    )
    async def test_that_may_not_be_sent_are_refused(
        self, start: Start, channel: str, body: object, problem: str
    ) -> None:
        server = await start()
        async with connected(server, server.ticket({A: 0, "public:12": 0})) as socket:
            await socket.next()
            event, refused = await socket.ask("message", channel=channel, name="x", body=body)
            assert event == "refused"
            assert refused["problem"]["type"].endswith(f":{problem}")
            assert server.server.talk.messages() == []


class TestReceipts:
    async def test_of_an_owners_device_are_gathered_the_newest_counts(self, start: Start) -> None:
        server = await start()
        ticket = server.ticket({A: 0, B: 0}, device="till-1", subject="owner-12")
        async with connected(server, ticket) as socket:
            await socket.next()
            await socket.say("received", cursor=f"{A}@3,{B}@3")
            await socket.say("received", cursor=f"{A}@4,store:99@7")
            await socket.ask("ping")
        (record,) = server.server.talk.receipts()
        batch, _ = decode_receipts(record.value)
        assert (record.key, batch.store_id) == (b"12", "12")
        assert batch.receipts == [Receipt("till-1", "owner-12", "01EPOCH1", 4)]

    async def test_of_others_count_for_nothing(self, start: Start) -> None:
        server = await start()
        async with connected(server, server.ticket({A: 0})) as socket:
            await socket.next()
            await socket.say("received", cursor=f"{A}@3")
            await socket.ask("ping")
        assert server.server.talk.receipts() == []


async def test_messages_and_receipts_go_through_kafka_and_reach_another_node(
    start: Start, bootstrap: str
) -> None:
    messages, receipts = f"messages-{uuid4().hex}", f"receipts-{uuid4().hex}"
    await ensure_topics(bootstrap, [messages_topic(messages), receipts_topic(receipts)], 10.0)
    one = await start(events_degraded_after_s=120)
    two = await start(events_degraded_after_s=120)
    async with AsyncExitStack() as stack:
        supervisor = Supervisor()
        stack.push_async_callback(supervisor.stop)
        for number, node in enumerate((one, two)):
            topics = SideTopics(bootstrap, messages, receipts, node.server.talk)
            for name, work in topics.works.items():
                supervisor.start(f"{name}-{number}", work, essential=False)
        ticket = one.ticket({A: 0}, device="till-1")
        here = await stack.enter_async_context(connected(one, ticket))
        there = await stack.enter_async_context(connected(two, ticket))
        await here.next(), await there.next()
        await here.say("received", cursor=f"{A}@1")

        async def say_on() -> None:
            while True:  # a reader reads from when it has begun; nothing tells when that is
                await here.say("message", channel=A, name="presence", body=1)
                await asyncio.sleep(0.3)

        saying = asyncio.create_task(say_on())
        stack.callback(saying.cancel)
        async with asyncio.timeout(60):
            assert (await there.next()).type == "message"
            while one.server.talk.waits:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
