"""Streams end when their tokens are revoked, and no ticket of such a token opens another."""

from __future__ import annotations

import pytest

from event_server.errors import StreamRefusedError
from event_server.streams.registry import Streams
from event_server.streams.request_rules import Accepted, StreamRequest
from event_server.streams.signed_out import KEPT_S, SignedOut
from server_common.access.tickets import Ticket
from server_common.limits import REVOCATIONS
from server_common.revocations.holders import Holder
from server_common.revocations.records import Revocation
from tests.unit.event_server.parts import EPOCH, KEYS, FakeSubscriber, make_hub, make_streams

ANN = Ticket(EPOCH, {"store:1": 0}, 1000.0, 1030.0, "ann", token="t-ann", session="s", made_at=900)
BO = Ticket(EPOCH, {"store:1": 0}, 1000.0, 1030.0, "bo", token="t-bo", made_at=900)
OF_AN_OLDER_CORE = Ticket(EPOCH, {"store:1": 0}, 1000.0, 1030.0, "ann")


def serving() -> Streams:
    hub = make_hub()
    hub.mark(0, 1001.0, 0.0)
    return make_streams(hub)


def opened(streams: Streams, ticket: Ticket) -> FakeSubscriber:
    subscriber = FakeSubscriber()
    streams.open(subscriber, Accepted(ticket, ticket.cursor), 0.0)
    return subscriber


def revoke(streams: Streams, revocation: Revocation) -> None:
    assert streams.signed_out.add(revocation, 1.0)
    streams.turn(1.0)


OF_ANN = [
    Revocation("token", "t-ann"),
    Revocation("session", "s"),
    Revocation("subject", "ann", 900),
]


@pytest.mark.parametrize("revocation", OF_ANN)
def test_a_stream_ends_with_what_it_was_opened_by(revocation: Revocation) -> None:
    streams = serving()
    hers, his = opened(streams, ANN), opened(streams, BO)
    revoke(streams, revocation)
    assert hers.ended
    assert '"reason":"expired"' in hers.events[-1].data
    assert not his.ended
    assert streams.ended["expired"] == 1


@pytest.mark.parametrize("revocation", OF_ANN)
def test_its_ticket_opens_no_further_stream(revocation: Revocation) -> None:
    streams = serving()
    revoke(streams, revocation)
    with pytest.raises(StreamRefusedError, match="revoked") as refused:
        streams.judge(StreamRequest(KEYS.sign(ANN), "", ""), 1.0)
    assert refused.value.slug == "bad-ticket"
    streams.judge(StreamRequest(KEYS.sign(BO), "", ""), 1.0)


def test_a_subject_that_signs_in_again_is_served() -> None:
    streams = serving()
    revoke(streams, Revocation("subject", "ann", 899))
    streams.judge(StreamRequest(KEYS.sign(ANN), "", ""), 1.0)


def test_a_ticket_that_does_not_say_when_its_token_was_made_ends_with_its_subject() -> None:
    streams = serving()
    hers = opened(streams, OF_AN_OLDER_CORE)
    revoke(streams, Revocation("subject", "ann", 10))
    assert hers.ended


def test_a_socket_ends_with_any_of_the_tokens_that_it_was_given_tickets_for() -> None:
    streams = serving()
    hers = opened(streams, ANN)
    later = Ticket(EPOCH, {"store:2": 0}, 1000.0, 1030.0, "ann", token="t-2", made_at=950)
    streams.extend(hers, Accepted(later, later.cursor))
    revoke(streams, Revocation("token", "t-2"))
    assert hers.ended


def test_a_stream_that_has_ended_is_not_ended_again() -> None:
    streams = serving()
    hers = opened(streams, ANN)
    streams.close(hers)
    revoke(streams, OF_ANN[0])
    assert not hers.ended
    assert streams.ended["expired"] == 0


def test_it_is_remembered_for_longer_than_any_ticket_lives_and_no_longer() -> None:
    signed_out, holder = SignedOut(0.0), Holder("t", "", "ann", 0)
    signed_out.add(Revocation("token", "t"), 0.0)
    assert signed_out.has_news(KEPT_S - 1)
    assert signed_out.cover(holder)
    assert not signed_out.has_news(KEPT_S + 60)
    assert not signed_out.cover(holder)


def test_what_is_remembered_has_a_bound() -> None:
    signed_out = SignedOut(0.0)
    taken = sum(
        signed_out.add(Revocation("token", str(n)), 0.0) for n in range(2 * REVOCATIONS + 5)
    )
    assert taken == len(signed_out) == 2 * REVOCATIONS
