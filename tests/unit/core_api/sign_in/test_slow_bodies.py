"""What becomes of the caller while a body comes: revoked meanwhile, or charged for its bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.types import Message

from core_api.access.callers import Caller
from core_api.access.sign_in import SignIn
from core_api.api.app import core_app
from core_api.api.gate import ApiLimits, Gate
from core_api.api.handlers.ops_handlers import OpsApi
from core_api.api.handlers.order_handlers import CoreApi
from core_api.api.handlers.print_handlers import PrintApi
from core_api.api.handlers.revocation_handlers import RevocationsApi
from core_api.api.routes import Handlers
from core_api.errors import UnauthorizedError
from core_api.metrics import CoreMetrics
from core_api.orders.service import OrderService
from core_api.overload import Bound, RateLimit
from core_api.wiring import new_order_id, utc_now
from tests.security.routes import Call, calls
from tests.unit.core_api.samples import (
    devices_api,
    everybody_stays,
    push_api,
    state_api,
    webhooks_api,
)
from tests.unit.core_api.test_fast_path import SIGN_INS, TOKENS, answer_of, scope_of

RATE = RateLimit(1e9, 10**9, lambda: 0.0)
STORE = "12"
ORDER_ID = "018f0000-0000-7000-8000-000000000000"
FOR_OPS = {"/v1/revocations", "/v1/ops/acknowledgements"}
WITH_A_BODY = [
    call
    for call in calls(STORE, ORDER_ID)
    # A sync writes nothing; before it answers, the token is looked at once more.
    if call.json is not None and call.route != "/v1/sync"
]


class RevokedMeanwhile:
    """Lets a caller in once, and finds it revoked ever after."""

    def __init__(self) -> None:
        self._asked = 0

    def check(self, _caller: Caller) -> None:
        self._asked += 1
        if self._asked > 1:
            raise UnauthorizedError("this token has been revoked: sign in again")


class RevokedForOne(RevokedMeanwhile):
    """As that, for each request."""

    def check(self, caller: Caller) -> None:
        try:
            super().check(caller)
        except UnauthorizedError:
            self._asked = 0
            raise


def core(revoked: RevokedMeanwhile, bodies: RateLimit = RATE) -> Any:
    """A Core over no database: whatever is done fails."""
    nothing: Any = None
    bound = Bound(9, "commands", lambda low, _high: low)
    limits = ApiLimits(bound, RATE, bodies, 5.0, RATE)
    gate = Gate(SignIn(TOKENS, None, revoked.check), limits, everybody_stays)
    orders = OrderService(nothing, 4, utc_now, new_order_id, lambda _channels: None)
    metrics = CoreMetrics(lambda: 0, {"sync": bound})
    ops = OpsApi(nothing, nothing, nothing, gate)
    api = CoreApi(orders, nothing, nothing, nothing, gate, metrics, nothing, ops)
    prints = PrintApi(nothing, nothing, gate)
    revocations = RevocationsApi(nothing, nothing, gate, lambda: 1000.0)
    state, devices = state_api(gate), devices_api(gate, TOKENS)
    webhooks, pushes = webhooks_api(gate), push_api(gate)
    return core_app(
        Handlers(api, state, devices, prints, SIGN_INS, revocations, webhooks, pushes), ["*"]
    )


@pytest.mark.parametrize("call", WITH_A_BODY, ids=lambda call: f"{call.method} {call.path}")
async def test_a_token_that_is_revoked_meanwhile_does_nothing_more(call: Call) -> None:
    sent = await answered(core(RevokedMeanwhile()), call)
    assert sent[0]["status"] == 401
    assert b"revoked" in sent[1]["body"]


@pytest.mark.parametrize("call", WITH_A_BODY, ids=lambda call: f"{call.method} {call.path}")
async def test_whoever_has_sent_too_many_bytes_waits(call: Call) -> None:
    size = len(json.dumps(call.json))
    app = core(RevokedForOne(), RateLimit(1.0, size, lambda: 0.0, "bytes"))
    assert (await answered(app, call))[0]["status"] == 401, "the first is let in"
    sent = await answered(app, call)
    assert sent[0]["status"] == 429
    assert b"sends more than 1 bytes a second: slow down" in sent[1]["body"]


async def answered(app: Any, call: Call) -> list[Message]:
    role: Any = "ops" if call.route in FOR_OPS else "owner"
    who = TOKENS.sign(Caller("x", role, frozenset({STORE}) if role == "owner" else frozenset()), 60)
    headers = [
        ("authorization", f"Bearer {who}"),
        ("content-type", "application/json"),
        *call.headers.items(),
    ]
    body = json.dumps(call.json).encode()
    return await answer_of(app, scope_of("", headers, call.method, call.path), body)
