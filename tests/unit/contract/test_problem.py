"""Problems: one form for every refusal, read back whole; what is none is not taken for one."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.order import decode_event
from client_sdk.contract.problem import TITLES, decode_problem, encode_problem, problem
from client_sdk.contract.sync import decode_sync


@given(
    st.sampled_from(sorted(TITLES)), st.text(), st.none() | st.floats(0, 1e6), st.none() | st.text()
)
def test_a_problem_is_read_back_as_it_was_written(
    slug: str, detail: str, retry_after: float | None, url: str | None
) -> None:
    made = problem(slug, detail, retry_after=retry_after, url=url)
    read = decode_problem(encode_problem(made))
    assert read == made
    assert read is not None
    assert (read.slug, read.status) == (slug, TITLES[slug][0])


def test_a_problem_carries_the_order_as_the_bytes_that_it_was_given() -> None:
    body = json.loads(encode_problem(problem("stale-version", "x", order=b'{"id": "a"}')))
    assert body["order"] == {"id": "a"}
    assert body["type"] == "urn:yabam:problem:stale-version"


@pytest.mark.parametrize("slug", TITLES)
def test_an_order_in_a_problem_is_read_back_byte_for_byte(slug: str) -> None:
    body = b'{"id": "a", "items": [], "more": {"deep": null}}'
    read = decode_problem(encode_problem(problem(slug, "x", order=body, retry_after=1.5)))
    assert read is not None
    assert isinstance(read.order, msgspec.Raw)
    assert bytes(read.order) == body
    assert (read.slug, read.retry_after) == (slug, 1.5)


def test_a_problem_has_no_key_that_says_nothing() -> None:
    assert set(json.loads(encode_problem(problem("forbidden", "no")))) == {
        "type", "title", "status", "detail",
    }  # fmt: skip


def test_every_problem_has_a_status_that_http_knows_and_a_title_of_its_own() -> None:
    for status, title in TITLES.values():
        assert 400 <= HTTPStatus(status) < 600
        assert title
    assert len({title for _, title in TITLES.values()}) == len(TITLES)


def test_the_protocol_page_lists_exactly_these_problems_with_these_statuses() -> None:
    page = Path(__file__).parents[3] / "docs" / "protocol.md"
    table = page.read_text(encoding="utf-8").partition("## Errors")[2].partition("\n## ")[0]
    listed: dict[str, int] = {}
    for slugs, statuses in re.findall(r"^\| (`.+?) \| ([0-9, ]+) \|", table, re.MULTILINE):
        names, numbers = re.findall(r"`([^`]+)`", slugs), re.findall(r"\d+", statuses)
        numbers = numbers * len(names) if len(numbers) == 1 else numbers
        listed |= dict(zip(names, map(int, numbers), strict=True))
    assert listed == {slug: status for slug, (status, _) in TITLES.items()}


def test_a_problem_that_stands_not_in_the_table_cannot_be_made() -> None:
    with pytest.raises(KeyError):
        problem("teapot", "short and stout")


MALFORMED = [
    b"", b"null", b"[]", b"{}", b"<html>502 Bad Gateway</html>", b'"text"', b"\xff\xfe",
    b'{"type":"a","title":"b"}', b'{"type":1,"title":"b","status":404}',
    b'{"type":"\xff","title":"b","status":404}', b'{"type":"\\ud800","title":"b","status":404}',
    b'{"type":"a","title":"b","status":404', b"[" * 100_000, b'{"more":' + b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: ascii(body)[:30])
def test_a_body_that_is_no_problem_is_not_taken_for_one(body: bytes) -> None:
    assert decode_problem(body) is None


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: ascii(body)[:30])
def test_a_malformed_answer_or_event_is_told_by_one_kind_of_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_sync(body)
    with pytest.raises(msgspec.DecodeError):
        decode_event(body)


def test_a_problem_with_keys_that_we_do_not_know_is_read() -> None:
    read = decode_problem(b'{"type":"about:blank","title":"x","status":418,"instance":"/a"}')
    assert read is not None
    assert read.slug == "about:blank"
