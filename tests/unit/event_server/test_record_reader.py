"""From records to the hub: what counts, what is left out, and when a session is warm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from client_sdk.contract.stream import SyncRequired
from event_server.kafka.record_reader import RecordReader
from event_server.kafka.warm_up import AHEAD_S, ReadRange
from event_server.replay.hub import Hub
from event_server.replay.ring import MARGIN_S
from server_common.kafka.raw_records import LeftOut
from server_common.kafka_records.events import Headers, OmittedRecord, encode_omitted_record
from tests.unit.event_server.parts import (
    EPOCH,
    FakeSubscriber,
    make_hub,
    order_record,
    watermark_record,
)


class Session:
    """A reader whose offsets and clock move on by themselves."""

    def __init__(
        self,
        ends: dict[int, int],
        since: float | None = 900.0,
        partition_of: Callable[[str], int | None] = lambda _channel: 0,
    ) -> None:
        self.hub: Hub = make_hub(partitions=len(ends), covered_since=0.0)
        self.skipped: list[tuple[str, str]] = []
        self.handed: list[float] = []
        self.offsets = dict.fromkeys(ends, 0)
        self.reader = RecordReader(
            self.hub,
            {p: ReadRange(end, since) for p, end in ends.items()},
            lambda kind, reason: self.skipped.append((kind, reason)),
            self.handed.append,
            partition_of,
        )

    def take(
        self,
        partition: int,
        value: bytes | None,
        headers: Headers,
        time: float = 1000.0,
        now: float | None = None,
    ) -> None:
        now = time - 900 if now is None else now
        self.reader.take(partition, self.offsets[partition], time, value, headers, now)
        self.offsets[partition] += 1

    def watermark(self, partition: int, time: float = 1000.0, epoch: str = EPOCH) -> None:
        self.take(partition, None, watermark_record(time, epoch), time)

    def order(
        self,
        partition: int,
        *ids: str,
        time: float = 1000.0,
        epoch: str = EPOCH,
        now: float | None = None,
    ) -> None:
        value, headers = order_record(ids, epoch)
        self.take(partition, value, headers, time, now)

    def head(self, channel: str) -> int | None:
        ring = self.hub.rings.get(channel)
        return None if ring is None else ring.head


class TestWarmUp:
    def test_an_empty_log_is_warm_with_its_first_watermark_that_lies_in_what_is_covered(
        self,
    ) -> None:
        session = Session({0: 0}, since=None)
        session.watermark(0, 1000.0)
        assert not session.hub.warm
        session.watermark(0, 1000.0 + MARGIN_S)
        assert session.hub.warm
        assert session.hub.rings.covered_since == 1000.0 + MARGIN_S

    def test_a_watermark_from_before_the_start_proves_nothing(self) -> None:
        session = Session({0: 2})
        session.order(0, "store:1@1")
        session.watermark(0)
        assert not session.hub.warm
        session.watermark(0)
        assert session.hub.warm

    def test_every_partition_must_have_one(self) -> None:
        session = Session({0: 0, 1: 1})
        session.watermark(0)
        session.watermark(0)
        session.watermark(1)
        assert not session.hub.warm
        session.watermark(1)
        assert session.hub.warm

    def test_covered_is_from_the_latest_start_of_all_partitions(self) -> None:
        session = Session({0: 0, 1: 0})
        session.reader._ranges[1].since = 950.0
        session.watermark(0)
        session.watermark(1)
        assert session.hub.rings.covered_since == 950.0 + MARGIN_S

    def test_a_log_read_from_its_first_record_covers_nothing_before_that_record(self) -> None:
        session = Session({0: 1}, since=None)
        session.order(0, "store:1@5", time=990.0)
        session.watermark(0)
        assert session.hub.rings.covered_since == 990.0 + MARGIN_S

    def test_a_first_record_far_ahead_of_its_time_is_not_believed(self) -> None:
        session = Session({0: 1}, since=None)
        session.order(0, "store:1@1", time=9e9, now=99.0)
        session.watermark(0, 1000.0)
        session.watermark(0, 1000.0 + MARGIN_S)
        assert session.hub.warm
        assert session.hub.rings.covered_since == 1000.0 + MARGIN_S

    def test_what_is_kept_since_a_time_that_is_not_believed_is_dropped_and_told_of(self) -> None:
        session = Session({0: 1}, since=None)
        session.order(0, "store:1@1", time=9e9, now=99.0)
        session.watermark(0, 1000.0)
        assert session.head("store:1") is None, "its time would keep it for ever"
        assert [kind for kind, _ in session.skipped] == ["ahead"]

    def test_a_start_that_a_damaged_last_record_put_far_ahead_is_not_believed(self) -> None:
        session = Session({0: 1}, since=9e9)
        session.watermark(0, 1000.0)
        session.watermark(0, 1001.0)
        session.watermark(0, 1001.0 + MARGIN_S)
        assert session.hub.warm

    def test_a_first_record_that_is_ahead_by_less_than_clocks_are_is_believed(self) -> None:
        session = Session({0: 1}, since=None)
        session.order(0, "store:1@1", time=1000.0 + AHEAD_S, now=100.0)
        session.watermark(0, 1000.0)
        assert session.head("store:1") == 1
        assert session.skipped == []

    def test_a_new_epoch_asks_every_partition_again(self) -> None:
        session = Session({0: 0, 1: 0})
        session.watermark(0)
        session.watermark(0, epoch="01EPOCH2")
        session.watermark(1)
        assert not session.hub.warm
        session.watermark(1, epoch="01EPOCH2")
        assert session.hub.warm

    def test_a_new_session_takes_back_what_the_last_one_claimed(self) -> None:
        session = Session({0: 0})
        session.watermark(0)
        RecordReader(session.hub, {0: ReadRange(0, 900.0)}, lambda *_: None)
        assert not session.hub.warm
        assert session.hub.rings.covered_since > 1e12


class TestRecords:
    def test_an_order_reaches_each_of_its_channels(self) -> None:
        session = Session({0: 0})
        session.order(0, "store:1@5", "table:1/2@3")
        assert (session.head("store:1"), session.head("table:1/2")) == (5, 3)

    def test_the_line_arrives_as_it_was_written(self) -> None:
        session = Session({0: 0})
        session.watermark(0)
        subscriber = FakeSubscriber()
        session.hub.attach(subscriber, {"store:1": 4}, {"store:1": 4}, 1000.0, EPOCH)
        text = "a\u2028b\u0085c \\n \\r 🍜"
        value, headers = order_record(("store:1@5",), text=text)
        session.take(0, value, headers)
        (event,) = subscriber.events
        assert event.data.encode() == value
        assert (event.type, event.last_event_id) == ("order.placed", "store:1@5")

    @pytest.mark.parametrize(
        ("value", "headers", "kind"),
        [
            (b"hello", [], "foreign"),
            (b"{}", [("type", b"order.placed"), ("epoch", b"x" * 65), ("at", b"")], "foreign"),
            (None, [("type", b"watermark"), ("epoch", b"01EPOCH1")], "foreign"),
            (None, [("type", b"watermark"), ("epoch", b"\xff"), ("watermark", b"1")], "foreign"),
            (None, [("type", b"watermark"), ("epoch", b"x"), ("watermark", b"soon")], "foreign"),
        ],
    )
    def test_what_is_not_ours_is_left_out_whole_and_told(
        self, value: bytes | None, headers: Headers, kind: str
    ) -> None:
        session = Session({0: 0})
        session.take(0, value, headers)
        assert [k for k, _ in session.skipped] == [kind]
        assert len(session.hub.rings) == 0

    def test_an_epoch_that_none_could_follow_is_left_out_and_ends_nothing(self) -> None:
        session = Session({0: 0})
        session.watermark(0)
        follower = FakeSubscriber()
        session.hub.attach(follower, {"store:1": 0}, {"store:1": 0}, 1000.0, EPOCH)
        session.order(0, "store:1@1", epoch="zzzz")
        session.watermark(0, epoch="zzzz")
        assert [kind for kind, _ in session.skipped] == ["foreign", "foreign"]
        assert not follower.ended
        session.order(0, "store:1@1")
        assert follower.ids() == ["store:1@1"]

    def test_an_older_epoch_is_left_out(self) -> None:
        session = Session({0: 0})
        session.order(0, "store:1@5", epoch="01EPOCH0")
        session.watermark(0, epoch="01EPOCH0")
        assert [k for k, _ in session.skipped] == ["old_epoch", "old_epoch"]
        assert session.hub.watermark is None


def damaged(**changes: bytes | None) -> tuple[bytes, Headers]:
    """An order record of store 1 with other headers; None: without it."""
    value, headers = order_record(("store:1@6", "table:1/5@3"))
    fields: dict[str, bytes | None] = {**dict(headers), **changes}
    return value, [(name, text) for name, text in fields.items() if text is not None]


class TestDamagedRecords:
    """One that carried an event is never left out in silence, and concerns nobody else."""

    def session(self) -> tuple[Session, dict[str, FakeSubscriber]]:
        session = Session({0: 0, 1: 0}, partition_of=lambda channel: int(":2" in channel))
        for partition in (0, 1):
            session.watermark(partition)
        session.order(0, "store:1@5")
        session.order(1, "store:2@5")
        followers = {}
        for channel in ("store:1", "table:1/9", "store:2"):
            at = {channel: 5}
            followers[channel] = FakeSubscriber()
            session.hub.attach(followers[channel], at, at, 1000.0, EPOCH)
        return session, followers

    @pytest.mark.parametrize(
        ("value", "headers"),
        [
            (b"{}", damaged()[1]),
            (b"{}\n{}\n{}", damaged()[1]),
            (b"{}\n{\r}", damaged()[1]),
            damaged(type=b"order.placed\n"),
            damaged(type=b"\xff"),
            damaged(type=b"heartbeat"),
            damaged(occurred_at=None),
            (None, encode_omitted_record(OmittedRecord(EPOCH, ("store:1@6", "table:1/5@3")))),
        ],
    )
    def test_whose_ids_are_readable_concerns_the_followers_of_its_channels(
        self, value: bytes, headers: Headers
    ) -> None:
        session, followers = self.session()
        session.take(0, value, headers)
        assert followers["store:1"].types() == ["sync-required"]
        assert not followers["table:1/9"].ended
        assert not followers["store:2"].ended
        assert [kind for kind, _ in session.skipped] == [
            "omitted" if "omitted" in dict(headers) else "malformed"
        ]
        # Who synced before it must sync again; who synced after it goes on behind it.
        early, late = FakeSubscriber(), FakeSubscriber()
        for subscriber, seq in ((early, 5), (late, 6)):
            at = {"store:1": seq}
            answer = session.hub.attach(subscriber, at, at, 1001.0, EPOCH)
            assert isinstance(answer, list) is (seq == 6)
        session.order(0, "store:1@7")
        assert late.ids() == ["store:1@7"]

    @pytest.mark.parametrize(
        ("value", "headers"),
        [
            damaged(ids=b"\xff"),
            damaged(ids=None),
            damaged(ids=b"store:1@6,nonsense@@1"),
            damaged(ids=b"store:1@6,table:1/5@9999999999999999999"),
            damaged(epoch=b"\xff"),
            damaged(epoch=b"e" * 65),
            damaged(epoch=None),
            damaged(type=None),
            damaged(type=None, ids=None, sent=b"a.0"),
        ],
    )
    def test_whose_ids_are_not_concerns_the_followers_of_its_partition(
        self, value: bytes, headers: Headers
    ) -> None:
        session, followers = self.session()
        session.take(0, value, headers)
        assert followers["store:1"].types() == ["sync-required"]
        assert followers["table:1/9"].types() == ["sync-required"]
        assert not followers["store:2"].ended
        assert [kind for kind, _ in session.skipped] == ["malformed"]
        at = {"store:1": 5}
        answer = session.hub.attach(FakeSubscriber(), at, at, 1000.0, EPOCH)
        assert isinstance(answer, SyncRequired)
        session.order(1, "store:2@6")
        assert followers["store:2"].ids() == ["store:2@6"]

    def test_of_a_lifetime_that_is_over_concerns_nobody(self) -> None:
        session, followers = self.session()
        session.take(0, *damaged(ids=b"nonsense", epoch=b"01EPOCH0"))
        assert not any(follower.ended for follower in followers.values())

    def test_a_bug_with_one_record_ends_nothing_but_what_it_concerns(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session, followers = self.session()
        append = session.hub.rings.append

        def fail(channel: str, *arguments: Any) -> None:
            if channel == "store:1":
                raise ZeroDivisionError
            append(channel, *arguments)

        monkeypatch.setattr(session.hub.rings, "append", fail)
        session.order(0, "store:1@6", "table:1/5@3")
        session.order(1, "store:2@6")
        assert [kind for kind, _ in session.skipped] == ["failed"]
        assert followers["store:1"].types() == ["sync-required"]
        assert followers["store:2"].ids() == ["store:2@6"]


class TestTimesThatCannotBeTrue:
    """Whoever may write to the topic may claim any time; it must not keep new streams out."""

    YEAR_S = 365 * 86_400.0

    def take(self, session: Session, ids: bytes, now: float) -> None:
        value, headers = damaged(ids=ids)
        at = session.offsets[0]
        session.reader.take(0, at, now + 900 + self.YEAR_S, value, headers, now)
        session.offsets[0] += 1

    def test_of_a_damaged_record_costs_new_streams_a_few_seconds(self) -> None:
        session, _ = TestDamagedRecords().session()
        session.watermark(0, 1002.0)
        self.take(session, b"nonsense", now=102.0)
        session.watermark(0, 1002.0 + AHEAD_S + MARGIN_S)
        at = {"store:1": 5}
        issued_at = 1002.0 + AHEAD_S + MARGIN_S
        assert isinstance(session.hub.attach(FakeSubscriber(), at, at, issued_at, EPOCH), list)

    def test_is_not_believed_before_anything_is_known_of_the_database_s_clock(self) -> None:
        session = Session({0: 1})
        self.take(session, b"nonsense", now=100.0)
        session.watermark(0, 1001.0)
        session.watermark(0, 1001.0 + 2 * MARGIN_S)
        assert session.hub.warm


class TestRecordsThatAreMissingInTheLog:
    def test_the_followers_of_the_partition_are_told_before_a_watermark_can_pass(self) -> None:
        session, followers = TestDamagedRecords().session()
        for number, sent in enumerate((b"a.0", b"a.1", b"a.4")):
            value, headers = order_record((f"store:1@{6 + number}",))
            session.take(0, value, [*headers, ("sent", sent)])
            if sent == b"a.4":  # looked back to, and found as it was
                session.offsets[0] -= 2
                for seq, again in ((7, b"a.1"), (8, b"a.4")):
                    value, headers = order_record((f"store:1@{seq}",))
                    session.take(0, value, [*headers, ("sent", again)])
        assert followers["store:1"].types() == ["order.placed", "order.placed", "sync-required"]
        assert followers["table:1/9"].types() == ["sync-required"]
        assert not followers["store:2"].ended
        assert [kind for kind, _ in session.skipped] == ["missing"]


class TestHandedOut:
    def test_the_time_of_a_record_is_told_once_if_somebody_follows_a_channel_of_it(self) -> None:
        session = Session({0: 0})
        session.watermark(0, 1002.0)
        session.order(0, "store:12@1", time=1003.0)
        followers = [FakeSubscriber(), FakeSubscriber()]
        for one in followers:
            session.hub.attach(one, {"store:12": 1}, {"store:12": 1}, 1003.0, EPOCH)
        session.order(0, "store:12@2", "table:12/5@1", time=1004.0)
        session.order(0, "store:13@1", time=1005.0)
        session.order(0, "store:12@2", time=1006.0)
        assert [one.ids() for one in followers] == [["store:12@2"]] * 2
        assert session.handed == [1004.0]


class TestTheDatabasesClockSetBack:
    def back(self, session: Session, partition: int, at: float) -> None:
        for second in range(4):
            session.watermark(partition, at + second)

    def test_all_is_forgotten_and_warmed_up_anew(self) -> None:
        session = Session({0: 0})
        session.watermark(0, 1000.0)
        session.order(0, "store:1@1", time=1000.0)
        subscriber = FakeSubscriber()
        session.hub.attach(subscriber, {"store:1": 1}, {"store:1": 1}, 1000.0, EPOCH)
        self.back(session, 0, 400.0)
        assert subscriber.types() == ["sync-required"]
        assert not session.hub.warm
        session.watermark(0, 405.0)
        assert session.hub.warm
        assert session.hub.rings.covered_since == 403.0 + MARGIN_S
        assert session.head("store:1") is None

    def test_the_server_is_up_to_date_again(self) -> None:
        session = Session({0: 0})
        session.watermark(0, 1000.0)
        self.back(session, 0, 400.0)
        assert session.hub.lag(403.0 - 900) == pytest.approx(0.0)

    def test_every_partition_is_asked_and_what_one_read_ahead_is_not_claimed(self) -> None:
        session = Session({0: 0, 1: 0})
        session.watermark(0, 1000.0)
        session.watermark(1, 1000.0)
        self.back(session, 1, 400.0)
        session.order(1, "store:2@1", time=407.0)
        self.back(session, 0, 403.0)  # at 406 all is forgotten once more, that order too
        session.watermark(1, 407.5)
        session.watermark(0, 407.5)
        assert not session.hub.warm
        session.watermark(0, 409.0)
        session.watermark(1, 409.0)
        assert session.hub.warm
        assert session.hub.rings.covered_since == 407.0 + MARGIN_S

    def test_while_one_partition_has_not_heard_of_it_nothing_is_claimed(self) -> None:
        session = Session({0: 0, 1: 0})
        session.watermark(0, 1000.0)
        session.watermark(1, 1000.0)
        self.back(session, 0, 400.0)
        for second in range(20):
            session.watermark(0, 406.0 + second)
            session.watermark(1, 1001.0 + second)
        assert not session.hub.warm


class TestWhatCannotBeRead:
    def leave_out(self, session: Session, timestamp_ms: int | None) -> None:
        offset = session.offsets[0]
        what = LeftOut(offset, offset, "wrong checksum", b"", timestamp_ms)
        session.reader.leave_out(0, what, now=100.0)
        session.offsets[0] += 1

    def warm(self) -> Session:
        session = Session({0: 0})
        session.watermark(0, 1000.0)
        assert session.hub.warm
        return session

    def test_it_is_covered_from_its_own_time_on_if_that_is_known(self) -> None:
        session = self.warm()
        self.leave_out(session, 990_000)
        assert session.hub.rings.covered_since == 990.0 + MARGIN_S

    def test_it_is_covered_from_now_on_if_its_time_is_unknown(self) -> None:
        session = self.warm()
        self.leave_out(session, None)
        assert session.hub.rings.covered_since >= 1000.0 + MARGIN_S

    def test_and_from_the_watermark_behind_it_on_if_that_is_younger(self) -> None:
        session = self.warm()
        self.leave_out(session, None)
        session.watermark(0, time=1030.0)
        assert session.hub.rings.covered_since == 1030.0 + MARGIN_S
        session.watermark(0, time=1040.0)
        assert session.hub.rings.covered_since == 1030.0 + MARGIN_S

    def test_a_time_that_has_not_come_yet_is_not_believed(self) -> None:
        session = self.warm()
        self.leave_out(session, 5_000_000)
        assert session.hub.rings.covered_since < 1010.0

    def test_the_reason_says_where_it_stands(self) -> None:
        session = self.warm()
        self.leave_out(session, None)
        assert session.skipped == [
            ("unreadable", "partition 0, offsets 1 to 1: wrong checksum"),
        ]
