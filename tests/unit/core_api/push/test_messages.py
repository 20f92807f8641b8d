"""What a push service is sent: encrypted for one browser, signed as ours, of one size."""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

from core_api.errors import InvalidError
from core_api.push.messages import (
    PushKeys,
    PushMessage,
    check_browser_key,
    encrypted,
    headers,
    message,
    push_keys,
)
from server_common.errors import SettingsError
from server_common.limits import PUSH_MESSAGE_BYTES
from tests.push_service import Browser, encoded

NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEYS = PushKeys(encoded(b"k" * 32), "mailto:ops@example.com")
ENDPOINT = "https://push.example:8443/a/b"


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(authorization: str) -> dict[str, Any]:
    token = authorization.removeprefix("vapid t=").partition(",")[0]
    return jwt.decode(token, options={"verify_signature": False})


def test_the_encryption_is_that_of_the_rfc_s_own_example() -> None:
    # RFC 8291, section 5 and appendix A.
    own = derive_private_key(
        int.from_bytes(decoded("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")), SECP256R1()
    )
    body = encrypted(
        b"When I grow up, I want to be a watermelon",
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "BTBZMqHH6r4Tts7J_aSIgg",
        own,
        decoded("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert encoded(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6"
        "TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulc"
        "y4a-fN"
    )


def test_only_the_browser_that_it_is_for_reads_a_message() -> None:
    browser, another = Browser(ENDPOINT), Browser(ENDPOINT)
    wanted = browser.subscription
    body = message(PushMessage("12", 2, "ko"), wanted.p256dh, wanted.auth, os.urandom)
    assert json.loads(browser.decrypt(body)) == {"store": "12", "count": 2, "language": "ko"}
    with pytest.raises(InvalidTag):
        another.decrypt(body)


@pytest.mark.parametrize("told", [PushMessage("1", 1, "en"), PushMessage("s" * 64, 1000, "ko")])
def test_each_message_is_of_one_size_so_that_its_size_says_nothing(told: PushMessage) -> None:
    wanted = Browser(ENDPOINT).subscription
    assert len(message(told, wanted.p256dh, wanted.auth, os.urandom)) == PUSH_MESSAGE_BYTES


def test_a_token_is_good_at_one_push_service_for_less_than_a_day() -> None:
    claims = claims_of(headers(KEYS, ENDPOINT, "12", NOW)["authorization"])
    assert claims["aud"] == "https://push.example:8443"
    assert claims["sub"] == "mailto:ops@example.com"
    assert 0 < claims["exp"] - NOW.timestamp() < 86_400


def test_a_newer_message_of_a_store_takes_the_place_of_an_older_one() -> None:
    first, second, other = (headers(KEYS, ENDPOINT, store, NOW)["topic"] for store in "112")
    assert first == second != other
    assert len(first) <= 32


def test_a_message_is_urgent_and_kept_for_an_hour() -> None:
    sent = headers(KEYS, ENDPOINT, "12", NOW)
    assert (sent["urgency"], sent["ttl"]) == ("high", "3600")


@pytest.mark.parametrize(
    "contact", ["mailto:ops@example.com", "https://example.com", "https://example.com/help?at=push"]
)
def test_whoever_operates_it_is_named_as_in_the_settings(contact: str) -> None:
    keys = PushKeys(encoded(b"k" * 32), contact)
    assert claims_of(headers(keys, ENDPOINT, "12", NOW)["authorization"])["sub"] == contact


@pytest.mark.parametrize("key", ["short", "", "A" * 43, encoded(b"\xff" * 32), encoded(b"k" * 33)])
def test_a_key_that_is_none_stops_the_start(key: str) -> None:
    with pytest.raises(SettingsError, match="YABAM_PUSH_KEY"):
        PushKeys(key, "mailto:ops@example.com")


def test_a_key_without_a_contact_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="YABAM_PUSH_CONTACT"):
        push_keys(encoded(b"k" * 32), "")


def test_without_a_key_nobody_is_told() -> None:
    assert push_keys("", "") is None


def test_a_point_that_is_not_on_the_curve_is_no_key_of_a_browser() -> None:
    with pytest.raises(InvalidError, match="p256dh"):
        check_browser_key(encoded(b"\x04" + b"\x01" * 64))
