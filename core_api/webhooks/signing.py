"""The secrets of webhooks, and the headers that prove who has sent one. Pure.

Headers and signature are those of the Standard Webhooks specification, made by its own library. A
secret is derived and never stored (`server_common/access/derived_secrets.py`).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from standardwebhooks.webhooks import Webhook as Signer

from core_api.webhooks.messages import WebhookMessage
from server_common.access.derived_secrets import DerivingKeys, newest_kid
from server_common.errors import SettingsError

_SETTING: Final = "YABAM_WEBHOOKS_KEYS"
_PREFIX: Final = "whsec_"


class WebhookKeys(DerivingKeys):
    """The keys that secrets are derived with: one for new secrets, all for older ones.

    Args:
        keys: secrets of at least 32 bytes by `kid`.
        newest: the `kid` of the key for new secrets.

    Raises:
        SettingsError: there is no key `newest`, or a key is too short.
    """

    def __init__(self, keys: Mapping[str, bytes], newest: str) -> None:
        super().__init__(keys, newest, _SETTING)

    def secret(self, webhook_id: str, generation: int, kid: str) -> str:
        """The secret of a subscription, in the form `whsec_…`.

        Args:
            webhook_id: which subscription.
            generation: the number of the secret, from 1.
            kid: the key that it is derived with.

        Raises:
            SettingsError: this process has no such key.
        """
        secret = self.derived(f"webhook/{webhook_id}/{generation}", kid)
        if secret is None:
            raise SettingsError(
                f"the secret of {webhook_id} was made with the key {kid!r}, which is not among "
                f"{_SETTING}: put it back, or rotate the secret"
            )
        return _PREFIX + b64encode(secret).decode()


def webhook_keys(keys: Mapping[str, str], newest: str) -> WebhookKeys | None:
    """The keys as settings name them; None: there is none.

    Args:
        keys: secrets by `kid`.
        newest: the `kid` for new secrets; empty: the only one.

    Raises:
        SettingsError: the newest is not among them, or one is too short.
    """
    if not keys:
        return None
    encoded = {kid: key.encode() for kid, key in keys.items()}
    return WebhookKeys(encoded, newest_kid(keys, newest))


def signed_headers(message: WebhookMessage, at: datetime, secrets: Sequence[str]) -> dict[str, str]:
    """The headers of one attempt.

    Args:
        message: what is sent.
        at: when this attempt is made, in UTC.
        secrets: the valid ones, the newest first.
    """
    signatures = (Signer(secret).sign(message.id, at, message.body) for secret in secrets)
    return {
        "webhook-id": message.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
