"""What a reading session makes of its brokers' answers, and of answers that do not come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError

from event_server.errors import LogReplacedError, SourceError, SourceLostError
from event_server.kafka.session_check import (
    CHECK_EVERY_S,
    LOOKS_PER_SEARCH,
    MAX_LOOKS,
    MAX_LOOKS_FOR_RECORDS,
    SessionCheck,
)

PARTS = [TopicPartition("order-events", number) for number in range(4)]
PART = PARTS[0]
AT = 7


class Brokers:
    """What a check asks a consumer, and what is answered."""

    def __init__(self, end: int = AT, highwater: int | None = None, position: int = AT) -> None:
        self.answer: asyncio.Future[int] = asyncio.Future()
        self.answer.set_result(end)
        self.asked: list[set[TopicPartition]] = []
        self.passed = position
        self._highwater = highwater
        self.fetching: asyncio.Future[None] = asyncio.Future()
        self._fetcher = SimpleNamespace(error_future=self.fetching)
        self.leaders: dict[TopicPartition, int] = {}
        self.frozen: set[int] = set()
        """Brokers that never answer."""
        self.searches = 0
        """How often it was asked who leads."""
        cluster = SimpleNamespace(leader_for_partition=self.leaders.get)
        self._client = SimpleNamespace(cluster=cluster, force_metadata_update=self.search)

    def search(self) -> None:
        self.searches += 1

    def highwater(self, _: TopicPartition) -> int | None:
        return self._highwater

    async def end_offsets(self, parts: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked.append(set(parts))
        if {self.leaders.get(tp) for tp in parts} & self.frozen:
            await asyncio.Future()
        return dict.fromkeys(parts, await asyncio.shield(self.answer))

    async def position(self, _: TopicPartition) -> int:
        return self.passed

    def end_at(self, offset: int) -> None:
        """From now on they answer so."""
        self.answer = asyncio.Future()
        self.answer.set_result(offset)

    def hang(self) -> None:
        """From now on nobody answers."""
        self.answer = asyncio.Future()

    def time_out(self) -> None:
        """From now on the consumer gives each question up."""
        self.answer = asyncio.Future()
        self.answer.set_exception(KafkaTimeoutError())


class Session:
    """A check of a session that has read each partition up to `AT`, and its time."""

    def __init__(self, brokers: Brokers, parts: Iterable[TopicPartition] = (PART,)) -> None:
        self.now = 100.0
        self.check = SessionCheck(
            cast(AIOKafkaConsumer, brokers), dict.fromkeys(parts, AT), 3.0, self.now
        )

    async def look(self, times: int = 1, spoken: Iterable[TopicPartition] = ()) -> None:
        """Look so often; `spoken` bring a record before each look."""
        for _ in range(times):
            self.now += CHECK_EVERY_S
            self.check.heard.update(dict.fromkeys(spoken, self.now))
            await self.check.look(self.now)
            for _ in range(5):
                await asyncio.sleep(0)  # what answers at once has answered


async def end_of(
    session: Session, times: int = 1, spoken: Iterable[TopicPartition] = ()
) -> SourceError | None:
    """Why the session ends within so many looks; None: it goes on."""
    try:
        await session.look(times, spoken)
    except SourceError as error:
        return error
    return None


async def ends(session: Session, spoken: Iterable[TopicPartition] = ()) -> int:
    """At which look the session ends."""
    for number in range(1, 100):
        try:
            await session.look(spoken=spoken)
        except SourceLostError:
            return number
    raise AssertionError("it goes on")


async def test_whoever_speaks_is_not_asked_about() -> None:
    brokers = Brokers()
    await Session(brokers, PARTS).look(10, spoken=PARTS)
    assert brokers.asked == []


async def test_a_silent_partition_whose_end_is_where_we_are_is_the_relays_silence() -> None:
    brokers = Brokers()
    await Session(brokers).look(100)
    assert len(brokers.asked) > 90


async def test_records_that_came_late_and_are_read_then_end_nothing() -> None:
    brokers = Brokers(end=AT + 2)
    session = Session(brokers)
    await session.look(3 + MAX_LOOKS_FOR_RECORDS)
    session.check.positions[PART] = AT + 2
    assert await end_of(session, 100) is None


async def test_a_broker_that_is_late_once_and_again_has_each_time_the_whole_patience() -> None:
    brokers = Brokers()
    session = Session(brokers)
    for _ in range(3):
        brokers.hang()
        await session.look(MAX_LOOKS)
        brokers.answer.set_result(AT)
        assert await end_of(session, 2) is None


async def test_after_a_long_silence_of_the_relay_its_first_record_may_be_late_too() -> None:
    brokers = Brokers()
    session = Session(brokers)
    await session.look(60)
    brokers.end_at(AT + 1)
    await session.look(MAX_LOOKS_FOR_RECORDS)
    session.check.positions[PART] = AT + 1
    assert await end_of(session, 10) is None


async def test_what_is_passed_over_without_a_record_is_not_owed() -> None:
    assert await end_of(Session(Brokers(end=AT + 2, position=AT + 2)), 100) is None


async def test_records_that_do_not_come_end_the_session() -> None:
    session = Session(Brokers(end=AT + 2), PARTS)
    with pytest.raises(SourceLostError, match="partition 0: its records do not arrive"):
        await session.look(100, spoken=PARTS[1:])


async def test_a_session_waits_as_long_for_an_answer_that_hangs_as_for_one_that_fails() -> None:
    hanging, given_up = Brokers(), Brokers()
    hanging.hang()
    given_up.time_out()
    looks = [await ends(Session(brokers)) for brokers in (hanging, given_up)]
    assert len(set(looks)) == 1
    assert looks[0] >= MAX_LOOKS


async def test_records_of_brokers_that_answer_are_given_up_sooner() -> None:
    looks = await ends(Session(Brokers(end=AT + 2)))
    assert MAX_LOOKS_FOR_RECORDS <= looks < MAX_LOOKS


async def test_a_broker_that_stands_still_hides_nothing_of_what_another_one_owes() -> None:
    brokers = Brokers(end=AT + 2)
    brokers.leaders.update({PARTS[0]: 1, PARTS[1]: 2})
    brokers.frozen = {1}
    with pytest.raises(SourceLostError, match="partition 1: its records do not arrive"):
        await Session(brokers, PARTS[:2]).look(MAX_LOOKS)


async def test_each_broker_is_asked_once_about_all_its_partitions() -> None:
    brokers = Brokers()
    brokers.leaders.update({PARTS[0]: 1, PARTS[1]: 2, PARTS[2]: 1})
    await Session(brokers, PARTS).look(4)
    assert len(brokers.asked) == 3
    assert {frozenset(one) for one in brokers.asked} == {
        frozenset({PARTS[1]}), frozenset({PARTS[3]}), frozenset({PARTS[0], PARTS[2]})
    }  # fmt: skip


async def test_whoever_has_nothing_new_for_long_may_lead_no_more_and_is_looked_for_anew() -> None:
    brokers = Brokers()
    session = Session(brokers, PARTS)
    await session.look(3 + 4 * LOOKS_PER_SEARCH, spoken=PARTS[1:])
    assert brokers.searches == 4
    await session.look(4 * LOOKS_PER_SEARCH, spoken=PARTS)
    assert brokers.searches == 4, "who speaks leads"


async def test_a_look_waits_for_nobody_so_that_others_are_read_on() -> None:
    brokers = Brokers()
    brokers.hang()
    session = Session(brokers, PARTS)
    async with asyncio.timeout(5):
        await session.look(10, spoken=PARTS[1:])
    assert brokers.asked == [{PART}], "one question at a time"


async def test_brokers_that_answer_nothing_are_gone_in_the_end() -> None:
    brokers = Brokers()
    brokers.time_out()
    with pytest.raises(SourceLostError, match="nobody says where it ends"):
        await Session(brokers, PARTS).look(100)


async def test_a_partition_that_speaks_again_is_owed_nothing() -> None:
    brokers = Brokers()
    brokers.hang()
    session = Session(brokers)
    for _ in range(5):
        await session.look(MAX_LOOKS)
        assert await end_of(session, spoken=[PART]) is None


async def test_a_process_that_stood_still_itself_gives_the_brokers_their_time() -> None:
    brokers = Brokers()
    brokers.hang()
    session = Session(brokers)
    await session.look(5)
    session.now += 3600
    assert await end_of(session, 5) is None


async def test_what_was_read_while_the_question_was_under_way_is_no_replaced_log() -> None:
    brokers = Brokers()
    brokers.hang()
    session = Session(brokers)
    await session.look(4)
    brokers.answer.set_result(AT)
    brokers.end_at(AT + 5)
    session.check.positions[PART] = AT + 5
    assert await end_of(session, 4) is None


async def test_a_log_that_ends_before_us_is_another_one() -> None:
    with pytest.raises(LogReplacedError):
        await Session(Brokers(end=5)).look(6)


async def test_a_fetch_that_found_an_earlier_end_leads_to_the_question_at_once() -> None:
    brokers = Brokers(end=5, highwater=5)
    session = Session(brokers, PARTS)
    with pytest.raises(LogReplacedError):
        await session.look(2, spoken=PARTS)


async def test_a_fetch_that_is_older_than_what_was_read_proves_nothing() -> None:
    assert await end_of(Session(Brokers(end=AT, highwater=5), PARTS), 10, spoken=PARTS) is None


async def test_a_refusal_ends_the_session_at_once() -> None:
    brokers = Brokers()
    brokers.hang()
    session = Session(brokers)
    await session.look(4)
    brokers.answer.set_exception(TopicAuthorizationFailedError())
    with pytest.raises(TopicAuthorizationFailedError):
        await session.look(2)


async def test_a_consumer_that_fetches_no_more_ends_it_at_once() -> None:
    brokers = Brokers()
    session = Session(brokers, PARTS)
    await session.look(spoken=PARTS)
    brokers.fetching.set_result(None)
    with pytest.raises(SourceLostError, match="stopped fetching"):
        await session.look(spoken=PARTS)


async def test_its_end_leaves_no_question_behind() -> None:
    brokers: Any = Brokers()
    brokers.hang()
    session = Session(brokers, PARTS[:2])
    before = asyncio.all_tasks()
    brokers.leaders.update({PARTS[0]: 1, PARTS[1]: 2})
    await session.look(4)
    assert len(asyncio.all_tasks() - before) == 2
    await session.check.close()
    assert asyncio.all_tasks() == before
