"""`POST /v1/edits`: what is read, what is refused alone, and what spoils the whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from client_sdk.contract.limits import MAX_EDIT_BYTES, MAX_EDITS
from client_sdk.contract.state.edit import (
    Conflict,
    Edit,
    EditBatch,
    EditOutcome,
    OwnEdit,
    UnreadableEdit,
    decode_edits,
    decode_outcome,
    edit_fingerprint,
    encode_edit,
)
from client_sdk.contract.state.operations import Merge, Set

FULL = Edit(
    n=7,
    channel="party:12/5",
    key="cart",
    do=Merge({"lines": {"a7": {"quantity": 2}}}),
    base=OwnEdit(6),
    schema=3,
    made_at=datetime(2026, 11, 21, 3, 0, tzinfo=UTC),
    metadata={"page": "menu"},
    seen={"/lines/a7/quantity": 1},
    base_value=None,
)


def wire(n: int = 1, **more: Any) -> dict[str, Any]:
    edit = {"n": n, "channel": "party:12/5", "key": "cart", "base": 0, "do": {"set": {}}}
    return edit | more


def batch(*edits: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"client": "c-1", "edits": list(edits)} | more).encode()


def only(edit: dict[str, Any]) -> Edit | UnreadableEdit:
    return decode_edits(batch(edit)).edits[0]


def test_a_batch_that_is_written_reads_as_itself() -> None:
    first = replace(FULL, n=1, base=3)
    edits = [json.loads(encode_edit(one)) for one in (first, FULL)]
    whole = EditBatch("c-1", [first, FULL], atomic=True, answered=5)
    assert decode_edits(batch(*edits, atomic=True, answered=5)) == whole


def test_an_edit_needs_only_number_channel_key_and_what_it_does() -> None:
    edit = {"n": 1, "channel": "global", "key": "notice", "do": {"set": {"text": "x"}}}
    assert only(edit) == Edit(n=1, channel="global", key="notice", do=Set({"text": "x"}))


def test_keys_that_a_reader_does_not_know_are_left_alone() -> None:
    assert only(wire(newer=1)) == only(wire())


@pytest.mark.parametrize(
    "edit",
    [
        wire(do={"swap": 1}),
        wire(do=None),
        wire(key="a b"),
        wire(key="x" * 65),
        wire(key=""),
        wire(base=-1),
        wire(base="3"),
        wire(2, base={"n": 2}),
        wire(base={"n": 0}),
        wire(schema=0),
        wire(made_at="2026-11-21T03:00:00"),
        wire(made_at="yesterday"),
        wire(seen={"a": 1}),
        wire(seen={"/a": 0.5}),
        wire(metadata={"a": 0.5}),
        wire(metadata=[1]),
        wire(base_value={"a": 0.5}),
        {"n": 1, "key": "cart", "base": 0, "do": {"set": {}}},
    ],
    ids=str,
)
def test_an_edit_that_cannot_be_read_keeps_its_number_and_spoils_no_other(
    edit: dict[str, Any],
) -> None:
    read = decode_edits(batch(edit, wire(9))).edits
    assert isinstance(read[0], UnreadableEdit)
    assert (read[0].n, read[0].slug) == (edit["n"], "invalid")
    assert isinstance(read[1], Edit)


def test_a_value_that_no_document_may_hold_is_refused_with_its_pointer() -> None:
    read = only(wire(do={"set": {"a": {"b": 0.5}}}))
    assert isinstance(read, UnreadableEdit)
    assert read.pointer == "/a/b"


@pytest.mark.parametrize("more", [0, 1])
def test_an_edit_may_have_64_kib_with_what_its_client_saw(more: int) -> None:
    short = len(json.dumps(wire(seen={"/a": ""})))
    read = only(wire(seen={"/a": "x" * (MAX_EDIT_BYTES - short + more)}))
    assert isinstance(read, UnreadableEdit) == bool(more)
    assert not more or read.slug == "too-large"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        batch(wire(), client="a b"),
        batch(wire(), client=None),
        batch({"channel": "global"}),
        batch(wire(0)),
        batch(wire(2), wire(2)),
        batch(wire(2), wire(1)),
        batch(*(wire(n + 1) for n in range(MAX_EDITS + 1))),
        batch(wire(), answered=-1),
        batch(wire(), atomic=1),
    ],
    ids=lambda body: str(body[:40]),
)
def test_a_body_without_client_or_numbers_that_go_up_is_refused_whole(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_edits(body)


def test_as_many_edits_as_may_be_are_read() -> None:
    assert len(decode_edits(batch(*(wire(n + 1) for n in range(MAX_EDITS)))).edits) == MAX_EDITS


def test_the_same_edit_has_the_same_fingerprint_however_it_is_written() -> None:
    one = only(wire(do={"set": {"a": 1, "b": 2}}))
    other = decode_edits(json.dumps(json.loads(batch(wire(do={"set": {"b": 2, "a": 1}}))),
                                    indent=3).encode()).edits[0]  # fmt: skip
    assert isinstance(one, Edit)
    assert isinstance(other, Edit)
    assert edit_fingerprint(one) == edit_fingerprint(other)


@pytest.mark.parametrize(
    "change",
    [
        {"n": 8},
        {"channel": "party:12/6"},
        {"key": "bell"},
        {"do": Set({})},
        {"base": 6},
        {"schema": 2},
        {"made_at": None},
        {"metadata": None},
        {"seen": {}},
        {"base_value": {}},
    ],
    ids=str,
)
def test_whatever_differs_in_an_edit_makes_another_fingerprint(change: dict[str, Any]) -> None:
    assert edit_fingerprint(replace(FULL, **change)) != edit_fingerprint(FULL)


def test_an_outcome_that_is_written_reads_as_itself() -> None:
    outcome = EditOutcome(
        3, "refused", 7, None, "ask", ["/a"], True, pointer="/a", conflict=Conflict(7, None)
    )
    assert decode_outcome(msgspec.json.encode(outcome)) == outcome
