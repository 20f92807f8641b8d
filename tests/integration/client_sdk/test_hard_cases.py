"""The whole asyncio client against a server that misbehaves: every event once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from client_sdk import OrderClient, OrderEvent, Reset, Settings, UnauthorizedError
from client_sdk.checkpoint import Checkpoint
from client_sdk.client.cursor_stores import MemoryCursors
from client_sdk.contract.sync import Snapshot
from tests.integration.client_sdk.scripted import (
    CHANNEL,
    Answer,
    Asked,
    Script,
    Wire,
    answering,
    frame,
    problem,
    refusing,
    scripted,
)
from tests.unit.client_sdk.samples import EPOCH, channel_sync, event

QUICK = Settings(
    watermark_timeout=0.8,
    connect_timeout=0.6,
    sync_timeout=1.0,
    backoff_first=0.02,
    backoff_most=0.1,
    short_stream=0.0,
    poll_jitter=0.0,
)


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    async with scripted() as world:
        yield world


def client_of(script: Script, **more: Any) -> OrderClient:
    arguments: dict[str, Any] = {"settings": QUICK} | more
    return OrderClient(script.url, arguments.pop("token", "secret"), [CHANNEL], **arguments)


def stored(seq: int, epoch: str = EPOCH) -> MemoryCursors:
    """A cursor from an earlier run."""
    cursors = MemoryCursors()
    cursors.checkpoint = Checkpoint(epoch, {CHANNEL: seq})
    return cursors


class Consumer:
    """A loop over the changes that stops now and then; it holds the last change meanwhile."""

    def __init__(self, client: OrderClient) -> None:
        self.changes = client.events()

    async def take(self, last: int) -> list[int]:
        """The seqs of the next events up to `last`; a reset counts as its head, negative."""
        taken: list[int] = []
        async with asyncio.timeout(15):
            async for change in self.changes:
                taken.append(-change.head if isinstance(change, Reset) else change.seq)
                if abs(taken[-1]) >= last:
                    break
        return taken


async def take(client: OrderClient, last: int) -> list[int]:
    """All that a new loop is handed, up to `last`."""
    return await Consumer(client).take(last)


async def becomes(client: OrderClient, mode: str) -> None:
    """Return once its lamp shows this."""
    async with asyncio.timeout(15):
        async for status in client.statuses():
            if status.mode == mode:
                return


# ── resets and pages ─────────────────────────────────────────────────────────


async def test_a_first_start_gets_a_reset_and_then_what_is_pushed(script: Script) -> None:
    await script.commit(3)
    async with client_of(script) as client:
        consumer = Consumer(client)
        assert await consumer.take(3) == [-3]
        await script.until(lambda: bool(script.wires))
        await script.commit(2)
        assert await consumer.take(5) == [4, 5]


async def test_a_cursor_behind_the_log_is_answered_by_a_snapshot(script: Script) -> None:
    await script.commit(9)
    script.floor = 5
    async with client_of(script, cursors=stored(2)) as client:
        assert await take(client, 9) == [-9]


async def test_a_cursor_of_another_epoch_is_answered_by_a_snapshot(script: Script) -> None:
    await script.commit(4)
    async with client_of(script, cursors=stored(2, "another")) as client:
        change = await anext(client.events())
        assert isinstance(change, Reset)
        assert (change.reason, change.head) == ("epoch", 4)


async def test_a_cursor_ahead_of_the_log_is_answered_by_a_snapshot(script: Script) -> None:
    await script.commit(4)
    async with client_of(script, cursors=stored(7)) as client:
        change = await anext(client.events())
        assert isinstance(change, Reset)
        assert (change.reason, change.head) == ("ahead", 4)


async def test_pages_are_read_to_the_end_before_a_stream_is_opened(script: Script) -> None:
    await script.commit(25)
    script.page = 10
    async with client_of(script, cursors=stored(0)) as client:
        assert await take(client, 25) == list(range(1, 26))
        await script.until(lambda: bool(script.streams))
        assert script.streams[0].after == 25


async def test_it_always_syncs_before_it_connects(script: Script) -> None:
    seen: list[str] = []

    async def end_at_once(wire: Wire) -> None:
        seen.append("stream")
        wire.head()
        wire.hello()
        wire.order(event(len(script.events)))
        wire.bye()

    async def note(_asked: Asked) -> Answer | None:
        seen.append("sync")
        return None

    await script.commit()
    script.always_stream = end_at_once
    script.on_sync = [note] * 50
    async with client_of(script, cursors=stored(0)) as client:
        await take(client, 1)
        await script.until(lambda: seen.count("stream") >= 4)
    assert "stream stream" not in " ".join(seen)
    assert seen[0] == "sync"


# ── what a stream may do ─────────────────────────────────────────────────────


async def test_frames_that_come_twice_or_late_are_handed_over_once(script: Script) -> None:
    async def doubled(wire: Wire) -> None:
        wire.head()
        wire.hello()
        for seq in (1, 2, 1, 2, 3, 1, 4):
            wire.order(event(seq))
        await wire.follow()

    script.on_stream = [doubled]
    async with client_of(script, cursors=stored(0)) as client:
        script.events = [event(seq) for seq in range(1, 5)]
        script.on_sync = []
        assert await take(client, 4) == [1, 2, 3, 4]


async def test_a_missing_frame_is_fetched_and_nothing_is_handed_over_out_of_order(
    script: Script,
) -> None:
    async def leaves_one_out(wire: Wire) -> None:
        wire.head()
        wire.hello()
        script.events = [event(seq) for seq in range(1, 4)]
        wire.order(event(1))
        wire.order(event(3))
        await asyncio.Event().wait()

    script.on_stream = [leaves_one_out]
    async with client_of(script, cursors=stored(0)) as client:
        assert await take(client, 3) == [1, 2, 3]


async def test_frames_split_at_every_byte_are_put_together(script: Script) -> None:
    async def in_drops(wire: Wire) -> None:
        wire.head()
        wire.hello()
        for byte in frame(event(1)) + frame(event(2)):
            wire.raw(bytes([byte]))
            await asyncio.sleep(0)
        await asyncio.Event().wait()

    script.on_stream = [in_drops]
    async with client_of(script, cursors=stored(0)) as client:
        assert await take(client, 2) == [1, 2]


async def test_comments_and_unknown_events_are_left_alone(script: Script) -> None:
    async def chatty(wire: Wire) -> None:
        wire.head()
        wire.raw(b": a comment\n\n")
        wire.hello()
        wire.send("from-the-future", {"new": True})
        wire.raw(b"event: order-like\ndata: x\n\n")
        wire.order(event(1))
        await asyncio.Event().wait()

    script.on_stream = [chatty]
    async with client_of(script, cursors=stored(0)) as client:
        assert await take(client, 1) == [1]
        assert client.status.mode == "live"


async def test_a_connection_that_breaks_in_the_middle_of_a_frame_loses_nothing(
    script: Script,
) -> None:
    async def broken(wire: Wire) -> None:
        wire.head()
        wire.hello()
        script.events = [event(1), event(2)]
        wire.raw(frame(event(1)) + frame(event(2))[:40])
        await asyncio.sleep(0.05)
        wire.cut()

    script.on_stream = [broken]
    async with client_of(script, cursors=stored(0)) as client:
        assert await take(client, 2) == [1, 2]


async def test_a_half_open_connection_is_found_by_its_silence(script: Script) -> None:
    async def silent(wire: Wire) -> None:
        wire.head()
        wire.hello()
        await script.tell()
        await asyncio.Event().wait()

    script.on_stream = [silent]
    async with client_of(script, cursors=stored(0)) as client:
        await becomes(client, "live")
        await script.commit(push=False)
        await becomes(client, "polling")
        assert "watermark stands still" in (client.status.last_error or "")
        assert await take(client, 1) == [1]


async def test_a_proxy_that_buffers_the_stream_leads_to_polling_and_nothing_is_lost(
    script: Script,
) -> None:
    async def buffered(wire: Wire) -> None:
        wire.head()
        await asyncio.Event().wait()

    script.always_stream = buffered
    async with client_of(script, cursors=stored(0)) as client:
        consumer = Consumer(client)
        await script.commit(2, push=False)
        assert await consumer.take(2) == [1, 2]
        await becomes(client, "polling")
        await script.commit(push=False)
        assert await consumer.take(3) == [3]


async def test_polls_go_on_while_a_stream_is_tried_that_never_proves_itself(
    script: Script,
) -> None:
    """Who stops polling as soon as a stream opens is blind for as long as it stays silent."""

    async def opens_and_is_silent(wire: Wire) -> None:
        wire.head()
        await asyncio.Event().wait()

    patient = Settings(
        stream_failures=1,
        connect_timeout=60.0,
        watermark_timeout=60.0,
        backoff_first=0.01,
        backoff_most=0.01,
    )
    script.on_stream = [refusing(problem(503, "degraded", retry_after="0"))]
    script.always_stream = opens_and_is_silent
    async with client_of(script, cursors=stored(0), settings=patient) as client:
        await script.until(lambda: len(script.streams) >= 2)
        consumer = Consumer(client)
        for seq in range(1, 6):
            await script.commit(push=False)
            assert await consumer.take(seq) == [seq]
        assert client.status.mode == "polling"
        assert len(script.streams) == 2


async def test_a_ticket_that_expired_on_the_way_leads_to_a_sync_and_a_new_one(
    script: Script,
) -> None:
    script.on_stream = [refusing(problem(401, "bad-ticket"))]
    async with client_of(script, cursors=stored(0)) as client:
        await becomes(client, "live")
        assert (len(script.syncs), len(script.streams)) == (3, 2)  # the book, then two with tickets


async def test_a_wrong_node_leads_to_a_sync_that_tells_the_right_one(script: Script) -> None:
    script.on_stream = [refusing(problem(421, "misdirected"))]
    async with client_of(script, cursors=stored(0)) as client:
        await becomes(client, "live")
        assert len(script.streams) == 2


async def test_a_page_of_a_captive_portal_is_no_stream(script: Script) -> None:
    async def portal(wire: Wire) -> None:
        wire.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n")
        wire.hello()
        wire.order(event(1))
        await asyncio.Event().wait()

    script.always_stream = portal
    async with client_of(script, cursors=stored(0)) as client:
        await becomes(client, "polling")
        assert "text/html" in (client.status.last_error or "")
        assert client.status.cursor == f"{CHANNEL}@0"


async def test_syncs_that_take_longer_than_a_stream_lives_lose_nothing(script: Script) -> None:
    async def short(wire: Wire) -> None:
        wire.head()
        wire.hello()
        for one in script.events[wire.asked.after or 0 :]:
            wire.order(one)
        await asyncio.sleep(0.05)
        wire.bye()

    async def slow(_asked: Asked) -> Answer | None:
        await asyncio.sleep(0.2)
        return None

    script.always_stream = short
    script.on_sync = [slow] * 100
    async with client_of(script, cursors=stored(0)) as client:
        consumer, taken = Consumer(client), list[int]()
        for seq in range(1, 9):
            await script.commit(push=False)
            taken += await consumer.take(seq)
    assert taken == list(range(1, 9))


# ── what a sync may do ───────────────────────────────────────────────────────


async def test_a_sync_that_is_slower_than_its_time_is_asked_again(script: Script) -> None:
    answered = asyncio.Event()

    async def never(_asked: Asked) -> Answer | None:
        await answered.wait()
        return None

    script.on_sync = [never]
    await script.commit()
    try:
        async with client_of(script) as client:
            assert await take(client, 1) == [-1]
    finally:
        answered.set()


async def test_a_malformed_answer_moves_nothing(script: Script) -> None:
    await script.commit(2)
    bad = [
        (200, {"content-type": "application/json"}, b'{"epoch": '),
        (200, {"content-type": "text/html"}, b"<html>log in</html>"),
        problem(500, "internal"),
    ]
    script.on_sync = [answering(one) for one in bad]
    async with client_of(script) as client:
        assert await take(client, 2) == [-2]


async def test_retry_after_is_honoured(script: Script) -> None:
    script.on_sync = [answering(problem(503, "overloaded", retry_after="1"))]
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with client_of(script) as client:
        await becomes(client, "live")
    assert loop.time() - began >= 1.0


async def test_a_token_that_is_refused_in_the_middle_is_replaced_once(script: Script) -> None:
    given = iter(["old", "new"])
    await script.commit()
    script.on_sync = [answering(problem(401, "unauthorized"))]
    async with client_of(script, token=lambda: next(given)) as client:
        assert await take(client, 1) == [-1]
    tokens = [asked.headers["authorization"] for asked in script.syncs]
    assert tokens[0] == "bearer old"
    assert set(tokens[1:]) == {"bearer new"}


async def test_a_token_that_stays_refused_ends_the_client_with_the_reason(script: Script) -> None:
    script.on_sync = [answering(problem(401, "unauthorized"))] * 2
    async with client_of(script) as client:
        with pytest.raises(UnauthorizedError, match="401"):
            await take(client, 1)
        assert client.status.mode == "failed"


async def test_a_name_that_does_not_resolve_is_tried_again(script: Script) -> None:
    nowhere = "http://core.invalid"
    async with OrderClient(nowhere, "secret", [CHANNEL], settings=QUICK) as client:
        await becomes(client, "offline")
        assert client.status.last_error


async def test_a_digest_that_differs_leads_to_a_snapshot(script: Script) -> None:
    await script.commit(2)
    wrong = channel_sync(
        head=2, reset="first_sync", snapshot=Snapshot(2, []), digest="00000000000000ff"
    )
    import msgspec

    from tests.unit.client_sdk.samples import sync_response

    body = msgspec.json.encode(sync_response(wrong))
    script.on_sync = [answering((200, {"content-type": "application/json"}, body))]
    async with client_of(script) as client:
        changes = client.events()
        reasons = [change.reason for change in [await anext(changes), await anext(changes)]]  # type: ignore[union-attr]
        assert reasons == ["first_sync", "digest"]
        assert len(client.orders) == 2


# ── the consumer ─────────────────────────────────────────────────────────────


async def test_a_consumer_that_does_not_drain_is_bounded_and_then_catches_up(
    script: Script,
) -> None:
    bounded = Settings(max_pending=5, backoff_first=0.01, backoff_most=0.05, short_stream=0.0)
    async with client_of(script, cursors=stored(0), settings=bounded) as client:
        await script.until(lambda: bool(script.wires))
        script.page = 5
        for _ in range(40):
            await script.commit()
            await asyncio.sleep(0)
        await becomes(client, "live")
        await script.until(lambda: not script.wires or client.status.pending >= 5)
        assert client.status.pending <= 10
        assert await take(client, 40) == list(range(1, 41))


async def test_leaving_the_loop_hands_the_change_over_again(script: Script) -> None:
    await script.commit(2)
    async with client_of(script, cursors=stored(0)) as client:
        async for change in client.events():
            assert isinstance(change, OrderEvent)
            assert change.seq == 1
            break
        assert await take(client, 2) == [1, 2]


async def test_a_restart_goes_on_exactly_after_the_last_change_that_was_acknowledged(
    script: Script,
) -> None:
    await script.commit(5)
    cursors = stored(0)
    async with client_of(script, cursors=cursors) as client:
        changes = client.events()
        for _ in range(3):
            await anext(changes)  # the third is in hand, and not acknowledged
        await changes.aclose()
    assert cursors.checkpoint == Checkpoint(EPOCH, {CHANNEL: 2})
    async with client_of(script, cursors=cursors) as client:
        assert await take(client, 5) == [3, 4, 5]


async def test_a_close_while_polling_ends_the_loop_and_leaves_no_task(script: Script) -> None:
    script.always_stream = refusing(problem(503, "degraded", retry_after="0"))
    before = asyncio.all_tasks()
    client = client_of(script, cursors=stored(0))
    async with client:
        waiting = asyncio.create_task(take(client, 99))
        await becomes(client, "polling")
        await client.close()
        assert await waiting == []
    left = {t for t in asyncio.all_tasks() - before if t.get_name().startswith("yabam-")}
    assert left == set()


@pytest.mark.parametrize("steps", [*range(0, 40), 60, 90, 150, 250])
async def test_a_cancellation_at_any_step_leaves_no_task_and_acknowledges_nothing_unseen(
    script: Script, steps: int
) -> None:
    await script.commit(3)
    cursors = stored(0)
    seen: list[int] = []

    async def consume() -> None:
        async with client_of(script, cursors=cursors) as client:
            async for change in client.events():
                assert isinstance(change, OrderEvent)
                seen.append(change.seq)
                await asyncio.sleep(0)

    task = asyncio.create_task(consume())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    left = {t for t in asyncio.all_tasks() if t.get_name().startswith("yabam-")}
    assert left == set()
    assert seen == list(range(1, len(seen) + 1))
    assert cursors.checkpoint is not None
    assert cursors.checkpoint.positions[CHANNEL] <= len(seen)
