"""What the marks say, who is there, and whether the partitions are still ours."""

from __future__ import annotations

from client_sdk.contract.channel import parse_channel
from event_server.mqtt_gateway.outlet import Newest
from event_server.mqtt_gateway.rules.heads import KEPT_S, MAX_IN_A_MARK, Heads
from event_server.mqtt_gateway.rules.membership import PROVEN_FOR_S, SESSION_TIMEOUT_S, Membership
from event_server.mqtt_gateway.rules.presence import ONLINE_FOR_S, Due, Heard, Presence
from event_server.mqtt_gateway.rules.publications import Changed


def heads(limit: int = 1000) -> Heads:
    one = Heads(limit)
    one.admit("e2")
    return one


def test_a_mark_has_the_newest_seq_of_each_channel_of_the_store() -> None:
    one = heads()
    for seq in (4, 5, 3):
        one.note("12", "store:12", seq, 0.0)
    one.note("12", "table:12/5", 9, 0.0)
    one.note("13", "store:13", 1, 0.0)
    assert one.of("12", 1.0) == {"store:12": 5, "table:12/5": 9}


def test_a_newer_epoch_begins_anew_and_an_older_one_is_over() -> None:
    one = heads()
    one.note("12", "store:12", 5, 0.0)
    assert not one.admit("e1")
    assert one.admit("e3")
    assert one.of("12", 0.0) == {}
    assert one.epoch == "e3"


def test_a_channel_that_was_long_quiet_is_left_out() -> None:
    one = heads()
    one.note("12", "store:12", 5, 0.0)
    one.note("12", "table:12/5", 1, 60.0)
    assert one.of("12", KEPT_S + 1) == {"table:12/5": 1}


def test_a_mark_is_bounded_and_names_the_newest() -> None:
    one = heads(2 * MAX_IN_A_MARK)
    for n in range(MAX_IN_A_MARK + 1):
        one.note("12", f"table:12/{n}", 1, 0.0)
    told = one.of("12", 0.0)
    assert len(told) == MAX_IN_A_MARK
    assert "table:12/0" not in told


def test_all_heads_together_are_bounded() -> None:
    one = heads(limit=2)
    for n in range(3):
        one.note(str(n), f"store:{n}", 1, 0.0)
    assert [dict(one.of(str(n), 0.0)) for n in range(3)] == [{}, {"store:1": 1}, {"store:2": 1}]


def test_a_partition_that_moves_has_no_watermark_until_one_is_read() -> None:
    one = heads()
    one.watermark(1, 5.0)
    one.forget([1])
    assert one.watermark_of(1) is None


def test_the_partitions_are_ours_for_less_than_kafka_waits_for_a_silent_member() -> None:
    one = Membership()
    assert not one.holds(0.0)
    one.proven(100.0)
    assert one.holds(100.0 + PROVEN_FOR_S - 0.1)
    assert not one.holds(100.0 + PROVEN_FOR_S)
    assert PROVEN_FOR_S < SESSION_TIMEOUT_S


def test_a_late_answer_proves_nothing_for_longer_and_what_is_lost_is_lost() -> None:
    one = Membership()
    one.proven(100.0)
    one.proven(90.0)
    assert one.holds(106.0)
    one.lose()
    assert not one.holds(100.0)


def test_a_device_that_comes_is_a_new_connection_once() -> None:
    one = Presence()
    assert one.hear("12", "lamp", "c1", True, 0.0) == Heard(True, True)
    assert one.hear("12", "lamp", "c1", True, 60.0) == Heard(False, False)
    assert one.hear("12", "lamp", "c2", True, 61.0) == Heard(False, True)


def test_a_device_that_comes_back_on_the_same_connection_is_new() -> None:
    one = Presence()
    one.hear("12", "lamp", "c1", True, 0.0)
    one.hear("12", "lamp", "c1", False, 1.0)
    assert one.hear("12", "lamp", "c1", True, 2.0).is_new_connection


def test_the_will_of_an_older_connection_changes_nothing() -> None:
    one = Presence()
    one.hear("12", "lamp", "c1", True, 0.0)
    one.hear("12", "lamp", "c2", True, 1.0)
    one.hear("12", "lamp", "c1", False, 2.0)
    assert one.online(3.0) == [("12", "lamp")]


def test_a_silent_device_is_away() -> None:
    one = Presence()
    one.hear("12", "lamp", "c1", True, 0.0)
    assert one.online(ONLINE_FOR_S - 1) == [("12", "lamp")]
    assert one.online(ONLINE_FOR_S + 1) == []


def test_a_device_is_unserved_until_it_was_sent_what_waited_on_this_connection() -> None:
    one = Presence()
    one.hear("12", "lamp", "c1", True, 0.0)
    one.serve("12", "lamp", Due("another", 0))
    assert one.unserved(1.0) == [("12", "lamp")]
    one.serve("12", "lamp", one.due("12", "lamp"))
    assert one.unserved(1.0) == []
    one.hear("12", "lamp", "c1", True, 60.0)
    assert one.unserved(60.0) == []
    one.hear("12", "lamp", "c2", True, 61.0)
    assert one.unserved(61.0) == [("12", "lamp")]


def test_devices_are_to_be_served_anew_by_store() -> None:
    one = Presence()
    for store in ("12", "13"):
        one.hear(store, "lamp", "c", True, 0.0)
        one.serve(store, "lamp", one.due(store, "lamp"))
    one.unserve(lambda store: store == "12")
    assert one.unserved(1.0) == [("12", "lamp")]


def test_what_was_begun_before_devices_were_to_be_served_anew_serves_none() -> None:
    one = Presence()
    one.hear("12", "lamp", "c", True, 0.0)
    due = one.due("12", "lamp")
    one.unserve(lambda _store: True)
    one.serve("12", "lamp", due)
    assert one.unserved(1.0) == [("12", "lamp")]


def test_devices_are_bounded_and_a_store_is_forgotten_with_its_last() -> None:
    one = Presence(limit=1)
    one.hear("12", "lamp", "c", True, 0.0)
    one.hear("13", "lamp", "c", True, 0.0)
    assert one.known_stores() == ["13"]
    assert one.hear("12", "lamp", "c", True, 0.0).is_new_store


def test_an_older_version_does_not_replace_a_newer_one_that_the_broker_keeps() -> None:
    one = Newest()

    def state(version: int, epoch: str = "e1") -> Changed:
        return Changed(epoch, parse_channel("public:12"), "menu", version, 1)

    assert one.take(state(2))
    assert not one.take(state(1))
    assert one.take(state(2))
    assert one.take(state(1, "e2"))
    assert not one.take(state(9, "e1"))
