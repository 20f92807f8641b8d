"""The bounded queue of the portable push path."""

from __future__ import annotations

import asyncio

from event_server.push.asgi import QueueSubscriber


class Told:
    """Counts what the subscriber asks for."""

    def __init__(self, max_bytes: int) -> None:
        self.overflows = 0
        self.aborts = 0
        self.subscriber = QueueSubscriber(max_bytes, self._overflow, self._abort)

    def _overflow(self) -> None:
        self.overflows += 1

    def _abort(self) -> None:
        self.aborts += 1

    async def rest(self) -> bytes:
        return b"".join([chunk async for chunk in self.subscriber.chunks()])


async def test_what_waits_is_joined_and_the_last_frame_ends_it() -> None:
    told = Told(100)
    for frame in (b"a", b"b"):
        told.subscriber.send(frame)
    told.subscriber.end(b"z")
    told.subscriber.send(b"late")
    assert [chunk async for chunk in told.subscriber.chunks()] == [b"abz"]


async def test_after_one_frame_was_left_out_only_the_last_words_are_taken() -> None:
    """A smaller frame that would still fit must not follow: that were a gap."""
    told = Told(10)
    told.subscriber.send(b"12345678")
    told.subscriber.send(b"left out")
    told.subscriber.send(b"fits")
    await asyncio.sleep(0)
    assert told.overflows == 1
    told.subscriber.end(b"bye")
    assert await told.rest() == b"bye"


async def test_a_single_frame_may_be_larger_than_the_limit() -> None:
    told = Told(10)
    told.subscriber.send(b"x" * 50)
    assert (told.subscriber.backlog, told.overflows) == (50, 0)


async def test_the_backlog_falls_when_the_server_has_taken_the_bytes() -> None:
    told = Told(10)
    told.subscriber.send(b"12345")
    chunks = told.subscriber.chunks()
    assert await anext(chunks) == b"12345"
    assert told.subscriber.backlog == 5  # handed over, not gone yet
    told.subscriber.send(b"678")
    assert await anext(chunks) == b"678"
    assert told.subscriber.backlog == 3
    await chunks.aclose()  # type: ignore[attr-defined]


async def test_abort_cuts_and_takes_nothing_more() -> None:
    told = Told(10)
    told.subscriber.abort()
    told.subscriber.send(b"1")
    assert (told.aborts, told.subscriber.backlog) == (1, 0)
