"""Writes orders. Each write has an idempotency key, so it can be retried until it is done.

After a broken connection it is not known whether the order was placed. A retry with the same key
and body gets the same answer: no order is duplicated or lost.

All errors that it raises are errors of this package.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self

import httpx
import msgspec

from client_sdk.contract.errors import ContractError
from client_sdk.contract.order import Guest, Item, Order, decode_order
from client_sdk.contract.problem import decode_problem
from client_sdk.contract.text import is_key, is_order_id
from client_sdk.errors import RefusedError, UnauthorizedError, UnreachableError
from client_sdk.machine.backoff import longest_wait
from client_sdk.transport.http_bodies import PACKED, answer_of, bearer, no_cookies
from client_sdk.transport.http_failures import retry_after, shortened

_RETRIED: Final = frozenset({429, 500, 502, 503, 504})
_FIRST_DELAY_S: Final = 0.2
_MAX_DELAY_S: Final = 10.0
MAX_RETRY_AFTER_S: Final = 60.0
"""The longest wait for a server's Retry-After, in seconds; the request is then sent again
anyway."""
MAX_ANSWER_BYTES: Final = 4 << 20
"""The longest answer that is read: many times the largest order."""
ATTEMPT_TIMEOUT_S: Final = 60.0
"""How long one attempt may take in all, in seconds, even while bytes keep arriving."""


class OrderProducer:
    """Places orders and changes them over HTTP.

    Args:
        base_url: Core's address.
        token: an access token of role owner, producer or table.
        attempts: how often a write is sent before it fails.
        new_key: returns a new idempotency key.
        transport: httpx's transport, for tests and proxies.
        uniform: returns a random number evenly between two, for the length of a wait.
        sleep: waits for so many seconds.
        retrying: called before each wait with the number of failed attempts, the seconds until the
            next one, and the error's text.

    Raises:
        ContractError: the address or the token is malformed.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        attempts: int = 8,
        new_key: Callable[[], str] = lambda: str(uuid.uuid4()),
        transport: httpx.AsyncBaseTransport | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        retrying: Callable[[int, float, str], None] = lambda _failed, _wait_s, _trouble: None,
    ) -> None:
        with _as_ours("this producer cannot be made"):
            self._http = httpx.AsyncClient(
                base_url=base_url,
                headers=bearer(token) | PACKED,
                timeout=20.0,
                transport=transport,
                limits=httpx.Limits(max_connections=200, max_keepalive_connections=200),
                cookies=no_cookies(),
            )
        self._attempts = attempts
        self._new_key = new_key
        self._uniform = uniform
        self._sleep = sleep
        self._retrying = retrying

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_raised: object) -> None:
        await self._http.aclose()

    async def place(
        self,
        store_id: str,
        items: Sequence[Item],
        *,
        currency: str,
        table_id: str | None = None,
        note: str = "",
        reference: str | None = None,
        guest: Guest | None = None,
        key: str | None = None,
    ) -> Order:
        """Place an order; give the `key` of an earlier attempt to finish that one.

        Args:
            store_id: the store that is to make it.
            items: the ordered items, at least one.
            currency: the currency of all prices, as in ISO 4217.
            table_id: the table of the store; None: the order belongs to no table.
            note: for the store to read.
            reference: the producer's own name for the order.
            guest: who ordered.
            key: the idempotency key; None: a new one.

        Returns:
            The order as Core has stored it.

        Raises:
            RefusedError: Core refuses it, and a retry is no use; `.problem` says why.
            UnauthorizedError: the token is not valid.
            ContractError: an argument cannot be sent, such as a malformed order id.
            UnreachableError: every attempt failed; send it again with the same key.
        """
        body = {
            "store_id": store_id,
            "table_id": table_id,
            "currency": currency,
            "items": list(items),
            "note": note,
            "reference": reference,
            "guest": guest,
        }
        return await self._write("POST", "/v1/orders", body, key)

    async def transition(
        self,
        order_id: str,
        to: str,
        *,
        reason: str | None = None,
        if_version: int | None = None,
        key: str | None = None,
    ) -> Order:
        """Move an order to another status; raises as `place`.

        Args:
            order_id: the order's id.
            to: the new status.
            reason: the reason, such as for a rejection.
            if_version: refuse it unless the order has this version.
            key: the idempotency key; None: a new one.

        Returns:
            The order after it.
        """
        body = {"to": to} | ({"reason": reason} if reason is not None else {})
        return await self._write("POST", f"{_path_of(order_id)}/transitions", body, key, if_version)

    async def change(
        self,
        order_id: str,
        *,
        items: Sequence[Item] | None = None,
        note: str | None = None,
        if_version: int | None = None,
        key: str | None = None,
    ) -> Order:
        """Replace an order's items, its note, or both; raises as `place`.

        Args:
            order_id: the order's id.
            items: all items of the order from now on; None: unchanged.
            note: the new note; None: unchanged.
            if_version: refuse it unless the order has this version.
            key: the idempotency key; None: a new one.

        Returns:
            The order after it.
        """
        body: dict[str, Any] = {}
        if items is not None:
            body["items"] = list(items)
        if note is not None:
            body["note"] = note
        return await self._write("PATCH", _path_of(order_id), body, key, if_version)

    async def get(self, order_id: str) -> Order:
        """The current order; raises as `place`."""
        return await self._send(self._http.build_request("GET", _path_of(order_id)))

    async def _write(
        self,
        method: str,
        path: str,
        body: Mapping[str, object],
        key: str | None,
        if_version: int | None = None,
    ) -> Order:
        key = key or self._new_key()
        if not is_key(key):
            raise ContractError(
                f"{key[:80]!a} is not an idempotency key: write 1 to 255 visible ASCII characters"
            )
        headers = {"content-type": "application/json", "idempotency-key": key}
        if if_version is not None:
            headers["if-match"] = f'"{if_version}"'
        with _as_ours("this cannot be sent"):
            content = msgspec.json.encode(body)
            request = self._http.build_request(method, path, content=content, headers=headers)
        return await self._send(request)

    async def _send(self, request: httpx.Request) -> Order:
        trouble = "it was not sent"
        for attempt in range(self._attempts):
            wait_s = self._uniform(0, longest_wait(attempt + 1, _FIRST_DELAY_S, _MAX_DELAY_S))
            try:
                response, body = await self._ask(request)
            except UnreachableError as error:
                trouble = str(error)
            else:
                if response.status_code not in _RETRIED:
                    return _order_of(response, body)
                trouble = _explained(response, body)
                asked_s = retry_after(response.headers) or 0.0
                wait_s = max(wait_s, min(asked_s, MAX_RETRY_AFTER_S))
            if attempt + 1 < self._attempts:
                self._retrying(attempt + 1, wait_s, trouble)
                await self._sleep(wait_s)
        raise UnreachableError(
            f"{request.method} {request.url.path} was tried {self._attempts} times: {trouble}"
        )

    async def _ask(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        """Send the request once. Returns the answer and its body.

        Raises:
            UnreachableError: there is no answer, or it cannot be read.
        """
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_S):
                return await answer_of(self._http, request, MAX_ANSWER_BYTES)
        except Exception as error:
            # Any library's error: it is not known whether the write was done, so it is sent again.
            raise UnreachableError(shortened(str(error) or type(error).__name__)) from error


@contextmanager
def _as_ours(what: str) -> Iterator[None]:
    """Turn a library's error about an argument into an error of this package."""
    try:
        yield
    except (httpx.InvalidURL, TypeError, ValueError, msgspec.MsgspecError) as error:
        raise ContractError(f"{what}: {error}") from error


def _path_of(order_id: str) -> str:
    """The path of an order.

    Raises:
        ContractError: it is not an order id, and could lead to another path.
    """
    if not is_order_id(order_id):
        raise ContractError(
            f"{order_id[:80]!a} is not an order id: write a UUID in lower case, such as "
            "01a1fc0c-7a60-77c9-ba73-87c38a9e69f5"
        )
    return f"/v1/orders/{order_id}"


def _order_of(response: httpx.Response, body: bytes) -> Order:
    status = response.status_code
    if status in (200, 201):
        try:
            return decode_order(body)
        except msgspec.DecodeError as error:
            raise RefusedError(f"the answer is not an order: {error}", status) from error
    if status == 401:
        raise UnauthorizedError(_explained(response, body))
    raise RefusedError(_explained(response, body), status, decode_problem(body))


def _explained(response: httpx.Response, body: bytes) -> str:
    problem = decode_problem(body)
    if problem is None:
        return shortened(f"{response.status_code} {response.reason_phrase}")
    return shortened(f"{problem.title}: {problem.detail}" if problem.detail else problem.title)
