"""Documents and their events, as they are read."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from client_sdk.contract.state.digest import document_hash
from client_sdk.contract.state.document import (
    EditName,
    decode_document,
    decode_document_event,
)

DOCUMENT = {
    "channel": "public:12",
    "key": "sold-out",
    "version": 4,
    "schema": 1,
    "updated_at": "2026-11-21T03:00:00Z",
    "by": "owner-12",
    "value": {"items": {}},
}
EVENT = {
    "id": "public:12@9",
    "seq": 9,
    "type": "document.changed",
    "occurred_at": "2026-11-21T03:00:00Z",
    "key": "sold-out",
    "version": 4,
    "operation": "update",
    "schema": 1,
    "by": "owner-12",
    "base": 3,
    "edit": {"client": "c-1", "n": 7},
    "settled": "merge",
    "metadata": {"page": "kitchen"},
    "diff": [{"op": "remove", "path": "/items/kimbap"}],
    "data": {"items": {}},
}


def test_a_document_is_read_with_its_value_and_hash() -> None:
    document = decode_document(json.dumps(DOCUMENT | {"newer": 1}))
    assert document.value == {"items": {}}
    assert document.content == document_hash("sold-out", 4, {"items": {}})


def test_a_deleted_document_has_null_and_adds_nothing() -> None:
    assert decode_document(json.dumps(DOCUMENT | {"value": None})).content == 0


def test_a_large_document_comes_without_its_value_and_its_hash_is_unknown() -> None:
    large = {name: part for name, part in DOCUMENT.items() if name != "value"}
    document = decode_document(json.dumps(large))
    assert document.value is UNSET
    assert document.content is None


def test_an_event_tells_who_changed_what() -> None:
    event = decode_document_event(json.dumps(EVENT))
    assert (event.channel, event.edit, event.data) == (
        "public:12",
        EditName("c-1", 7),
        {"items": {}},
    )


def test_an_event_of_a_large_document_has_neither_value_nor_diff() -> None:
    small = {name: part for name, part in EVENT.items() if name not in ("data", "diff")}
    event = decode_document_event(json.dumps(small))
    assert event.data is UNSET
    assert event.diff is UNSET


@pytest.mark.parametrize("change", [{"seq": -1}, {"version": "4"}, {"data": [1]}, {"diff": {}}])
def test_what_is_no_event_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_document_event(json.dumps(EVENT | change))
