"""Who may follow what, and from where."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from event_server.errors import StreamRefusedError
from event_server.streams.lifetimes import RECONNECT_MS, Timing
from event_server.streams.request_rules import (
    MAX_PARAMETERS,
    MAX_QUERY_BYTES,
    Placement,
    StreamRequest,
    accept,
    parse_request,
)
from server_common.access.tickets import Ticket, TicketKeys
from tests.unit.event_server.parts import KEYS, make_ticket

ALL = Placement(4, frozenset(range(4)))
ONE = make_ticket({"store:12": 7})
TWO = make_ticket({"store:12": 7, "table:12/5": 3})


def positions(
    ticket: Ticket, last_event_id: str = "", header: str = "", time: float = 1001.0
) -> dict[str, int]:
    request = StreamRequest(KEYS.sign(ticket), last_event_id, header)
    return dict(accept(request, KEYS, time, ALL).positions)


def refusal(ticket: Ticket, last_event_id: str = "", header: str = "") -> str:
    with pytest.raises(StreamRefusedError) as refused:
        positions(ticket, last_event_id, header)
    return refused.value.slug


class TestPositions:
    def test_the_ticket_alone_is_enough(self) -> None:
        assert positions(TWO) == {"store:12": 7, "table:12/5": 3}

    @pytest.mark.parametrize("text", ["9", "store:12@9"])
    def test_one_channel_takes_a_bare_seq_or_an_event_id(self, text: str) -> None:
        assert positions(ONE, text) == {"store:12": 9}

    def test_a_cursor_may_name_some_and_the_ticket_fills_in_the_rest(self) -> None:
        assert positions(TWO, "table:12/5@4") == {"store:12": 7, "table:12/5": 4}

    def test_the_header_wins_over_the_query_for_the_channel_it_names(self) -> None:
        found = positions(TWO, "store:12@8,table:12/5@4", header="store:12@9")
        assert found == {"store:12": 9, "table:12/5": 4}

    def test_positions_below_the_ticket_are_allowed(self) -> None:
        assert positions(ONE, "2") == {"store:12": 2}

    def test_a_channel_beside_the_ticket_is_forbidden(self) -> None:
        assert refusal(ONE, "store:13@1") == "forbidden"
        assert refusal(ONE, header="table:12/5@1") == "forbidden"

    def test_with_several_channels_a_bare_seq_says_nothing(self) -> None:
        assert refusal(TWO, "9") == "bad-cursor"

    @pytest.mark.parametrize(
        "text",
        ["-1", "1.5", "x", "@", "store:12", "store:12@", "store:12@x", "store:12@1,store:12@2",
         "store:12@1,", "9999999999999999999", "\u0661", "store:12@1\n", "nobody:1@2"],
    )  # fmt: skip
    def test_malformed_positions_are_refused(self, text: str) -> None:
        assert refusal(ONE, text) == "bad-cursor"
        assert refusal(ONE, header=text) == "bad-cursor"


class TestTicket:
    def refused(self, text: str, time: float = 1001.0) -> str:
        with pytest.raises(StreamRefusedError) as refused:
            accept(StreamRequest(text, "", ""), KEYS, time, ALL)
        return refused.value.slug

    @pytest.mark.parametrize("text", ["", "x", "a.b.c", "…", "x" * 100_000])
    def test_what_is_no_ticket_is_refused(self, text: str) -> None:
        assert self.refused(text) == "bad-ticket"

    def test_a_ticket_of_another_key_is_refused(self) -> None:
        forged = TicketKeys({"t1": b"f" * 32}, "t1").sign(ONE)
        assert self.refused(forged) == "bad-ticket"

    def test_a_changed_ticket_is_refused(self) -> None:
        header, _, signature = KEYS.sign(ONE).split(".")
        _, payload, _ = KEYS.sign(TWO).split(".")
        assert self.refused(f"{header}.{payload}.{signature}") == "bad-ticket"

    def test_it_expires_by_the_database_clock(self) -> None:
        text = KEYS.sign(ONE)
        accept(StreamRequest(text, "", ""), KEYS, ONE.expires_at - 0.01, ALL)
        assert self.refused(text, ONE.expires_at) == "bad-ticket"

    def test_a_ticket_for_nothing_is_refused(self) -> None:
        assert self.refused(KEYS.sign(make_ticket({}))) == "bad-ticket"

    def test_channels_of_another_server_are_sent_away(self) -> None:
        text = StreamRequest(KEYS.sign(ONE), "", "")
        refused = []
        for partition in range(4):
            try:
                accept(text, KEYS, 1001.0, Placement(4, frozenset({partition})))
            except StreamRefusedError as error:
                refused.append(error.slug)
        assert refused == ["misdirected"] * 3


class TestQuery:
    def test_parameters_are_read_and_foreign_ones_left_alone(self) -> None:
        query = f"ticket=a.b&_=17&lastEventId={quote('store:12@7')}"
        assert parse_request(query.encode(), " 9 ") == StreamRequest("a.b", "store:12@7", "9")

    def test_what_is_absent_is_empty(self) -> None:
        assert parse_request(b"", "") == StreamRequest("", "", "")

    @pytest.mark.parametrize(
        "query",
        [b"ticket=a&ticket=b", b"lastEventId=1&lastEventId=2", b"ticket=%ff", b"ticket=\xc3\xa4",
         b"&".join([b"a=1"] * (MAX_PARAMETERS + 1)), b"ticket=" + b"x" * MAX_QUERY_BYTES],
    )  # fmt: skip
    def test_what_cannot_be_read_is_a_bad_request(self, query: bytes) -> None:
        with pytest.raises(StreamRefusedError) as refused:
            parse_request(query, "")
        assert refused.value.slug == "bad-request"


class TestTiming:
    def test_each_choice_stays_between_its_bounds(self) -> None:
        low = Timing((45.0, 90.0), (1000, 3000), lambda a, _: a)
        high = Timing((45.0, 90.0), (1000, 3000), lambda _, b: b)
        assert (low.lifetime(), high.lifetime()) == (45.0, 90.0)
        assert (low.retry(), high.retry()) == (1000, 3000)
        for reason, bounds in RECONNECT_MS.items():
            assert (low.reconnect(reason), high.reconnect(reason)) == bounds
