"""Checks the request that opens a WebSocket (RFC 6455, section 4.2.1). Pure.

Browsers let a page of any site open a WebSocket without asking first. A socket needs a ticket, as a
stream does, so a foreign page gains nothing; the origin is checked in addition.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterable
from typing import Final

from websockets.utils import accept_key

from client_sdk.contract.socket import SUBPROTOCOL
from event_server.errors import StreamRefusedError

_VERSION: Final = "13"
_KEY_BYTES: Final = 16


class Origins:
    """The origins whose pages may open a socket.

    Args:
        origins: as in YABAM_CORS_ORIGINS; `*`: all.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)
        self._all = "*" in self._origins

    def check(self, origin: str, host: str) -> None:
        """Check a request's Origin; programs send none (empty).

        Args:
            origin: as `https://orders.example`.
            host: the request's Host; a page of the same host may always.

        Raises:
            StreamRefusedError: pages of this origin may not.
        """
        if not origin or self._all or origin in self._origins:
            return
        if not host or origin not in (f"https://{host}", f"http://{host}"):
            raise StreamRefusedError("forbidden", "pages of this origin may not open a socket")


def check_subprotocol(offered: str) -> None:
    """Check the Sec-WebSocket-Protocol header.

    Raises:
        StreamRefusedError: ours is not among them.
    """
    if SUBPROTOCOL not in _tokens(offered):
        raise StreamRefusedError(
            "bad-request", f"offer the subprotocol: Sec-WebSocket-Protocol: {SUBPROTOCOL}"
        )


def check_upgrade(http_1_1: bool, upgrade: str, connection: str, version: str, key: str) -> str:
    """Check the headers of a WebSocket upgrade; an empty text stands for a missing header.

    Args:
        http_1_1: whether the request is of HTTP/1.1.
        upgrade: the header Upgrade.
        connection: the header Connection.
        version: Sec-WebSocket-Version.
        key: Sec-WebSocket-Key.

    Returns:
        The value of Sec-WebSocket-Accept.

    Raises:
        StreamRefusedError: the request is not a valid upgrade.
    """
    wants = "websocket" in _lower_tokens(upgrade) and "upgrade" in _lower_tokens(connection)
    if not (http_1_1 and wants):
        raise StreamRefusedError(
            "upgrade-required", "this is a WebSocket: streams for others are at /v1/stream"
        )
    if version.strip() != _VERSION:
        raise StreamRefusedError(
            "upgrade-required", f"this server speaks version {_VERSION} of WebSocket"
        )
    key = key.strip()
    try:
        length = len(b64decode(key.encode("ascii"), validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if length != _KEY_BYTES:
        raise StreamRefusedError(
            "bad-request", f"Sec-WebSocket-Key is not {_KEY_BYTES} bytes in base64"
        )
    return accept_key(key)


def _tokens(text: str) -> list[str]:
    return [token.strip() for token in text.split(",")]


def _lower_tokens(text: str) -> list[str]:
    return [token.lower() for token in _tokens(text)]
