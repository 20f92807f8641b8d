"""Fetch Sync's rules: what a request means, when a client starts anew, what the answer says."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.channel import MAX_SEQ, Channel
from client_sdk.contract.cursor import MAX_CHANNELS, parse_cursor
from client_sdk.contract.sync import StreamGrant, decode_sync
from core_api.errors import BadRequestError, InvalidError
from core_api.orders.channel_entries import log_write_of
from core_api.orders.lifecycle import OrderChange
from core_api.sync.events_or_reset import (
    encode_answer,
    has_more,
    is_news,
    page_of,
    reset_reason,
    snapshot_of,
)
from core_api.sync.queries import Moment, OpenOrders, Page, PageQuery
from core_api.sync.request import (
    DEFAULT_LIMIT,
    SyncBody,
    SyncRequest,
    parse_sync,
    request_of,
)
from server_common.limits import GATHERED_ANSWER_BYTES
from tests.unit.core_api.samples import order

STORE, TABLE = Channel("store", "12"), Channel("table", "12", "5")
MOMENT = Moment("E1", 1763694038.624)
ROWS = log_write_of(OrderChange("order.placed", None, order()), None)
BODY = ROWS.entries[0].body
OWNER_VIEW = ROWS.owner_view


def asked(*parameters: tuple[str, str]) -> SyncRequest:
    return parse_sync(parameters)


def test_a_channel_without_last_event_id_starts_anew() -> None:
    assert asked(("channel", "store:12")) == SyncRequest({STORE: None}, None, DEFAULT_LIMIT, 0.0)


@pytest.mark.parametrize(
    "parameters",
    [
        [("channel", "store:12"), ("lastEventId", "482")],
        [("channel", "store:12"), ("lastEventId", "store:12@482")],
        [("lastEventId", "store:12@482")],
        [("lastEventId", ""), ("lastEventId", "store:12@482")],
        [("channel", "store:12"), ("lastEventId", "482"), ("lastEventId", "")],
        [("channel", "store:12"), ("lastEventId", "00482")],
    ],
    ids=str,
)
def test_each_form_of_last_event_id_means_the_same(parameters: list[tuple[str, str]]) -> None:
    assert parse_sync(parameters).after == {STORE: 482}


def test_several_channels_take_a_cursor_or_several_event_ids() -> None:
    expected = {STORE: 482, TABLE: 7}
    assert asked(("lastEventId", "store:12@482,table:12/5@7")).after == expected
    assert asked(("lastEventId", "store:12@482"), ("lastEventId", "table:12/5@7")).after == expected
    partly = asked(
        ("channel", "store:12"), ("channel", "table:12/5"), ("lastEventId", "table:12/5@7")
    )
    assert partly.after == {STORE: None, TABLE: 7}


def test_epoch_limit_and_wait_are_read() -> None:
    request = asked(("channel", "store:12"), ("epoch", "E1"), ("limit", "1000"), ("wait", "25"))
    assert (request.epoch, request.limit, request.wait_s) == ("E1", 1000, 25.0)
    assert asked(("channel", "store:12"), ("epoch", "")).epoch is None
    assert asked(("channel", "store:12"), ("wait", "0.25")).wait_s == 0.25


def test_five_hundred_channels_may_be_asked_for() -> None:
    names = [("channel", f"store:{n}") for n in range(MAX_CHANNELS)]
    assert len(parse_sync(names).after) == MAX_CHANNELS


ONE = ("channel", "store:12")
BAD: dict[str, list[list[tuple[str, str]]]] = {
    "bad-channel": [
        [],
        [("lastEventId", "")],
        [("channel", "")],
        [("channel", "12")],
        [("channel", "store:12\n")],
        [("channel", "store:１")],
        [("channel", "table:12")],
        [("channel", "store:12,store:13")],
        [ONE, ONE],
        [("channel", f"store:{n}") for n in range(MAX_CHANNELS + 1)],
    ],
    "bad-cursor": [
        [("lastEventId", "482")],
        [ONE, ("lastEventId", "x")],
        [ONE, ("lastEventId", "-1")],
        [ONE, ("lastEventId", "1\n")],
        [ONE, ("lastEventId", "٣")],
        [ONE, ("lastEventId", "1.0")],
        [ONE, ("lastEventId", str(MAX_SEQ + 1))],
        [ONE, ("lastEventId", "store:12@")],
        [ONE, ("lastEventId", "store:12@1\n")],
        [ONE, ("lastEventId", "store:13@1")],
        [ONE, ("lastEventId", "table:12/5@1")],
        [ONE, ("lastEventId", "store:12@1,")],
        [ONE, ("lastEventId", "store:12@1,store:12@1")],
        [ONE, ("lastEventId", "store:12@1"), ("lastEventId", "store:12@2")],
        [ONE, ("lastEventId", "1"), ("lastEventId", "2")],
        [ONE, ("lastEventId", "1"), ("lastEventId", "store:12@1")],
        [ONE, ("channel", "store:13"), ("lastEventId", "1")],
        [("lastEventId", ",".join(f"store:{n}@1" for n in range(MAX_CHANNELS + 1)))],
    ],
    "bad-request": [
        [ONE, ("chanel", "store:13")],
        [ONE, ("last-event-id", "1")],
        [ONE, ("LIMIT", "1")],
        [ONE, ("\u2028" * 5000, "1")],
        *([ONE, ("limit", text)]
          for text in ("", "0", "1001", "-1", "1.0", "x", "٣", "²", "1\n", " 1", "1e2",
                       "9" * 5000)),
        *([ONE, ("wait", text)]
          for text in ("", "-1", "25.01", "26", "nan", "inf", "1e1", "٣", "1\n", " 1", ".", "1.2.3",
                       "1_0", "0" * 5000, "-0")),
        [ONE, ("limit", "1"), ("limit", "1")],
        [ONE, ("wait", "1"), ("wait", "1")],
        [ONE, ("epoch", "a"), ("epoch", "a")],
    ],
}  # fmt: skip
CASES = [(slug, parameters) for slug, cases in BAD.items() for parameters in cases]


@pytest.mark.parametrize(("slug", "parameters"), CASES, ids=lambda value: ascii(value)[:70])
def test_a_malformed_parameter_is_refused(slug: str, parameters: list[tuple[str, str]]) -> None:
    with pytest.raises(BadRequestError) as refused:
        parse_sync(parameters)
    assert refused.value.slug == slug
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


@given(st.lists(st.tuples(st.sampled_from(["channel", "lastEventId", "limit", "wait", "epoch"]),
                          st.text("store:table/12@,.0٣ \n", max_size=12)), max_size=5))  # fmt: skip
def test_any_parameters_are_a_request_or_are_refused(parameters: list[tuple[str, str]]) -> None:
    try:
        request = parse_sync(parameters)
    except BadRequestError:
        return
    assert 1 <= len(request.after) <= MAX_CHANNELS
    assert 1 <= request.limit <= 1000
    assert 0 <= request.wait_s <= 25
    assert all(0 <= (seq or 0) <= MAX_SEQ for seq in request.after.values())


def test_the_body_of_a_post_means_what_the_parameters_mean() -> None:
    body = SyncBody({"store:12": 482, "table:12/5": None}, "E1", 7, 2.5)
    assert request_of(body) == SyncRequest({STORE: 482, TABLE: None}, "E1", 7, 2.5)
    assert request_of(SyncBody({"store:12": 0}, "")).epoch is None


@pytest.mark.parametrize(
    ("name", "seq", "slug"),
    [("store:12", -1, "bad-cursor"), ("store:12", MAX_SEQ + 1, "bad-cursor"),
     ("store:", 1, "bad-channel"), ("store:12\n", None, "bad-channel"), ("", 0, "bad-channel"),
     ("x\u2028" * 500, -1, "bad-cursor")],
)  # fmt: skip
def test_a_malformed_channel_or_seq_of_a_post_is_refused(
    name: str, seq: int | None, slug: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        request_of(SyncBody({name: seq}))
    assert refused.value.slug == slug
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


def test_a_post_asks_for_a_page_alone_or_with_orders() -> None:
    text = "store:12@4~00000000-0000-0000-0000-000000000001~E1"
    for orders in (None, 7):
        parameters = [("page", text), *([("orders", "7")] if orders else [])]
        assert request_of(SyncBody(page=text, orders=orders)) == parse_sync(parameters)
    for body in (
        SyncBody({"store:12": 1}, page=text),
        SyncBody(page=text, epoch="E1"),
        SyncBody(page=text, limit=1),
        SyncBody(page=text, wait=1.0),
        SyncBody(page=""),
    ):
        with pytest.raises(BadRequestError, match="page"):
            request_of(body)


@pytest.mark.parametrize("body", [b"{}", b'{"channels":{}}', b'{"orders":7}'])
def test_a_post_names_a_channel_or_a_page(body: bytes) -> None:
    with pytest.raises(InvalidError, match="at least one"):
        request_of(msgspec.json.decode(body, type=SyncBody))


@pytest.mark.parametrize(
    "body",
    [b'{"channels":["store:1"]}', b'{"page":1}', b'{"channels":{"store:1":"1"}}',
     b'{"channels":{"store:1":1},"limit":0}', b'{"channels":{"store:1":1},"limit":1001}',
     b'{"channels":{"store:1":1},"wait":-0.1}', b'{"channels":{"store:1":1},"wait":25.1}',
     b'{"channels":{"store:1":1},"wait":"1"}', b'{"channels":{"store:1":1},"epoch":1}',
     b'{"channels":{"store:1":1},"more":1}'],
)  # fmt: skip
def test_a_post_that_breaks_a_rule_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=SyncBody)


def test_a_post_takes_five_hundred_channels_and_not_one_more() -> None:
    for count in (MAX_CHANNELS, MAX_CHANNELS + 1):
        body = msgspec.json.encode({"channels": {f"store:{n}": 1 for n in range(count)}})
        if count == MAX_CHANNELS:
            assert len(msgspec.json.decode(body, type=SyncBody).channels) == count
        else:
            with pytest.raises(msgspec.ValidationError):
                msgspec.json.decode(body, type=SyncBody)


def test_the_limit_is_shared_so_that_no_channel_starves() -> None:
    request = SyncRequest({STORE: 4, TABLE: None}, None, 7, 0.0)
    assert request.queries() == [
        PageQuery("store:12", 4, 3, GATHERED_ANSWER_BYTES // 2),
        PageQuery("table:12/5", 0, 3, GATHERED_ANSWER_BYTES // 2),
    ]
    crowd = SyncRequest({Channel("store", str(n)): 0 for n in range(9)}, None, 3, 0.0)
    assert {query.limit for query in crowd.queries()} == {1}


@pytest.mark.parametrize(
    ("after", "epoch", "head", "floor", "reason"),
    [
        (None, None, 0, 0, "first_sync"),
        (None, "E0", 9, 5, "first_sync"),
        (0, None, 0, 0, None),
        (0, "E1", 0, 0, None),
        (9, "E1", 9, 0, None),
        (9, "E0", 9, 0, "epoch"),
        (0, "E0", 0, 0, "epoch"),
        (99, "E0", 9, 5, "epoch"),
        (1, "E0", 9, 5, "epoch"),
        (10, None, 9, 0, "ahead"),
        (10, "E1", 9, 9, "ahead"),
        (1, None, 0, 0, "ahead"),
        (4, None, 9, 5, "retention"),
        (0, None, 9, 1, "retention"),
        (5, None, 9, 5, None),
        (9, None, 9, 9, None),
        (8, None, 9, 9, "retention"),
    ],
)
def test_when_a_client_must_start_anew(
    after: int | None, epoch: str | None, head: int, floor: int, reason: str | None
) -> None:
    assert reset_reason(after, epoch, MOMENT, Page(head, 0, floor, ())) == reason


def test_a_page_goes_on_after_the_cursor_and_moves_it_to_its_last_event() -> None:
    page = Page(9, 5, 0, ((5, BODY), (6, BODY)))
    part = page_of("store:12", 4, page)
    assert (part.seq, part.wire.has_more, part.wire.reset, part.wire.snapshot) == (
        6, True, None, None,
    )  # fmt: skip
    assert (part.wire.head, part.wire.digest) == (9, "0000000000000005")
    assert is_news([part])
    assert has_more([part])


def test_a_page_that_reaches_the_head_has_no_more() -> None:
    assert not page_of("store:12", 8, Page(9, 0, 0, ((9, BODY),))).wire.has_more


def test_an_empty_page_leaves_the_cursor_and_is_no_news() -> None:
    part = page_of("store:12", 9, Page(9, 0, 0, ()))
    assert (part.seq, part.wire.events) == (9, [])
    assert not is_news([part])
    assert not has_more([part])


def test_a_snapshot_moves_the_cursor_to_its_head_and_is_news_even_if_empty() -> None:
    part = snapshot_of("store:12", "first_sync", OpenOrders(0, 0, ()), "E1")
    assert (part.seq, part.wire.reset) == (0, "first_sync")
    assert is_news([part])
    assert not has_more([part])


def test_an_answer_is_what_the_contract_reads() -> None:
    parts = [
        page_of("store:12", 4, Page(5, 1 << 63, 0, ((5, BODY),))),
        snapshot_of("table:12/5", "retention", OpenOrders(3, 7, (OWNER_VIEW,)), "E1"),
    ]
    grant = StreamGrant("http://x/v1/stream", "t", 30.0)
    answer = decode_sync(encode_answer(MOMENT, parts, grant, 3000))
    assert parse_cursor(answer.cursor) == {"store:12": 5, "table:12/5": 3}
    assert (answer.epoch, answer.has_more, answer.poll_after_ms) == ("E1", False, 3000)
    assert answer.stream == grant
    assert answer.server_time.isoformat() == "2025-11-21T03:00:38.624000+00:00"
    store, table = answer.channels
    assert [(event.id, event.seq) for event in store.events] == [("store:12@5", 5)]
    assert store.events[0].data == order()
    assert (store.digest, store.snapshot, store.reset) == ("8" + "0" * 15, None, None)
    assert table.snapshot is not None
    assert (table.snapshot.head, table.snapshot.orders) == (3, [order()])
    assert (table.reset, table.events) == ("retention", [])
