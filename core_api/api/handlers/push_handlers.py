"""The handlers of Web Push: which browsers are notified of orders."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from core_api.api.answers import done, json_answer
from core_api.api.gate import Gate
from core_api.api.request_parts import JsonBody, device_id_of, store_of, table_of
from core_api.errors import ForbiddenError
from core_api.push.guests import GuestPhones, check_guest
from core_api.push.permissions import check_sees, check_subscribes
from core_api.push.registrations import PushSubscriptions
from core_api.push.subscriptions import GuestPushes, Pushes, PushKey, Subscribe
from server_common.logs import get_logger

_log = get_logger()

SUBSCRIBE: Final = JsonBody(Subscribe)


class PushApi:
    """The handlers of pushes.

    Args:
        subscriptions: owners' browsers.
        guests: guests' phones; the guest's token says which table's.
        gate: lets callers in.
    """

    def __init__(self, subscriptions: PushSubscriptions, guests: GuestPhones, gate: Gate) -> None:
        self._subscriptions = subscriptions
        self._guests = guests
        self._gate = gate

    async def key(self, request: Request) -> Response:
        """GET /v1/push: what a browser subscribes with.

        Raises:
            ForbiddenError: the caller is neither an owner nor a guest.
        """
        if self._gate.caller_of(request).role not in ("owner", "table"):
            raise ForbiddenError("only owners and guests are told of orders")
        return json_answer(PushKey(self._subscriptions.key))

    async def list(self, request: Request) -> Response:
        """GET /v1/stores/{id}/pushes: which browsers are subscribed."""
        caller = self._gate.caller_of(request)
        store_id = store_of(request)
        check_sees(caller, store_id)
        found = await self._gate.bounded(lambda: self._subscriptions.list(store_id))
        return json_answer(Pushes(found))

    async def put(self, request: Request) -> Response:
        """PUT /v1/stores/{id}/pushes/{device}: subscribe a browser, or keep it subscribed."""
        caller = self._gate.caller_of(request)
        store_id, device = store_of(request), device_id_of(request)
        check_subscribes(caller, store_id)
        wanted = await SUBSCRIBE.read(request)
        await self._gate.serve(
            caller, lambda: self._subscriptions.put(store_id, device, wanted, caller.holder)
        )
        _log.info("push_subscribed", store=store_id, device=device, by=caller.subject)
        return done()

    async def remove(self, request: Request) -> Response:
        """DELETE /v1/stores/{id}/pushes/{device}: unsubscribe a browser."""
        caller = self._gate.caller_of(request)
        store_id, device = store_of(request), device_id_of(request)
        check_subscribes(caller, store_id)
        await self._gate.serve(caller, lambda: self._subscriptions.remove(store_id, device))
        _log.info("push_removed", store=store_id, device=device, by=caller.subject)
        return done()

    async def list_guests(self, request: Request) -> Response:
        """GET /v1/stores/{id}/guest-pushes: which guests' phones are subscribed."""
        caller = self._gate.caller_of(request)
        store_id = store_of(request)
        check_sees(caller, store_id)
        found = await self._gate.bounded(lambda: self._guests.list(store_id))
        return json_answer(GuestPushes(found))

    async def remove_of_guest(self, request: Request) -> Response:
        """DELETE /v1/stores/{id}/guest-pushes/{table}/{device}: unsubscribe a guest's phone."""
        caller = self._gate.caller_of(request)
        table, device = table_of(request), device_id_of(request)
        check_subscribes(caller, table.root)
        await self._gate.bounded(lambda: self._guests.remove_from(table, device))
        _log.info("guest_push_removed", table=str(table), device=device, by=caller.subject)
        return done()

    async def put_guest(self, request: Request) -> Response:
        """PUT /v1/guest-pushes/{device}: subscribe a guest's phone, or keep it subscribed."""
        caller = self._gate.caller_of(request)
        device = device_id_of(request)
        table = check_guest(caller)
        self._subscriptions.check_sends()
        wanted = await SUBSCRIBE.read(request)
        await self._gate.serve(caller, lambda: self._guests.put(caller, device, wanted))
        _log.info("guest_push_subscribed", table=str(table), device=device)
        return done()

    async def remove_guest(self, request: Request) -> Response:
        """DELETE /v1/guest-pushes/{device}: unsubscribe a guest's phone."""
        caller = self._gate.caller_of(request)
        device = device_id_of(request)
        table = check_guest(caller)
        await self._gate.serve(caller, lambda: self._guests.remove(caller, device))
        _log.info("guest_push_removed", table=str(table), device=device)
        return done()
