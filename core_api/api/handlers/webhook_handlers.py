"""What Core answers about webhooks."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from core_api.access.callers import EVERY_STORE, Caller
from core_api.api.answers import done, json_answer
from core_api.api.gate import Gate
from core_api.api.request_parts import JsonBody, webhook_id_of
from core_api.errors import BadRequestError, ForbiddenError
from core_api.webhooks.permissions import check_keeps, check_lists, check_registers, check_sees
from core_api.webhooks.registrations import Subscriptions
from core_api.webhooks.subscriptions import AddWebhook, Replay, SetState, Webhook, Webhooks
from server_common.logs import get_logger

log = get_logger()

ADD: Final = JsonBody(AddWebhook)
SET_STATE: Final = JsonBody(SetState)
REPLAY: Final = JsonBody(Replay)


class WebhooksApi:
    """The handlers of webhooks.

    Args:
        subscriptions: the registered webhooks.
        gate: lets callers in.
    """

    def __init__(self, subscriptions: Subscriptions, gate: Gate) -> None:
        self._subscriptions = subscriptions
        self._gate = gate

    async def add(self, request: Request) -> Response:
        """POST /v1/webhooks."""
        caller = self._gate.caller_of(request)
        wanted = await ADD.read(request)
        check_registers(caller, wanted.stores)
        made = await self._gate.serve(
            caller, lambda: self._subscriptions.add(wanted, caller.subject)
        )
        log.info("webhook_added", webhook=made.webhook.id, by=caller.subject)
        return json_answer(made, 201)

    async def list(self, request: Request) -> Response:
        """GET /v1/webhooks: those of the caller's stores."""
        caller = self._caller_of(request)
        sees_all = caller.role == "ops" or EVERY_STORE in caller.stores
        stores = None if sees_all else sorted(caller.stores)
        found = await self._gate.bounded(lambda: self._subscriptions.list(stores))
        return json_answer(Webhooks(found))

    async def get(self, request: Request) -> Response:
        """GET /v1/webhooks/{webhook}: how far each of its stores is."""
        caller = self._caller_of(request)
        with self._gate.admit():
            found = await self._found(request)
        check_sees(caller, found.id, found.stores)
        return json_answer(found)

    async def remove(self, request: Request) -> Response:
        """DELETE /v1/webhooks/{webhook}."""
        caller = self._caller_of(request)
        with self._gate.admit():
            await self._gate.check_stay(caller)
            webhook_id = webhook_id_of(request)
            # Reads only the webhook's stores, so that a damaged webhook can be removed, too.
            stores = await self._gate.within_deadline(self._subscriptions.stores_of(webhook_id))
            check_keeps(caller, webhook_id, stores)
            await self._gate.within_deadline(self._subscriptions.remove(webhook_id))
        log.info("webhook_removed", webhook=webhook_id, by=caller.subject)
        return done()

    async def rotate(self, request: Request) -> Response:
        """POST /v1/webhooks/{webhook}/secrets.

        Raises:
            BadRequestError: the query is malformed.
        """
        caller = self._caller_of(request)
        ends_old = request.query_params.get("end_old", "false")
        if ends_old not in ("true", "false"):
            raise BadRequestError("`end_old` is true or false")
        with self._gate.admit():
            found = await self._kept(request, caller)
            made = await self._gate.within_deadline(
                self._subscriptions.rotate(found.id, ends_old=ends_old == "true")
            )
        log.info("webhook_rotated", webhook=found.id, by=caller.subject)
        return json_answer(made, 201)

    async def replay(self, request: Request) -> Response:
        """POST /v1/webhooks/{webhook}/replays."""
        caller = self._caller_of(request)
        wanted = await REPLAY.read(request)
        with self._gate.admit():
            found = await self._kept(request, caller)
            now = await self._gate.within_deadline(
                self._subscriptions.replay(found.id, wanted.cursor)
            )
        log.info("webhook_replayed", webhook=found.id, cursor=wanted.cursor, by=caller.subject)
        return json_answer(now)

    async def set_state(self, request: Request) -> Response:
        """PUT /v1/webhooks/{webhook}/state: ops disable, owners and ops resume.

        Raises:
            ForbiddenError: the caller is not one who may do that.
        """
        caller = self._caller_of(request)
        is_ops = caller.role == "ops"
        wanted = await SET_STATE.read(request)
        with self._gate.admit():
            await self._gate.check_stay(caller)
            found = await self._found(request)
            check_sees(caller, found.id, found.stores)
            if wanted.state == "disabled" and not is_ops:
                raise ForbiddenError("only ops disable webhooks: remove it instead")
            now = await self._gate.within_deadline(
                self._subscriptions.set_state(found.id, wanted.state, is_ops=is_ops)
            )
        log.info("webhook_state_set", webhook=found.id, state=wanted.state, by=caller.subject)
        return json_answer(now)

    def _caller_of(self, request: Request) -> Caller:
        caller = self._gate.caller_of(request)
        check_lists(caller)
        return caller

    async def _kept(self, request: Request, caller: Caller) -> Webhook:
        await self._gate.check_stay(caller)
        found = await self._found(request)
        check_keeps(caller, found.id, found.stores)
        return found

    async def _found(self, request: Request) -> Webhook:
        return await self._gate.within_deadline(self._subscriptions.get(webhook_id_of(request)))
