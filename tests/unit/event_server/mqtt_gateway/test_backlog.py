"""How many messages of devices wait in a gateway."""

from __future__ import annotations

from typing import NamedTuple

from event_server.mqtt_gateway.rules.backlog import MAX_WAITING, MAX_WAITING_BYTES, Backlog
from event_server.mqtt_gateway.up import UNANSWERED
from server_common.mqtt.broker import MAX_PAYLOAD_BYTES


class Said(NamedTuple):
    n: int
    payload: bytes


def test_they_come_out_in_order() -> None:
    backlog = Backlog[Said]()
    assert [backlog.put(Said(n, b"x")) for n in range(3)] == [[], [], []]
    assert [backlog.take().n for _ in range(3)] == [0, 1, 2]
    assert not backlog


def test_of_too_many_the_oldest_are_dropped() -> None:
    backlog = Backlog[Said]()
    dropped = [one.n for n in range(MAX_WAITING + 2) for one in backlog.put(Said(n, b""))]
    assert dropped == [0, 1]
    assert backlog.take().n == 2


def test_none_is_dropped_that_the_broker_sends_before_it_waits() -> None:
    backlog = Backlog[Said]()
    most = b"x" * MAX_PAYLOAD_BYTES
    assert [backlog.put(Said(n, most)) for n in range(UNANSWERED)] == [[]] * UNANSWERED


def test_the_largest_are_dropped_before_they_fill_the_memory() -> None:
    backlog = Backlog[Said]()
    most = b"x" * MAX_PAYLOAD_BYTES
    dropped = [one.n for n in range(200) for one in backlog.put(Said(n, most))]
    assert len(backlog) == MAX_WAITING_BYTES // MAX_PAYLOAD_BYTES
    assert dropped == list(range(200 - len(backlog)))
    while backlog:
        backlog.take()
    assert backlog.put(Said(0, most)) == []
