"""A message for a push service: encrypted for one browser, with a signed token. Pure.

The encryption is that of RFC 8291, by http-ece, so the push service learns nothing but the size,
which is always the same; the token is that of RFC 8292 (VAPID), by py-vapid. A message has numbers
only: no name, no dish.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import http_ece
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct
from py_vapid import Vapid02

from core_api.errors import InvalidError
from server_common.errors import SettingsError
from server_common.limits import PUSH_MESSAGE_BYTES

TTL_S: Final = 3600
"""How many seconds a push service keeps a message for a phone that is off."""
_TOKEN_S: Final = 43_200
_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 16
_OVERHEAD_BYTES: Final = _SALT_BYTES + 4 + 1 + 65 + 1 + 16
"""Salt, size of a record, our public key with its length; the record's delimiter and tag."""
_TEXT_BYTES: Final = PUSH_MESSAGE_BYTES - _OVERHEAD_BYTES
"""All messages have the same length, so that it reveals nothing."""
_TOPIC_BYTES: Final = 15


class PushMessage(Struct, frozen=True):
    """The message for a browser; `terminal/offline/worker.js` makes a notification of it."""

    store: str
    count: int
    """Orders of the store that are new."""
    language: str


class Ready(Struct, frozen=True):
    """The message for a guest's phone; `table/notices_worker.js` makes a notification of it."""

    ready: list[str]
    """The numbers of the table's orders that are ready, as its page shows them."""
    language: str


class PushKeys:
    """The key by which push services know this installation.

    Args:
        key: 32 random bytes, in base64url.
        contact: of the operator, for push services: `mailto:…` or `https://…`.

    Raises:
        SettingsError: it is no such key, or no such address.
    """

    def __init__(self, key: str, contact: str) -> None:
        if not contact.startswith(("mailto:", "https://")):
            raise SettingsError(
                "YABAM_PUSH_CONTACT must be mailto:… or https://…: push services ask for it"
            )
        try:
            self._signer = _signer(key)
        except ValueError:
            raise SettingsError(
                "YABAM_PUSH_KEY must be 32 random bytes in base64url, 43 characters"
            ) from None
        self._contact = contact
        self.public: Final = _encoded(
            self._signer.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        )
        """What browsers subscribe with."""

    def authorization(self, endpoint: str, now: datetime) -> str:
        """The header that proves the sender to a push service.

        Args:
            endpoint: of the browser; the token is good at its push service alone.
            now: in UTC.
        """
        parts = urlsplit(endpoint)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": int((now + timedelta(seconds=_TOKEN_S)).timestamp()),
            "sub": self._contact,
        }
        # The library keeps no state between calls, and writes both parts of the header.
        header: str = self._signer.sign(claims)["Authorization"]
        return header


def push_keys(key: str, contact: str) -> PushKeys | None:
    """The key as settings name it; None: there is none.

    Raises:
        SettingsError: the key or the contact is invalid.
    """
    return PushKeys(key, contact) if key else None


def check_browser_key(p256dh: str) -> None:
    """Whether a message can be encrypted for this public key.

    Raises:
        InvalidError: it is not a point of the curve.
    """
    try:
        _browser_key(p256dh)
    except ValueError:
        raise InvalidError("`p256dh` is no public key of the curve P-256") from None


def message(told: Struct, p256dh: str, auth: str, random: Callable[[int], bytes]) -> bytes:
    """The body of a request to a push service.

    Args:
        told: the message for the browser.
        p256dh: its public key.
        auth: its secret.
        random: gives that many random bytes.
    """
    text = msgspec.json.encode(told).ljust(_TEXT_BYTES)
    own = generate_private_key(SECP256R1())
    return encrypted(text, p256dh, auth, own, random(_SALT_BYTES))


def encrypted(
    text: bytes, p256dh: str, auth: str, own: EllipticCurvePrivateKey, salt: bytes
) -> bytes:
    """A text for one browser, after RFC 8291: the salt, our public key, one record.

    Args:
        text: less than 4000 bytes.
        p256dh: the browser's public key.
        auth: its secret.
        own: a key of this message alone.
        salt: 16 random bytes.
    """
    made: bytes = http_ece.encrypt(
        text,
        salt=salt,
        private_key=own,
        dh=_decoded(p256dh),
        auth_secret=_decoded(auth),
        version="aes128gcm",
    )
    return made


def headers(keys: PushKeys, endpoint: str, topic: str, now: datetime) -> dict[str, str]:
    """The headers of one attempt (RFC 8030).

    A push service replaces an undelivered message of the same topic by this one.

    Args:
        keys: of this installation.
        endpoint: of the browser.
        topic: names the message's store or table.
        now: in UTC.
    """
    hashed = hashlib.sha256(topic.encode()).digest()[:_TOPIC_BYTES]
    return {
        "authorization": keys.authorization(endpoint, now),
        "content-encoding": "aes128gcm",
        "content-type": "application/octet-stream",
        "ttl": str(TTL_S),
        "urgency": "high",
        "topic": _encoded(hashed),
        "user-agent": "Yabam-Push/1",
    }


def _signer(text: str) -> Vapid02:
    if len(_decoded(text)) != _KEY_BYTES:
        raise ValueError
    signer = Vapid02.from_raw(text.rstrip("=").encode())
    # Else the library refuses a path, which RFC 8292 permits; `PushKeys` checks the contact.
    signer.conf["no-strict"] = True
    return signer


def _browser_key(p256dh: str) -> EllipticCurvePublicKey:
    return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), _decoded(p256dh))


def _decoded(text: str) -> bytes:
    bare = text.rstrip("=")
    return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
