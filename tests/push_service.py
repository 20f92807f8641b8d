"""A push service and its browsers: accepts messages, checks the sender, and decrypts them.

It is written from the RFCs and shares no code with the sender: 8030 (how a message is sent), 8188
and 8291 (how it is encrypted), 8292 (how the sender identifies itself).
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core_api.push.subscriptions import Subscribe
from tests.serving import Listener
from tests.webhook_receiver import status

TAKEN = status(201, location="/m/1")


class Browser:
    """One browser's subscription, with the keys that only it has."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._auth = os.urandom(16)
        self._point = self._key.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )

    @property
    def subscription(self) -> Subscribe:
        """The subscription that a page sends to Core."""
        return Subscribe(self.endpoint, encoded(self._point), encoded(self._auth), "ko")

    def decrypt(self, body: bytes) -> bytes:
        """The decrypted text of a message. Raises InvalidTag: it is not for this browser."""
        salt, size, length = body[:16], int.from_bytes(body[16:20]), body[20]
        sender, record = body[21 : 21 + length], body[21 + length :]
        assert len(record) <= size
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        shared = self._key.exchange(ec.ECDH(), theirs)
        info = b"WebPush: info\0" + self._point + sender
        secret = hkdf(self._auth, shared, info, 32)
        key = hkdf(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
        nonce = hkdf(salt, secret, b"Content-Encoding: nonce\0", 12)
        padded = AESGCM(key).decrypt(nonce, record, None).rstrip(b"\0")
        assert padded[-1:] == b"\x02"
        return padded[:-1]


@dataclass(frozen=True)
class Pushed:
    """One message that the push service has accepted."""

    path: str
    headers: dict[str, str]
    size: int
    told: dict[str, Any]
    """The decrypted content."""


class PushService:
    """Accepts messages on a port of its own.

    Args:
        key: the application server's public key, with which its browsers have subscribed.
    """

    def __init__(self, key: str) -> None:
        self.answer: Callable[[str], str | None] = lambda _: TAKEN
        """Returns the answer to a request for a path; None: it never answers."""
        self.asked: list[str] = []
        """The paths of all requests, in order."""
        self.taken: list[Pushed] = []
        self._key = key
        self._browsers: dict[str, Browser] = {}
        self._listener = Listener(self._serve)
        self._news = asyncio.Condition()

    async def __aenter__(self) -> PushService:
        await self._listener.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.stop()

    def browser(self) -> Browser:
        """A new browser, which subscribes here."""
        path = f"/push/{len(self._browsers)}"
        made = Browser(f"http://127.0.0.1:{self._listener.port}{path}")
        self._browsers[path] = made
        return made

    async def until(self, enough: Callable[[PushService], bool]) -> None:
        """Wait until `enough` is true. Raises TimeoutError after a minute."""
        async with asyncio.timeout(60), self._news:
            await self._news.wait_for(lambda: enough(self))

    def check_sender(self, authorization: str) -> None:
        """Check that the sender has the expected key, and sends to this push service."""
        scheme, _, rest = authorization.partition(" ")
        said = dict(part.strip().split("=", 1) for part in rest.split(","))
        assert (scheme, said["k"]) == ("vapid", self._key)
        point = urlsafe_b64decode(said["k"] + "=" * (-len(said["k"]) % 4))
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        claims = jwt.decode(
            said["t"],
            public,
            ["ES256"],
            audience=f"http://127.0.0.1:{self._listener.port}",
            options={"require": ["aud", "exp", "sub"]},
        )
        assert claims["exp"] <= time.time() + 86_400
        assert claims["sub"].startswith(("mailto:", "https://"))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            except asyncio.IncompleteReadError:
                return
            first, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            path = first.split(" ")[1]
            self.check_sender(headers["authorization"])
            self.asked.append(path)
            answer = self.answer(path)
            if answer is not None and answer.startswith("HTTP/1.1 2"):
                told = json.loads(self._browsers[path].decrypt(body))
                self.taken.append(Pushed(path, headers, len(body), told))
            async with self._news:
                self._news.notify_all()
            if answer is None:
                await asyncio.Event().wait()
                return
            writer.write(answer.encode())
            await writer.drain()


def hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA-256 with one block of output, step by step as in the RFC."""

    def hmac(key: bytes, text: bytes) -> bytes:
        made = HMAC(key, SHA256())
        made.update(text)
        return made.finalize()

    return hmac(hmac(salt, secret), info + b"\x01")[:length]


def encoded(raw: bytes) -> str:
    """Bytes in base64url without padding, as browsers encode them."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
