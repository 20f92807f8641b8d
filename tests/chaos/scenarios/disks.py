"""The database's disk is full: writes are refused with a clear reason, and no commit is lost."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter

import httpx

from tests.chaos.runner import Field, NotInjectedError, NotPossibleError, Scenario
from tests.chaos.site import aside

_ORDER = {
    "store_id": "1",
    "currency": "KRW",
    "items": [{"name": "Bibimbap", "quantity": 1, "unit_price": 9500}],
    "note": "n" * 500,
}
_PLACED = 201
_ASK_EVERY_S = 0.2
_PROBLEM = "application/problem+json"


async def _fill(ground: Field) -> str:
    site = ground.site
    if site.disk.problem is not None:
        raise NotPossibleError(f"the database has no disk of its own: {site.disk.problem}")
    answers: Counter[str] = Counter()
    async with httpx.AsyncClient(base_url=site.core_url, timeout=30) as http:
        await aside(site.disk.fill)
        try:
            await ground.until(lambda: _refused(http, ground, answers), "orders are refused", 60)
            end = time.monotonic() + 15 * ground.scale
            while time.monotonic() < end:
                await _refused(http, ground, answers)
                await asyncio.sleep(_ASK_EVERY_S)
        finally:
            await aside(site.disk.free)
        died = not site.postgres.process.running
        if died:
            await aside(site.postgres.start)
        recovered = await ground.until(lambda: _taken(http, ground), "orders are taken again", 60)
    unclear = answers.keys() - {"201", "503 unavailable"}
    if unclear:
        raise NotInjectedError(f"orders are refused by 503 and a problem: {dict(answers)}")
    return (
        f"orders were answered {dict(answers)}; PostgreSQL "
        f"{'ended and was started again' if died else 'went on'}, "
        f"orders were taken {recovered:.1f} s after there was room"
    )


async def _refused(http: httpx.AsyncClient, ground: Field, answers: Counter[str]) -> bool:
    answer = await _place(http, ground)
    answers[answer] += 1
    return answer != str(_PLACED)


async def _taken(http: httpx.AsyncClient, ground: Field) -> bool:
    return await _place(http, ground) == str(_PLACED)


async def _place(http: httpx.AsyncClient, ground: Field) -> str:
    """Core's answer to an order: its status, and the name of the problem."""
    answer = await http.post(
        "/v1/orders",
        json=_ORDER,
        headers={
            "authorization": f"Bearer {ground.site.token('till', 'owner', '*')}",
            "idempotency-key": str(uuid.uuid4()),
        },
    )
    if answer.status_code == _PLACED:
        return str(_PLACED)
    is_problem = answer.headers.get("content-type") == _PROBLEM
    name = answer.json()["type"].rpartition("/")[2] if is_problem else "no problem"
    return f"{answer.status_code} {name.rpartition(':')[2]}"


SCENARIOS = [
    Scenario(
        "disk-full",
        "no byte left on PostgreSQL's disk for 15 s",
        _fill,
        needs_disk=True,
    ),
]
