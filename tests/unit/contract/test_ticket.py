"""Tickets: only what Core signed, only as long as it holds, whatever the text itself claims."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.cursor import MAX_CHANNELS
from client_sdk.contract.errors import TicketError
from client_sdk.contract.limits import MAX_TICKET_CHARS
from server_common.access.tickets import Ticket, TicketKeys

KEY, OTHER = b"k" * 32, b"o" * 32
KEYS = TicketKeys({"a": KEY}, "a")
TICKET = Ticket("E1", {"store:12": 482}, 1000.0, 1030.0, "owner-12")
NOW = 1010.0


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: dict[str, Any], payload: bytes, key: bytes = KEY) -> str:
    """A JWS of our own making."""
    text = f"{b64(json.dumps(header, separators=(',', ':')).encode())}.{b64(payload)}"
    return f"{text}.{b64(hmac.digest(key, text.encode(), 'sha256'))}"


GOOD_HEADER = {"alg": "HS256", "kid": "a", "typ": "yabam-ticket"}
PAYLOAD = msgspec.json.encode(TICKET)


def test_a_ticket_is_read_back_as_it_was_signed() -> None:
    assert KEYS.verify(KEYS.sign(TICKET), NOW) == TICKET


@given(
    st.dictionaries(st.from_regex(r"store:[a-z0-9]{1,9}", fullmatch=True), st.integers(0, 2**63)),
    st.text(),
)
def test_any_channels_and_any_subject_survive(cursor: dict[str, int], subject: str) -> None:
    ticket = Ticket("E1", cursor, 1000.0, 1030.0, subject)
    assert KEYS.verify(KEYS.sign(ticket), NOW) == ticket


def test_a_ticket_is_an_ordinary_jws_that_can_stand_in_a_url() -> None:
    text = KEYS.sign(TICKET)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    decoded = jwt.api_jws.decode(text, KEY, algorithms=["HS256"])
    assert json.loads(decoded)["cursor"] == {"store:12": 482}
    assert signed(GOOD_HEADER, PAYLOAD) == text


@given(st.binary(min_size=32, max_size=200), st.text(max_size=200))
def test_the_signature_is_the_standards_whatever_the_length_of_the_key(
    key: bytes, subject: str
) -> None:
    text = TicketKeys({"a": key}, "a").sign(msgspec.structs.replace(TICKET, subject=subject))
    signed, _, signature = text.rpartition(".")
    assert signature == b64(hmac.digest(key, signed.encode(), "sha256"))
    assert TicketKeys({"a": key}, "a").verify(text, NOW).subject == subject


def test_a_ticket_is_good_until_the_moment_it_expires_by_the_databases_clock() -> None:
    text = KEYS.sign(TICKET)
    assert KEYS.verify(text, 1029.999) == TICKET
    for now in (1030.0, 1031.0, 1e12):
        with pytest.raises(TicketError, match="expired"):
            KEYS.verify(text, now)


def test_a_ticket_of_another_key_is_refused_even_under_our_kid() -> None:
    forged = TicketKeys({"a": OTHER}, "a").sign(TICKET)
    with pytest.raises(TicketError, match="signature"):
        KEYS.verify(forged, NOW)


def test_a_ticket_of_an_unknown_kid_is_refused() -> None:
    with pytest.raises(TicketError, match="not signed by a key"):
        KEYS.verify(TicketKeys({"b": KEY}, "b").sign(TICKET), NOW)


def test_keys_rotate_without_a_ticket_being_refused() -> None:
    old = TicketKeys({"a": KEY}, "a")
    learning = TicketKeys({"a": KEY, "b": OTHER}, "a")
    signing = TicketKeys({"a": KEY, "b": OTHER}, "b")
    forgotten = TicketKeys({"b": OTHER}, "b")
    assert learning.verify(old.sign(TICKET), NOW) == TICKET
    assert learning.verify(signing.sign(TICKET), NOW) == TICKET
    assert signing.verify(learning.sign(TICKET), NOW) == TICKET
    assert forgotten.verify(signing.sign(TICKET), NOW) == TICKET
    with pytest.raises(TicketError):
        forgotten.verify(old.sign(TICKET), NOW)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "a", "typ": "yabam-ticket"},
        {"alg": "None", "kid": "a", "typ": "yabam-ticket"},
        {"alg": "HS512", "kid": "a", "typ": "yabam-ticket"},
        {"alg": "RS256", "kid": "a", "typ": "yabam-ticket"},
        {"alg": "HS256", "kid": "a", "typ": "JWT"},
        {"alg": "HS256", "typ": "yabam-ticket"},
        {"alg": "HS256", "kid": "../a", "typ": "yabam-ticket"},
        {"alg": "HS256", "kid": "a", "typ": "yabam-ticket", "crit": ["exp"]},
        {"alg": "HS256", "kid": "a", "typ": "yabam-ticket", "jwk": {"kty": "oct", "k": "b28"}},
        {"kid": "a", "alg": "HS256", "typ": "yabam-ticket"},
        {},
    ],
    ids=str,
)
def test_a_header_that_core_would_not_write_is_refused_whatever_signs_it(
    header: dict[str, Any],
) -> None:
    with pytest.raises(TicketError):
        KEYS.verify(signed(header, PAYLOAD), NOW)
    with pytest.raises(TicketError):
        KEYS.verify(signed(header, PAYLOAD).rpartition(".")[0] + ".", NOW)


def test_an_access_token_is_no_ticket_even_under_the_same_key() -> None:
    token = jwt.encode({"sub": "x", "role": "ops", "exp": 2000}, KEY, "HS256", {"kid": "a"})
    with pytest.raises(TicketError):
        KEYS.verify(token, NOW)


def test_every_truncation_of_a_ticket_is_refused() -> None:
    text = KEYS.sign(TICKET)
    for end in range(len(text)):
        with pytest.raises(TicketError):
            KEYS.verify(text[:end], NOW)


def test_every_change_of_one_character_is_refused() -> None:
    text = KEYS.sign(TICKET)
    for place, old in enumerate(text):
        for new in "A_.=":
            if new != old:
                with pytest.raises(TicketError):
                    KEYS.verify(text[:place] + new + text[place + 1 :], NOW)


@pytest.mark.parametrize("extra", ["=", "\n", " ", ".", ".AAAA", "\x00", "é", "\ud800"], ids=ascii)
def test_anything_before_or_after_a_ticket_makes_it_none(extra: str) -> None:
    text = KEYS.sign(TICKET)
    for changed in (text + extra, extra + text):
        with pytest.raises(TicketError):
            KEYS.verify(changed, NOW)


@given(st.text(max_size=200))
def test_no_text_at_all_does_anything_but_be_refused(text: str) -> None:
    with pytest.raises(TicketError):
        KEYS.verify(text, NOW)


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"{}", b'{"epoch":1}', b"\xff\xfe", PAYLOAD[:-1],
     PAYLOAD.replace(b"482", b'"482"'), PAYLOAD.replace(b'"owner-12"', b'"\xff"')],
    ids=ascii,
)  # fmt: skip
def test_a_payload_that_is_no_ticket_is_refused_even_when_signed(payload: bytes) -> None:
    with pytest.raises(TicketError):
        KEYS.verify(signed(GOOD_HEADER, payload), NOW)


def test_the_largest_ticket_is_read_and_a_longer_text_is_refused_unread() -> None:
    cursor = {f"store:{n:0>16}": 10**9 + n for n in range(MAX_CHANNELS)}
    largest = Ticket("E" * 26, cursor, 1000.0, 1030.0, "s" * 200)
    text = KEYS.sign(largest)
    assert len(text) < MAX_TICKET_CHARS
    assert KEYS.verify(text, NOW) == largest
    with pytest.raises(TicketError, match="malformed"):
        KEYS.verify("A" * (MAX_TICKET_CHARS + 1), NOW)


def test_the_payload_holds_no_secret_and_no_more_than_the_ticket() -> None:
    always = {"epoch", "cursor", "issued_at", "expires_at", "subject"}
    assert fields_of(TICKET) == always
    assert fields_of(msgspec.structs.replace(TICKET, device="till-1")) == always | {"device"}


def fields_of(ticket: Ticket) -> set[str]:
    payload = KEYS.sign(ticket).split(".")[1]
    raw = urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    return set(json.loads(raw))


def test_a_ring_needs_its_signing_key_and_keys_of_32_bytes() -> None:
    with pytest.raises(TicketError, match="'b' is not among"):
        TicketKeys({"a": KEY}, "b")
    with pytest.raises(TicketError, match="shorter than 32"):
        TicketKeys({"a": KEY, "b": b"short"}, "a")
    with pytest.raises(TicketError):
        TicketKeys({}, "a")


def test_a_refusal_never_shows_a_key() -> None:
    with pytest.raises(TicketError) as refused:
        TicketKeys({"a": b"short-secret"}, "a")
    assert "short-secret" not in str(refused.value)
