"""Open streams of the quick path wake nobody: no task of the loop belongs to one of them.

The portable path, with its four tasks per stream, fails this test.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.integration.event_server.conftest import Start
from tests.integration.event_server.test_connections import connected

A = "store:1"
STREAMS = 40


@pytest.mark.parametrize("push_path", ["edge"])
async def test_streams_that_are_open_have_no_task_each(start: Start) -> None:
    server = await start()
    before = len(asyncio.all_tasks())
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(server)) for _ in range(STREAMS)]
        for client in clients:
            client.follow(server.ticket({A: 0}))
            await client.begin()
        assert len(server.server.streams) == STREAMS
        assert len(asyncio.all_tasks()) == before
        server.publish(f"{A}@1")
        assert len(asyncio.all_tasks()) == before
        for client in clients:
            assert f"id: {A}@1".encode() in await client.chunk()
