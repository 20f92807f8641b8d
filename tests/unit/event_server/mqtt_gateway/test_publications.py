"""Which message follows from which record of the log."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from client_sdk.contract.channel import parse_channel
from event_server.mqtt_gateway.rules.publications import (
    Changed,
    Publication,
    accepted_of,
    documents_of,
    mark_of,
    orders_of,
    publication_of,
    ring_of,
    with_epoch,
)
from server_common.devices.messages import Outbound, PrintAnswer, Ring
from server_common.kafka_records.events import OrderRecord

EPOCH = "01EPOCH"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def a_record(kind: str, **lines: Any) -> OrderRecord:
    ids = tuple(lines)
    return OrderRecord(
        EPOCH,
        kind,
        "2026-11-22T12:00:00Z",
        ids,
        tuple(json.dumps(lines[one]).encode() for one in ids),
    )


def changed(channel: str, key: str, value: Any, version: int = 3) -> Changed:
    return Changed(EPOCH, parse_channel(channel), key, version, value)


def said(publication: Publication | None) -> Any:
    assert publication is not None
    return json.loads(publication.payload)


def test_an_order_event_goes_to_its_store_and_to_its_table_as_the_log_has_it() -> None:
    record = a_record(
        "order.placed",
        **{"store:12@4": {"id": "store:12@4"}, "table:12/5@2": {"id": "table:12/5@2"}},
    )
    first, second = orders_of(record)
    assert (first.topic, second.topic) == ("yabam/v1/12/orders", "yabam/v1/12/tables/5/orders")
    assert said(first) == {"epoch": EPOCH, "id": "store:12@4"}
    assert not first.retain


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        (b'{"a":1}', {"epoch": EPOCH, "a": 1}),
        (b"{}", {"epoch": EPOCH}),
        (b' { "a":1}', {"epoch": EPOCH, "a": 1}),
    ],
)
def test_the_epoch_stands_in_front_of_the_event(line: bytes, whole: Any) -> None:
    assert json.loads(with_epoch(line, EPOCH)) == whole


def test_documents_of_public_and_device_channels_are_published_and_no_others() -> None:
    line = {"id": "x", "key": "k", "version": 1, "data": {"a": 1}}
    ids = ["public:12@1", "device:12/lamp@1", "team:12@1", "party:12/5@1", "brand:b@1", "global@1"]
    found = list(documents_of(a_record("document.changed", **dict.fromkeys(ids, line))))
    assert [str(one.channel) for one in found] == ["public:12", "device:12/lamp"]


def test_an_order_event_changes_no_document() -> None:
    assert list(documents_of(a_record("order.placed", **{"public:12@1": {}}))) == []


def test_a_value_that_the_log_left_out_is_told_apart_from_a_deleted_document() -> None:
    left_out = {"id": "x", "key": "k", "version": 1}
    deleted = left_out | {"data": None}
    one, two = documents_of(
        a_record("document.changed", **{"public:1@1": left_out, "public:1@2": deleted})
    )
    assert one.value is UNSET
    assert two.value is None


def test_a_public_document_is_kept_by_the_broker_with_epoch_and_version() -> None:
    publication = publication_of(changed("public:12", "sold-out", {"tea": True}), NOW)
    assert publication is not None
    assert (publication.topic, publication.retain) == ("yabam/v1/12/state/sold-out", True)
    assert said(publication) == {
        "type": "state", "epoch": EPOCH, "key": "sold-out", "version": 3, "value": {"tea": True},
    }  # fmt: skip


def test_a_command_that_waits_goes_to_its_device() -> None:
    value = {
        "name": "blink", "arguments": {"times": 3}, "state": "sent",
        "expires_at": "2026-11-22T12:00:30Z",
    }  # fmt: skip
    publication = publication_of(changed("device:12/lamp", "command.7", value), NOW)
    assert publication is not None
    assert (publication.topic, publication.retain) == ("yabam/v1/12/devices/lamp/commands", False)
    assert said(publication) == {
        "type": "command", "epoch": EPOCH, "id": "7", "name": "blink", "arguments": {"times": 3},
        "expires_at": "2026-11-22T12:00:30Z",
    }  # fmt: skip


@pytest.mark.parametrize("state", ["done", "failed", "expired"])
def test_a_command_that_is_over_is_not_sent(state: str) -> None:
    value = {"name": "blink", "state": state}
    assert publication_of(changed("device:12/lamp", "command.7", value), NOW) is None


def test_a_command_whose_time_is_over_is_not_sent() -> None:
    value = {"name": "blink", "state": "sent", "expires_at": "2026-11-22T12:00:00Z"}
    assert publication_of(changed("device:12/lamp", "command.7", value), NOW) is None


@pytest.mark.parametrize("state", ["queued", "sent", "doubtful"])
def test_a_print_job_is_a_command_with_the_job_as_its_arguments(state: str) -> None:
    value = {"state": state, "copy": 1}
    told = said(publication_of(changed("device:12/kitchen", "print.o1-1", value), NOW))
    assert (told["name"], told["id"], told["arguments"]) == ("print", "o1-1", value)


@pytest.mark.parametrize(
    "value",
    [{"state": "done"}, {"state": "failed"}, {"state": "doubtful", "waits": True}],
)
def test_a_print_job_that_is_over_or_waits_for_a_person_is_not_sent(value: Any) -> None:
    assert publication_of(changed("device:12/kitchen", "print.1", value), NOW) is None


def test_a_star_printer_is_called_as_its_vendors_guide_says() -> None:
    publication = ring_of(Ring("12", "star-1", "00:11:62:1d:9a:b7"), NOW)
    assert publication is not None
    assert publication.topic == "star/cloudprnt/to-device/00:11:62:1d:9a:b7/request-post"
    assert json.loads(publication.payload) == {"title": "request-post"}
    assert not publication.retain
    assert publication.expires_s is None


def test_a_star_printers_job_is_kept_for_it_no_longer_than_it_counts() -> None:
    fields = {"jobToken": "a.1", "printData": "x"}
    until_ms = int(NOW.timestamp() * 1000) + 20_000
    ring = Ring("12", "star-1", "00:11:62:1d:9a:b7", "print-job", fields, until_ms)
    publication = ring_of(ring, NOW + timedelta(seconds=5))
    assert publication is not None
    assert publication.topic == "star/cloudprnt/to-device/00:11:62:1d:9a:b7/print-job"
    assert json.loads(publication.payload) == {"title": "print-job", **fields}
    assert publication.expires_s == 15
    assert ring_of(ring, NOW + timedelta(seconds=20)) is None


def test_a_printer_is_told_how_its_job_stands() -> None:
    message = Outbound("12", "kitchen", 5, 7, "applied", None, PrintAnswer("sent", 2, repeat=True))
    told = said(accepted_of(message, EPOCH))
    assert told["job"] == {"state": "sent", "attempts": 2, "repeat": True}


@pytest.mark.parametrize("value", [None, 7, {"state": 7}, {"state": "sent", "expires_at": "soon"}])
def test_a_command_that_core_would_not_make_is_passed_over(value: Any) -> None:
    assert publication_of(changed("device:12/lamp", "command.7", value), NOW) is None


def test_a_devices_other_documents_are_not_sent_to_it() -> None:
    assert publication_of(changed("device:12/lamp", "telemetry", {"a": 1}), NOW) is None


def test_the_kept_status_of_a_device_that_was_removed_is_cleared() -> None:
    publication = publication_of(changed("device:12/lamp", "status", None), NOW)
    assert publication == Publication("yabam/v1/12/devices/lamp/status", b"", True)


def test_a_receipt_names_the_message_and_what_became_of_it() -> None:
    publication = accepted_of(Outbound("12", "bell", 5, 7, "refused", "invalid"), EPOCH)
    assert publication.topic == "yabam/v1/12/devices/bell/accepted"
    assert said(publication) == {
        "type": "accepted", "epoch": EPOCH, "boot": 5, "n": 7, "outcome": "refused",
        "problem": "invalid",
    }  # fmt: skip


def test_a_mark_says_how_far_the_channels_of_a_store_are() -> None:
    publication = mark_of("12", EPOCH, 1.5, {"store:12": 4})
    assert publication.topic == "yabam/v1/12/marks"
    assert said(publication) == {
        "type": "marks", "epoch": EPOCH, "watermark": 1.5, "heads": {"store:12": 4},
    }  # fmt: skip


def test_an_event_that_is_no_document_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        list(documents_of(a_record("document.changed", **{"public:1@1": []})))
