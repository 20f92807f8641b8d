"""Snapshots that come in pages: whole before they are applied, or not at all."""

from __future__ import annotations

import msgspec
import pytest

from client_sdk.contract.sync import ChannelSync, Snapshot, SyncResponse
from client_sdk.paging import next_page, with_page
from tests.unit.client_sdk.samples import channel_sync, order, sync_response


def page(
    *ids: str, head: int = 7, following: str | None = None, reset: bool = False, newest: int = 7
) -> SyncResponse:
    snapshot = Snapshot(head, [order(name) for name in ids], following)
    answer = channel_sync(reset="first_sync" if reset else None, snapshot=snapshot)
    answer = msgspec.structs.replace(answer, head=newest)
    return msgspec.structs.replace(sync_response(answer), has_more=following is not None)


def only(response: SyncResponse) -> ChannelSync:
    (answer,) = response.channels
    return answer


def test_an_answer_without_pages_is_whole() -> None:
    assert next_page(page("a", reset=True)) is None


def test_pages_are_joined_at_the_head_of_the_first_and_lead_to_another_sync() -> None:
    first = page("a", "b", following="p1", reset=True)
    assert next_page(first) == "p1"
    second = with_page(first, "p1", page("c", following="p2", newest=9))
    assert next_page(second) == "p2"
    whole = with_page(second, "p2", page("d", newest=9))
    assert next_page(whole) is None
    answer = only(whole)
    assert answer.snapshot is not None
    assert [o.id for o in answer.snapshot.orders] == ["a", "b", "c", "d"]
    assert (answer.reset, answer.snapshot.head, answer.head) == ("first_sync", 7, 9)
    assert whole.has_more, "the events after the snapshot, and the ticket, are still to be had"


def test_the_digest_is_that_of_the_last_page_which_is_not_at_the_snapshots_head() -> None:
    """What changed between the pages is missing: the first page's digest would not match."""
    first = page("a", following="p1", reset=True)
    last = page("b", newest=9)
    last = msgspec.structs.replace(
        last, channels=[msgspec.structs.replace(only(last), digest="f" * 16)]
    )
    joined = only(with_page(first, "p1", last))
    assert (joined.digest, joined.head) == ("f" * 16, 9)


def test_an_answer_that_starts_anew_takes_the_place_of_the_pages_before() -> None:
    first = page("a", following="p1", reset=True)
    anew = page("x", head=9, following="q1", reset=True, newest=9)
    joined = with_page(first, "p1", anew)
    assert next_page(joined) == "q1"
    assert only(joined).snapshot == only(anew).snapshot


@pytest.mark.parametrize(
    "further",
    [
        msgspec.structs.replace(page("b"), epoch="later"),
        page("b", head=8),
        page("b", following="p1"),
        sync_response(channel_sync(channel="store:13", snapshot=Snapshot(7, []))),
        sync_response(channel_sync()),
        sync_response(),
    ],
    ids=["epoch", "head", "no progress", "channel", "no snapshot", "nothing"],
)
def test_what_does_not_belong_together_is_refused(further: SyncResponse) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        with_page(page("a", following="p1", reset=True), "p1", further)


def test_a_page_of_another_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="another answer"):
        with_page(page("a", following="p1", reset=True), "p2", page("b"))
