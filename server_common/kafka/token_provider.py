"""Tokens for SASL/OAUTHBEARER: asked for by client credentials (RFC 6749, 4.4), and kept."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Final

import httpx
import msgspec
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError
from msgspec import Struct

from client_sdk.contract.json_decoding import decode
from server_common.kafka.client_credentials import ClientCredentials

_ANSWER_WITHIN_S: Final = 5.0
_MAX_BYTES: Final = 64 * 1024
_SHARE_USED: Final = 0.8
"""A token is used for this share of its life, so that none expires on its way."""


class _Granted(Struct, frozen=True):
    access_token: str
    expires_in: float = 60.0


_granted: Final = msgspec.json.Decoder(_Granted)


class FetchedTokens(AbstractTokenProvider):  # type: ignore[misc]
    """Gives aiokafka a token for each connection.

    Args:
        credentials: where tokens come from.
        clock: seconds that only go forward.
    """

    def __init__(
        self, credentials: ClientCredentials, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._asking = asyncio.Lock()
        self._token = ""
        self._good_until = float("-inf")

    async def token(self) -> str:
        """A token that is good for a while.

        Raises:
            KafkaConnectionError: none can be had now; the text holds no secret.
        """
        async with self._asking:
            if self._clock() >= self._good_until:
                asked_at = self._clock()
                granted = await self._ask()
                self._token = granted.access_token
                self._good_until = asked_at + _SHARE_USED * granted.expires_in
            return self._token

    async def _ask(self) -> _Granted:
        at = self._credentials
        form = {"grant_type": "client_credentials"} | ({"scope": at.scope} if at.scope else {})
        verify = ssl.create_default_context(cafile=at.ca_file) if at.ca_file else True
        body = bytearray()
        try:
            async with (
                asyncio.timeout(_ANSWER_WITHIN_S),
                httpx.AsyncClient(verify=verify, timeout=_ANSWER_WITHIN_S) as client,
                client.stream(
                    "POST",
                    at.token_url,
                    data=form,
                    auth=(at.client_id, at.client_secret),
                    headers={"accept-encoding": "identity"},
                ) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise KafkaConnectionError(f"{at.token_url} answers {response.status_code}")
                async for part in response.aiter_raw():
                    body += part
                    if len(body) > _MAX_BYTES:
                        raise KafkaConnectionError(f"{at.token_url} answers too much")
            return decode(_granted, bytes(body))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
            raise KafkaConnectionError(f"{at.token_url}: {type(error).__name__}") from error
        except msgspec.DecodeError as error:
            raise KafkaConnectionError(f"{at.token_url} answers no token: {error}") from error
