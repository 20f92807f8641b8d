"""Snapshots that come in pages: whole before they are applied, or not at all."""

from __future__ import annotations

import msgspec
import pytest

from client_sdk.contract.limits import MAX_ANEW, MAX_EMPTY_PAGES, MAX_PAGED_SYNC_BYTES
from client_sdk.contract.sync import ChannelSync, Snapshot, SyncResponse
from client_sdk.machine.snapshot_pages import Assembly
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


def assembled(first: SyncResponse, *pages: SyncResponse) -> Assembly:
    whole = Assembly(first, 1)
    for one in pages:
        whole.add(one, 1)
    return whole


def test_an_answer_without_pages_is_whole_and_the_answer_itself() -> None:
    answer = page("a", reset=True)
    assert assembled(answer).next is None
    assert assembled(answer).answer is answer


def test_pages_are_joined_at_the_head_of_the_first_and_lead_to_another_sync() -> None:
    whole = assembled(page("a", "b", following="p1", reset=True))
    assert whole.next == "p1"
    whole.add(page("c", following="p2", newest=9), 1)
    assert whole.next == "p2"
    whole.add(page("d", newest=9), 1)
    assert whole.next is None
    answer = only(whole.answer)
    assert answer.snapshot is not None
    assert [o.id for o in answer.snapshot.orders] == ["a", "b", "c", "d"]
    assert (answer.reset, answer.snapshot.head, answer.head) == ("first_sync", 7, 9)
    assert whole.answer.has_more, "the events after it, and the ticket, are still to be had"


def test_the_first_answer_stays_as_it_came() -> None:
    first = page("a", following="p1", reset=True)
    assembled(first, page("b", following="p2"), page("c"))
    assert first == page("a", following="p1", reset=True)


def test_the_digest_is_that_of_the_last_page_which_is_not_at_the_snapshots_head() -> None:
    """What changed between the pages is missing: the first page's digest would not match."""
    last = page("b", newest=9)
    last = msgspec.structs.replace(
        last, channels=[msgspec.structs.replace(only(last), digest="f" * 16)]
    )
    joined = only(assembled(page("a", following="p1", reset=True), last).answer)
    assert (joined.digest, joined.head) == ("f" * 16, 9)


def test_an_answer_that_starts_anew_takes_the_place_of_the_pages_before() -> None:
    anew = page("x", head=9, following="q1", reset=True, newest=9)
    whole = assembled(page("a", following="p1", reset=True), page("b", following="p2"), anew)
    assert whole.next == "q1"
    assert only(whole.answer).snapshot == only(anew).snapshot


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
        assembled(page("a", following="p1", reset=True), further)


def test_a_page_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(ValueError, match="whole"):
        assembled(page("a", reset=True), page("b"))


def test_pages_that_lead_back_to_an_earlier_one_are_refused() -> None:
    whole = assembled(page("a", following="p1", reset=True), page("b", following="p2"))
    with pytest.raises(ValueError, match="come to an end"):
        whole.add(page("c", following="p1"), 1)


def test_pages_that_start_anew_again_and_again_are_refused() -> None:
    whole = assembled(page("a", following="p", reset=True))
    for n in range(MAX_ANEW):
        whole.add(page("x", head=9, following=f"p{n}", reset=True, newest=9), 1)
    with pytest.raises(ValueError, match="again and again"):
        whole.add(page("x", head=9, following="q", reset=True, newest=9), 1)


def test_pages_that_bring_nothing_are_refused() -> None:
    whole = assembled(page("a", following="p", reset=True))
    for n in range(MAX_EMPTY_PAGES):
        whole.add(page(following=f"p{n}"), 1)
    with pytest.raises(ValueError, match="bring nothing"):
        whole.add(page(following="q"), 1)


def test_all_pages_together_have_a_limit_in_bytes() -> None:
    whole = Assembly(page("a", following="p", reset=True), MAX_PAGED_SYNC_BYTES - 1)
    whole.add(page("b", following="q"), 1)
    with pytest.raises(ValueError, match="in all"):
        whole.add(page("c"), 1)


def test_the_pages_of_two_channels_are_asked_for_one_after_the_other() -> None:
    first = sync_response(
        *(
            channel_sync(
                channel=name, reset="first_sync", snapshot=Snapshot(7, [order(name)], name)
            )
            for name in ("store:1", "store:2")
        )
    )
    whole = Assembly(first, 1)
    for name in ("store:1", "store:2"):
        assert whole.next == name
        more = channel_sync(channel=name, snapshot=Snapshot(7, [order(f"{name} more")]))
        whole.add(sync_response(more), 1)
    assert whole.next is None
    shown = [[one.id for one in c.snapshot.orders] for c in whole.answer.channels if c.snapshot]
    assert shown == [["store:1", "store:1 more"], ["store:2", "store:2 more"]]
