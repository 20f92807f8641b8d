"""What the relay sends of a read, and which rows it may delete afterwards."""

from __future__ import annotations

import pytest

from core_api.kafka.messages import Message
from core_api.relay.cycle import (
    OutboxReading,
    OutboxRow,
    narrow,
    plan_cycle,
    settle,
)
from core_api.relay.held_shard import HeldShard
from core_api.relay.pacing import WATERMARK_ACTIVE_S
from server_common.kafka_records.events import (
    LogRecord,
    OmittedRecord,
    OrderRecord,
    WatermarkRecord,
    decode_record,
    encode_sent,
)
from server_common.limits import EVENT_RECORD_BYTES

NOW = 100.0


def row(id_: int, *, trimmed: bool = False) -> OutboxRow:
    ids = (f"store:12@{id_}", f"table:12/5@{id_}")
    lines = () if trimmed else (b'{"owner":1}', b'{"table":1}')
    return OutboxRow(id_, "12", "order.placed", "2026-01-01T00:00:00.000000Z", ids, lines)


def reading(**shards: list[OutboxRow]) -> OutboxReading:
    return OutboxReading(
        "E1", 1_700_000_000.25, 0.0, {int(name[1:]): rows for name, rows in shards.items()}
    )


def lease(*, good_for_s: float = 5.0, watermark_at: float | None = NOW) -> HeldShard:
    held = HeldShard(fence=1, good_until=NOW + good_for_s, watermark_at=watermark_at)
    held.begin("one")
    return held


def decoded(message: Message) -> LogRecord:
    return decode_record(message.value, [(k, v) for k, v in message.headers if v is not None])


def test_an_event_is_keyed_by_its_store_and_stamped_with_the_time_of_the_read() -> None:
    cycle = plan_cycle(reading(s3=[row(7)]), {3: lease()}, 10, NOW)
    (message,) = cycle.messages[3]
    assert message.key == b"12"
    assert message.timestamp_ms == 1_700_000_000_250
    assert decoded(message) == OrderRecord(
        "E1",
        "order.placed",
        "2026-01-01T00:00:00.000000Z",
        ("store:12@7", "table:12/5@7"),
        (b'{"owner":1}', b'{"table":1}'),
    )


def test_a_watermark_follows_the_events_of_its_read() -> None:
    cycle = plan_cycle(reading(s0=[row(1), row(2)]), {0: lease(watermark_at=None)}, 10, NOW)
    assert [type(decoded(m)) for m in cycle.messages[0]] == [
        OrderRecord,
        OrderRecord,
        WatermarkRecord,
    ]
    assert decoded(cycle.messages[0][-1]) == WatermarkRecord("E1", 1_700_000_000.25)


def test_a_shard_that_was_not_read_to_its_end_gets_no_watermark() -> None:
    cycle = plan_cycle(reading(s0=[row(1), row(2)]), {0: lease(watermark_at=None)}, 2, NOW)
    assert not cycle.watermarked
    assert len(cycle.messages[0]) == 2


def test_each_shard_is_judged_by_itself() -> None:
    held = {0: lease(watermark_at=None), 1: lease(watermark_at=None), 2: lease()}
    cycle = plan_cycle(reading(s0=[row(1), row(2)], s1=[row(3)], s2=[]), held, 2, NOW)
    assert cycle.watermarked == {1}
    assert 2 not in cycle.messages


def test_a_lease_that_ran_out_since_the_read_sends_nothing() -> None:
    cycle = plan_cycle(reading(s0=[row(1)]), {0: lease(good_for_s=0.0)}, 10, NOW)
    assert not cycle.messages
    assert settle(cycle, {}).done == []


def test_events_are_done_when_they_are_stored() -> None:
    cycle = plan_cycle(reading(s0=[row(1), row(4)], s1=[row(2)]), {0: lease(), 1: lease()}, 10, NOW)
    outcome = settle(cycle, {0: 2, 1: 1})
    assert outcome.done == [1, 4, 2]
    assert outcome.events == {0: 2, 1: 1}
    assert not outcome.marked


def test_of_a_batch_that_took_only_some_the_rest_is_not_done_and_nor_is_the_watermark() -> None:
    cycle = plan_cycle(reading(s0=[row(1), row(2)]), {0: lease(watermark_at=None)}, 10, NOW)
    outcome = settle(cycle, {0: 1})
    assert outcome.done == [1]
    assert not outcome.marked
    assert settle(cycle, {0: 2}).marked == set()
    assert settle(cycle, {0: 3}).marked == {0}


def test_a_shard_that_failed_keeps_its_rows_and_the_others_do_not_suffer() -> None:
    cycle = plan_cycle(reading(s0=[row(1)], s1=[row(2)]), {0: lease(), 1: lease()}, 10, NOW)
    outcome = settle(cycle, {1: 1})
    assert outcome.done == [2]


def test_rows_whose_log_is_trimmed_are_announced_and_done() -> None:
    rows = [row(1, trimmed=True), row(2)]
    cycle = plan_cycle(reading(s0=rows), {0: lease(watermark_at=None)}, 10, NOW)
    assert [decoded(message) for message in cycle.messages[0]] == [
        OmittedRecord("E1", ("store:12@1", "table:12/5@1")),
        decoded(cycle.messages[0][1]),
        WatermarkRecord("E1", 1_700_000_000.25),
    ]
    outcome = settle(cycle, {0: 3})
    assert (outcome.done, outcome.set_aside, outcome.trimmed) == ([1, 2], {}, 1)


UNFIT = {
    "too large": b"x" * EVENT_RECORD_BYTES,
    "one line": b"a\nb",
}


@pytest.mark.parametrize(("reason", "line"), UNFIT.items(), ids=list(UNFIT))
def test_an_event_of_which_no_record_can_be_made_is_announced_and_set_aside(
    reason: str, line: bytes
) -> None:
    bad = OutboxRow(2, "12", "order.placed", "now", ("store:12@2",), (line,))
    cycle = plan_cycle(reading(s0=[row(1), bad, row(3)]), {0: lease()}, 10, NOW)
    assert decoded(cycle.messages[0][1]) == OmittedRecord("E1", ("store:12@2",))
    assert cycle.messages[0][1].size < 200
    assert settle(cycle, {0: 1}).set_aside == {}, "not before it is announced"
    outcome = settle(cycle, {0: 3})
    assert outcome.done == [1, 3]
    assert list(outcome.set_aside) == [2]
    assert reason in outcome.set_aside[2]


def test_the_largest_event_that_fits_is_published() -> None:
    def of(size: int) -> OutboxRow:
        return OutboxRow(1, "12", "order.placed", "now", ("store:12@1",), (b"x" * size,))

    small = plan_cycle(reading(s0=[of(1)]), {0: lease()}, 10, NOW).messages[0][0]
    # The number in the run comes last, and into the rest that is kept free.
    most = EVENT_RECORD_BYTES - small._replace(headers=small.headers[:-1]).size + 1
    assert not plan_cycle(reading(s0=[of(most)]), {0: lease()}, 10, NOW).left_out
    assert plan_cycle(reading(s0=[of(most + 1)]), {0: lease()}, 10, NOW).left_out


@pytest.mark.parametrize("culprit", range(1, 12))
def test_the_one_that_kafka_refuses_is_found_by_halves_and_the_others_are_published(
    culprit: int,
) -> None:
    rows = [row(n) for n in range(1, 12)]
    held = lease(watermark_at=None)
    published: list[int] = []
    for _ in range(40):
        cycle = plan_cycle(reading(s0=rows), {0: held}, 100, NOW)
        sent = cycle.messages[0]
        events = [m for m in sent if isinstance(decoded(m), OrderRecord)]
        refused = any(b"@%d" % culprit in (dict(m.headers)["ids"] or b"") for m in events)
        if refused:
            assert narrow(cycle, held, 0, len(sent), "no")
            continue
        outcome = settle(cycle, {0: len(sent)})
        held.at_most = None
        published += outcome.done
        rows = [r for r in rows if r.id not in outcome.done and r.id not in outcome.set_aside]
        if not rows:
            break
        assert not outcome.marked, "a watermark would pass what is left"
    assert not rows
    left = sorted(set(range(1, 12)) - set(published))
    assert culprit in left
    assert all(f"@{culprit}" in f"@{n}" for n in left)


def test_a_kafka_that_refuses_everything_sets_nothing_aside() -> None:
    held = lease(watermark_at=None)
    rows = [row(1)]
    cycle = plan_cycle(reading(s0=rows), {0: held}, 10, NOW)
    assert narrow(cycle, held, 0, 2, "no")
    cycle = plan_cycle(reading(s0=rows), {0: held}, 10, NOW)
    assert narrow(cycle, held, 0, 1, "no")
    cycle = plan_cycle(reading(s0=rows), {0: held}, 10, NOW)
    assert isinstance(decoded(cycle.messages[0][0]), OmittedRecord)
    assert narrow(cycle, held, 0, 2, "no")
    cycle = plan_cycle(reading(s0=rows), {0: held}, 10, NOW)
    assert not narrow(cycle, held, 0, 1, "no"), "it is not the record"
    assert not held.refused
    empty = plan_cycle(reading(s0=[]), {0: lease(watermark_at=None)}, 10, NOW)
    assert not narrow(empty, held, 0, 1, "no")


def test_a_busy_shard_gets_a_watermark_soon() -> None:
    held = {0: lease(watermark_at=NOW - 1.01 * WATERMARK_ACTIVE_S)}
    assert plan_cycle(reading(s0=[row(1)]), held, 10, NOW).watermarked == {0}
    assert not plan_cycle(reading(s0=[]), held, 10, NOW).watermarked
    held[0].published_since = True
    assert plan_cycle(reading(s0=[]), held, 10, NOW).watermarked == {0}


def numbers(held: HeldShard, *rows: OutboxRow) -> list[tuple[str, bytes | None]]:
    """What the messages of these rows, and of a watermark, say about their place."""
    cycle = plan_cycle(reading(s0=list(rows)), {0: held}, 10, NOW)
    return [message.headers[-1] for message in cycle.messages[0]]


def test_each_record_says_which_one_of_its_session_it_is_watermarks_too() -> None:
    held = lease(watermark_at=None)
    assert numbers(held, row(1), row(2)) == [encode_sent("one", n) for n in (0, 1, 2)]


def test_what_is_stored_is_counted_and_what_was_not_sent_gets_the_same_number_again() -> None:
    held = lease(watermark_at=None)
    held.count(2)
    assert numbers(held, row(3))[0] == encode_sent("one", 2)
    held.count(0)
    assert numbers(held, row(3))[0] == encode_sent("one", 2)


def test_doubt_about_a_batch_ends_its_session() -> None:
    held = lease(watermark_at=None)
    held.count(2)
    held.count(None)
    assert held.run == ""
    held.begin("two")
    assert numbers(held, row(3))[0] == encode_sent("two", 0)
