"""The signs of a restore: another identity, and what was published but is not there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core_api.restore.detection import (
    EventIdentity,
    LastPublished,
    Lineage,
    StoredLineage,
    newest_of,
    signs,
)
from server_common.kafka_records.events import OrderRecord

HERE = Lineage("E2", "7/1/5", "7/1/5")
PUBLISHED = {"store:1": LastPublished(9, EventIdentity("a", 3))}


def record(seq: int, version: int, epoch: str = "E2") -> OrderRecord:
    line = b'{"seq":%d,"order_id":"a","order_version":%d,"data":{}}' % (seq, version)
    ids = (f"store:1@{seq}", f"table:1/2@{seq - 5}")
    return OrderRecord(epoch, "order.changed", "now", ids, (line, line))


def test_the_newest_event_of_each_channel_counts_whatever_the_order_of_the_records() -> None:
    newest = newest_of([record(8, 2), record(9, 3), record(7, 1)], "E2")
    assert newest == {
        "store:1": LastPublished(9, EventIdentity("a", 3)),
        "table:1/2": LastPublished(4, EventIdentity("a", 3)),
    }


def test_what_was_published_in_another_epoch_says_nothing() -> None:
    assert newest_of([record(9, 3, "E1")], "E2") == {}


@pytest.mark.parametrize(
    "stored",
    [
        StoredLineage(9, 0, EventIdentity("a", 3)),
        StoredLineage(12, 0, EventIdentity("a", 3)),
        StoredLineage(12, 10, None),
    ],
    ids=["at the head", "before it", "trimmed by now"],
)
def test_a_database_that_has_what_was_published_shows_no_sign(stored: StoredLineage) -> None:
    assert list(signs(HERE, 0, PUBLISHED, {"store:1": stored})) == []


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (StoredLineage(8, 0, None), "the head is 8"),
        (StoredLineage(0, 0, None), "the head is 0"),
        (StoredLineage(9, 0, EventIdentity("b", 3)), "version 3 of b"),
        (StoredLineage(20, 0, EventIdentity("a", 2)), "version 2 of a"),
    ],
    ids=["behind", "empty", "another order", "another version"],
)
def test_a_database_that_lacks_it_or_has_it_otherwise_does(
    stored: StoredLineage, said: str
) -> None:
    (sign,) = signs(HERE, 0, PUBLISHED, {"store:1": stored})
    assert said in sign


AT = datetime(2026, 11, 1, 12, 0, 0, 5, tzinfo=UTC)


def of_document(seq: int, at: str = "2026-11-01T12:00:00.000005Z") -> OrderRecord:
    line = b'{"seq":%d,"key":"menu","version":2,"occurred_at":"%s","data":{}}' % (seq, at.encode())
    return OrderRecord("E2", "document.changed", "now", (f"public:1@{seq}",), (line,))


def test_a_document_that_the_database_has_shows_no_sign() -> None:
    newest = newest_of([of_document(4)], "E2")
    stored = {"public:1": StoredLineage(9, 0, EventIdentity("menu", 2, AT))}
    assert newest == {"public:1": LastPublished(4, EventIdentity("menu", 2, AT))}
    assert list(signs(HERE, 0, newest, stored)) == []


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (StoredLineage(3, 0, None), "the head is 3"),
        (StoredLineage(9, 0, EventIdentity("menu", 3, AT)), "version 3 of menu"),
        (StoredLineage(9, 0, EventIdentity("bell", 2, AT)), "version 2 of bell"),
        (
            StoredLineage(9, 0, EventIdentity("menu", 2, AT + timedelta(microseconds=1))),
            "12:00:00.000006",
        ),
    ],
    ids=["behind", "another version", "another document", "settled at another time"],
)
def test_a_database_that_lacks_a_document_or_has_another_does(
    stored: StoredLineage, said: str
) -> None:
    (sign,) = signs(HERE, 0, newest_of([of_document(4)], "E2"), {"public:1": stored})
    assert said in sign


def test_an_epoch_that_began_in_another_database_is_a_sign() -> None:
    (sign,) = signs(Lineage("E2", "7/1/5", "7/1/6"), 0, {}, {})
    assert "7/1/5" in sign
    assert list(signs(Lineage("E2", None, "7/1/6"), 0, {}, {})) == [], "not known is no sign"


def test_what_is_malformed_in_the_topic_counts_as_not_there() -> None:
    bad = [
        OrderRecord("E2", "x", "now", ("nonsense",), (b"{}",)),
        OrderRecord("E2", "x", "now", ("store:7@1",), (b"\xff{",)),
        OrderRecord("E2", "x", "now", ("store:8@1",), (b'{"data":1}',)),
    ]
    assert newest_of([*bad, record(9, 3)], "E2").keys() == {"store:1", "table:1/2"}
