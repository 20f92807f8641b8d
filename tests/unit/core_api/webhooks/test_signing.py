"""Signatures, as the library of Standard Webhooks verifies them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from core_api.webhooks.messages import WebhookMessage
from core_api.webhooks.signing import WebhookKeys, signed_headers, webhook_keys
from server_common.errors import SettingsError

KEYS = WebhookKeys({"k1": b"1" * 32, "k2": b"2" * 32}, "k2")
MESSAGE = WebhookMessage("E1/store:12@5", "order.placed", '{"data":"김밥"}')


def test_a_receiver_verifies_with_the_secret_that_it_was_given() -> None:
    secret = KEYS.secret("wh-1", 1, "k1")
    headers = signed_headers(MESSAGE, datetime.now(UTC), [secret])
    assert Webhook(secret).verify(MESSAGE.body, headers) == {"data": "김밥"}


def test_while_a_secret_changes_the_old_one_and_the_new_one_verify() -> None:
    new, old = KEYS.secret("wh-1", 2, "k2"), KEYS.secret("wh-1", 1, "k1")
    headers = signed_headers(MESSAGE, datetime.now(UTC), [new, old])
    for secret in (new, old):
        assert Webhook(secret).verify(MESSAGE.body, headers) == {"data": "김밥"}


@pytest.mark.parametrize("what", ["webhook-id", "webhook-timestamp", "body"])
def test_what_was_changed_on_the_way_does_not_verify(what: str) -> None:
    secret = KEYS.secret("wh-1", 1, "k1")
    now = datetime.now(UTC)
    headers, body = signed_headers(MESSAGE, now, [secret]), MESSAGE.body
    if what == "body":
        body = body.replace("김", "김 ")
    elif what == "webhook-id":
        headers[what] += "0"
    else:
        headers[what] = str(int(now.timestamp()) - 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_each_subscription_generation_and_key_has_a_secret_of_its_own() -> None:
    secrets = {
        KEYS.secret(webhook_id, generation, kid)
        for webhook_id in ("wh-1", "wh-2")
        for generation in (1, 2)
        for kid in ("k1", "k2")
    }
    assert len(secrets) == 8
    for secret in secrets:
        assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32


def test_a_key_that_is_gone_is_named() -> None:
    with pytest.raises(SettingsError, match=r"'k9'.*rotate"):
        KEYS.secret("wh-1", 1, "k9")


@pytest.mark.parametrize(
    ("keys", "newest"), [({"k": "short"}, ""), ({"a": "a" * 32, "b": "b" * 32}, ""),
                         ({"a": "a" * 32}, "b")],
)  # fmt: skip
def test_keys_that_cannot_sign_are_refused(keys: dict[str, str], newest: str) -> None:
    with pytest.raises(SettingsError):
        webhook_keys(keys, newest)


def test_without_keys_there_is_no_ring_and_one_key_needs_no_name() -> None:
    assert webhook_keys({}, "") is None
    ring = webhook_keys({"a": "a" * 32}, "")
    assert ring is not None
    assert ring.newest == "a"
