"""Writes orders: each write carries an idempotency key, so it may be sent again until it is done.

A connection that breaks leaves open whether the order was placed. The same key and body get the
same answer, so the producer simply asks again: no order is doubled, none is lost.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from client_sdk.contract.order import Guest, Item, Order
from client_sdk.contract.problem import decode_problem
from client_sdk.errors import RefusedError, UnauthorizedError, UnreachableError

_RETRIED: Final = frozenset({429, 500, 502, 503, 504})
_FIRST_DELAY_S: Final = 0.2
_MOST_DELAY_S: Final = 10.0
_decode_order: Final = msgspec.json.Decoder(Order).decode


class OrderProducer:
    """Places and steps orders over HTTP.

    Args:
        base_url: where Core is.
        token: an access token of role owner, producer or table.
        attempts: how often a write is sent before it is given up.
        new_key: makes idempotency keys.
        transport: httpx's transport, for tests and proxies.
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
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"authorization": f"Bearer {token}"},
            timeout=20.0,
            transport=transport,
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=200),
        )
        self._attempts = attempts
        self._new_key = new_key
        self._uniform = uniform
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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

        Raises:
            RefusedError: Core refuses it for good; `.problem` says why.
            UnauthorizedError: the token does not hold.
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
        """Take an order one step further; raises as `place`."""
        body = {"to": to} | ({"reason": reason} if reason is not None else {})
        return await self._write(
            "POST", f"/v1/orders/{order_id}/transitions", body, key, if_version
        )

    async def change(
        self,
        order_id: str,
        *,
        items: Sequence[Item] | None = None,
        note: str | None = None,
        if_version: int | None = None,
        key: str | None = None,
    ) -> Order:
        """Replace an order's items, its note, or both; raises as `place`."""
        body: dict[str, Any] = {}
        if items is not None:
            body["items"] = list(items)
        if note is not None:
            body["note"] = note
        return await self._write("PATCH", f"/v1/orders/{order_id}", body, key, if_version)

    async def get(self, order_id: str) -> Order:
        """The order as it stands; raises as `place`."""
        return await self._send(self._http.build_request("GET", f"/v1/orders/{order_id}"))

    async def _write(
        self,
        method: str,
        path: str,
        body: Mapping[str, object],
        key: str | None,
        if_version: int | None = None,
    ) -> Order:
        headers = {
            "content-type": "application/json",
            "idempotency-key": key or self._new_key(),
        }
        if if_version is not None:
            headers["if-match"] = f'"{if_version}"'
        content = msgspec.json.encode(body)
        return await self._send(
            self._http.build_request(method, path, content=content, headers=headers)
        )

    async def _send(self, request: httpx.Request) -> Order:
        trouble = "it was not sent"
        for attempt in range(self._attempts):
            wait_s = self._uniform(0, min(_MOST_DELAY_S, _FIRST_DELAY_S * 2**attempt))
            try:
                response = await self._http.send(request)
            except httpx.TransportError as error:
                trouble = str(error) or type(error).__name__
            else:
                if response.status_code not in _RETRIED:
                    return _order_of(response)
                trouble = _explained(response)
                after = response.headers.get("retry-after", "")
                wait_s = max(wait_s, float(after) if after.isdigit() else 0.0)
            if attempt + 1 < self._attempts:
                await self._sleep(wait_s)
        raise UnreachableError(
            f"{request.method} {request.url.path} was tried {self._attempts} times: {trouble}"
        )


def _order_of(response: httpx.Response) -> Order:
    if response.status_code in (200, 201):
        try:
            return _decode_order(response.content)
        except msgspec.DecodeError as error:
            raise RefusedError(
                f"the answer is not an order: {error}", response.status_code
            ) from error
    if response.status_code == 401:
        raise UnauthorizedError(_explained(response))
    problem = decode_problem(response.content)
    raise RefusedError(_explained(response), response.status_code, problem)


def _explained(response: httpx.Response) -> str:
    problem = decode_problem(response.content)
    if problem is None:
        return f"{response.status_code} {response.reason_phrase}"
    return f"{problem.title}: {problem.detail}" if problem.detail else problem.title
