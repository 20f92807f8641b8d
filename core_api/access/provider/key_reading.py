"""Reads the keys of an OpenID provider periodically; an outage of it changes nothing.

All that it answers is bounded: in bytes, in time, and in how often it is asked.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec

from client_sdk.contract.json_decoding import decode
from core_api.access.provider.address import Provider, is_safe_url
from core_api.access.provider.key_set import KeySet, read_key_set
from core_api.errors import ProviderError
from server_common.limits import PROVIDER_ANSWER_BYTES
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.access.provider.known_keys import KnownKeys

_log = get_logger()

EVERY_S: Final = 300.0
AT_MOST_EVERY_S: Final = 5.0
"""The shortest time between two requests to the provider, whatever tokens arrive."""
_ANSWER_WITHIN_S: Final = 5.0
_DISCOVERY: Final = "/.well-known/openid-configuration"


class KeyReader:
    """Keeps the known keys as the provider has them.

    Args:
        provider: where they are.
        clock: that of the known keys.
        read: called after each attempt with whether it succeeded.
        at_most_every_s: the least time between two attempts.
    """

    def __init__(
        self,
        provider: Provider,
        clock: Callable[[], float],
        read: Callable[[bool], None] = lambda _succeeded: None,
        at_most_every_s: float = AT_MOST_EVERY_S,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._read = read
        self._at_most_every_s = at_most_every_s
        self._wanted = asyncio.Event()

    def want(self) -> None:
        """Ask for a read: a token names a key that is not known."""
        self._wanted.set()

    async def keep(self, known: KnownKeys) -> None:
        """Keep the keys up to date until cancelled."""
        verify: ssl.SSLContext | bool = True
        if self._provider.ca_file:
            verify = ssl.create_default_context(cafile=self._provider.ca_file)
        told = None
        async with httpx.AsyncClient(verify=verify, timeout=_ANSWER_WITHIN_S) as client:
            while True:
                self._wanted.clear()
                asked_at = self._clock()
                try:
                    found = await read_keys(client, self._provider)
                except ProviderError as error:
                    self._read(False)
                    if str(error) != told:
                        _log.warning("provider_keys_not_read", reason=str(error))
                    told = str(error)
                else:
                    self._read(True)
                    _say_what_is_new(told, found, len(known))
                    told = ""
                    known.replace(found.keys, asked_at)
                await asyncio.sleep(self._at_most_every_s)
                if not told:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(EVERY_S):
                            await self._wanted.wait()


async def read_keys(client: httpx.AsyncClient, provider: Provider) -> KeySet:
    """The provider's keys.

    Raises:
        ProviderError: it does not answer, or not with a key set.
    """
    return read_key_set(await _get(client, provider.keys_url or await _keys_url(client, provider)))


async def _keys_url(client: httpx.AsyncClient, provider: Provider) -> str:
    body = await _get(client, provider.issuer.rstrip("/") + _DISCOVERY)
    try:
        described = decode(_document, body)
    except msgspec.DecodeError as error:
        raise ProviderError(f"the provider's description is no JSON object: {error}") from error
    if described.get("issuer") != provider.issuer:
        raise ProviderError("the provider describes another issuer than YABAM_OIDC_ISSUER")
    url = described.get("jwks_uri")
    if not isinstance(url, str) or not is_safe_url(url):
        raise ProviderError("the provider's description names no https address of its keys")
    return url


async def _get(client: httpx.AsyncClient, url: str) -> bytes:
    # What is compressed could be far larger than what is counted here.
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    body = bytearray()
    try:
        async with (
            asyncio.timeout(_ANSWER_WITHIN_S),
            client.stream("GET", url, headers=headers, follow_redirects=False) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise ProviderError(f"{url} answers {response.status_code}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ProviderError(f"{url} sent a compressed answer, which was not asked for")
            async for part in response.aiter_raw():
                body += part
                if len(body) > PROVIDER_ANSWER_BYTES:
                    raise ProviderError(f"{url} answers more than {PROVIDER_ANSWER_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
        raise ProviderError(f"{url} does not answer: {error!r}") from error
    return bytes(body)


def _say_what_is_new(told: str | None, found: KeySet, known: int) -> None:
    if told != "" or len(found.keys) != known:
        names = [f"{name.kid} ({name.algorithm})" for name in found.keys]
        _log.info("provider_keys_read", keys=names, left_out=list(found.left_out))


_document: Final = msgspec.json.Decoder(dict[str, Any])
