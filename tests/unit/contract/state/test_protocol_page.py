"""What docs/protocol.md shows of documents is what the code does."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
import pytest

from client_sdk.contract.digest import canonical, format_content_digest
from client_sdk.contract.limits import (
    MAX_EDIT_BYTES,
    MAX_EDITS,
    MAX_EDITS_BODY_BYTES,
    MAX_SHOWN_VALUE_BYTES,
    MAX_VALUE_BYTES,
    MAX_VALUE_DEPTH,
)
from client_sdk.contract.state.digest import document_hash
from client_sdk.contract.state.document import DocumentEvent, decode_document_event
from client_sdk.contract.state.edit import Edit, EditOutcome, Outcome, decode_edits, decode_outcome
from client_sdk.contract.state.patch import apply_patch

PAGE: Final = (Path(__file__).parents[4] / "docs" / "protocol.md").read_text(encoding="utf-8")
DOCUMENTS: Final = PAGE.partition("\n## Documents\n")[2].partition("\n## ")[0]
BLOCKS: Final = [json.loads(block) for block in re.findall(r"```json\n(.+?)```", DOCUMENTS, re.S)]


def _section(heading: str) -> str:
    return DOCUMENTS.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]


def _rows(text: str) -> set[str]:
    """The names in the first column of the tables."""
    cells = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w[\w-]*)`", cell)}


def test_the_worked_example_of_the_digest_is_right() -> None:
    section = _section("The digest")
    documents = re.findall(r"^(\w+) (\d+) (\{.+\})$", section, re.MULTILINE)
    hashes = [sha256(canonical(json.loads(value))).hexdigest() for _, _, value in documents]
    added = [document_hash(key, int(at), json.loads(value)) for key, at, value in documents]
    digest = format_content_digest(added[0] ^ added[1])
    expected = [*hashes, *map(format_content_digest, added), digest]
    assert re.findall(r"`([0-9a-f]{32,64})`", section) == expected


def test_the_event_that_is_shown_can_be_read_and_its_diff_makes_its_value() -> None:
    event = decode_document_event(json.dumps(BLOCKS[0]))
    before = {"items": {"bibimbap": {"name": "Bibimbap"}}}
    assert apply_patch(before, event.diff) == event.data  # type: ignore[arg-type]


def test_each_field_of_an_event_is_told() -> None:
    told = _rows(_section("Events and snapshots"))
    of_every_event = {"id", "seq", "type", "occurred_at", "key"}
    assert told == set(DocumentEvent.__struct_fields__) - of_every_event


def test_the_body_that_is_shown_can_be_read() -> None:
    batch = decode_edits(json.dumps(BLOCKS[1]))
    assert [type(edit) for edit in batch.edits] == [Edit, Edit]


def test_each_field_of_an_edit_and_each_outcome_is_told() -> None:
    told = _rows(_section("`POST /v1/edits`"))
    fields = set(Edit.__struct_fields__) - {"channel", "key"}
    assert fields | set(get_args(Outcome)) <= told


def test_the_answer_that_is_shown_can_be_read() -> None:
    outcomes = [decode_outcome(msgspec.json.encode(one)) for one in BLOCKS[2]["outcomes"]]
    assert [type(one) for one in outcomes] == [EditOutcome, EditOutcome]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("at most 1 MiB and", MAX_EDITS_BODY_BYTES / 1024**2),
        ("and 100 edits", MAX_EDITS),
        ("an edit 64 KiB", MAX_EDIT_BYTES / 1024),
        ("a value 256 KiB", MAX_VALUE_BYTES / 1024),
        ("and 32 levels", MAX_VALUE_DEPTH),
        ("more than 16 KiB", MAX_SHOWN_VALUE_BYTES / 1024),
    ],
)
def test_each_limit_is_told_as_it_is(text: str, limit: Any) -> None:
    assert text in DOCUMENTS
    assert re.findall(r"\d+", text) == [str(int(limit))]
