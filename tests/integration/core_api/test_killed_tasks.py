"""Each background task of Core fails from inside: Core goes on, starts it again, and says so."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from core_api.api.quick_syncs import PARTY_STAYS
from core_api.main import run_core
from core_api.settings import CoreSettings
from server_common import supervision
from server_common.sockets import bind
from tests.integration.core_service import KEYS, an_order, bearer, new_store, token
from tests.secure_kafka import make_certificates

_RESTARTS = re.compile(r'yabam_core_task_restarts_total\{task="([^"]+)"\} ([0-9.]+)')
TASKS = {
    "announce", "certificate", "content-digests", "count-devices", "devices", "end-documents",
    "expire-commands", "hints-in", "hints-out", "memory", "ops-day", "print-jobs",
    "printers-silent", "provider-keys", "revocations", "tail", "trim-acknowledgements",
    "trim-clients", "trim-commands", "trim-devices", "trim-empty", "trim-guest-phones",
    "trim-history", "trim-keys", "trim-log", "trim-ops-day", "trim-pairings", "trim-prints",
    "trim-pushes", "trim-reached", "trim-revocations",
}  # fmt: skip
"""All that Core runs: one that is started in another way is missing among those that it counts."""
_FAILS = "a background task of this process fails"


class CoreInside:
    """A Core in this very process, whose tasks a test can reach."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def restarts(self) -> dict[str, float]:
        """How often each task was started again."""
        answer = await self.client.get("/metrics", headers=bearer(token("ops")))
        return {name: float(count) for name, count in _RESTARTS.findall(answer.text)}

    async def kill(self, name: str) -> None:
        """Let what the task waits for fail by a bug."""
        (task,) = [one for one in asyncio.all_tasks() if one.get_name() == name]
        async with asyncio.timeout(30):
            while not self._raised_in(task):  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def is_restarted_by_a_kill(self, name: str) -> bool:
        """Kill the task; whether it was started again soon after."""
        await self.kill(name)
        for _ in range(200):
            if (await self.restarts())[name] >= 1:
                return True
            await asyncio.sleep(0.01)
        return False

    async def reason_after_a_kill(self, name: str) -> str:
        """Kill the task; why Core said soon after that it is not ready, or "" if it did not."""
        await self.kill(name)
        for _ in range(200):
            answer = await self.client.get("/readyz")
            if answer.status_code != 200:
                return str(answer.json()["detail"])
        return ""

    @staticmethod
    def _raised_in(task: asyncio.Task[Any]) -> bool:
        # What the innermost await of the task waits for; a bug there is raised inside its loop.
        waits_for = getattr(task, "_fut_waiter", None)
        if waits_for is None or waits_for.done() or isinstance(waits_for, asyncio.Task):
            return False
        waits_for.set_exception(ZeroDivisionError("a bug"))
        return True


@pytest.fixture
async def core(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[CoreInside]:
    monkeypatch.setattr(supervision, "HEALTHY_AFTER_S", 0.5)
    monkeypatch.setattr("core_api.http.server.READINESS_LEAD_S", 0.0)
    files = make_certificates(tmp_path, "nobody")
    settings = CoreSettings.model_validate(
        {
            "database_url": database_url,
            "token_keys": {"local": KEYS.token},
            "token_kid": "local",
            "ticket_keys": {"local": KEYS.ticket},
            "ticket_kid": "local",
            "tls_cert": str(files.broker),
            "tls_key": str(files.broker),
            # Nobody answers there: its keys are asked for again and again.
            "oidc_issuer": "https://127.0.0.1:9/",
            "oidc_audience": "yabam",
            "oidc_roles": {"owner": "owner"},
        }
    )
    listener = bind("127.0.0.1", 0, "YABAM_CORE_PORT")
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    trusts = ssl.create_default_context(cafile=str(files.ca))
    running = asyncio.create_task(run_core(settings, listener))
    async with httpx.AsyncClient(base_url=url, timeout=30, verify=trusts) as client:
        inside = CoreInside(client)
        await until_ready(client)
        yield inside
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    listener.close()


async def until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_each_task_that_fails_is_started_again_and_core_goes_on(core: CoreInside) -> None:
    store = new_store()
    owner = bearer(token("owner", store), yabam_device="till-1; mode=live; pending=0")
    tasks = await core.restarts()
    assert set(tasks) == TASKS
    assert set(tasks.values()) == {0.0}, "every series is there from the start"
    for killed, name in enumerate(sorted(tasks), 1):
        async with asyncio.timeout(60):
            # In the middle of a query a bug of the driver passes for a database that is away: the
            # task goes on, as it should, and is killed again.
            while not await core.is_restarted_by_a_kill(name):
                pass
        placed = await core.client.post("/v1/orders", json=an_order(store), headers=owner)
        assert placed.status_code == 201, name
        sync = f"/v1/sync?channel=store:{store}&lastEventId={killed - 1}&wait=5"
        answer = await core.client.get(sync, headers=owner)
        assert len(answer.json()["channels"][0]["events"]) == 1, name
    await until_ready(core.client)
    listed = await core.client.get(f"/v1/stores/{store}/devices", headers=owner)
    assert [device["device"] for device in listed.json()["devices"]] == ["till-1"]


async def test_a_core_whose_tail_fails_is_not_ready_and_says_why_until_it_runs_again(
    core: CoreInside,
) -> None:
    async with asyncio.timeout(60):
        # As above: in the middle of a query the bug passes for a database that is away.
        while _FAILS not in await core.reason_after_a_kill("tail"):
            await until_ready(core.client)
    assert (await core.client.get("/healthz")).status_code == 200
    await until_ready(core.client)


_ENDS: dict[str, Callable[[asyncio.Future[Any]], object]] = {
    "fails": lambda waited: waited.set_exception(ZeroDivisionError("a bug")),
    "is cancelled": lambda waited: waited.cancel(),
}


@pytest.mark.parametrize("end", list(_ENDS))
async def test_a_guests_sync_whose_check_of_the_party_fails_is_refused_alone(
    core: CoreInside, end: str
) -> None:
    store = new_store()
    owner = bearer(token("owner", store))
    killed, other = (bearer(token("table", table=f"{store}/{table}")) for table in (5, 6))
    placed = await core.client.post("/v1/orders", json=an_order(store), headers=owner)
    assert placed.status_code == 201
    path = f"/v1/sync?channel=table:{store}/5&lastEventId=0"
    syncing = asyncio.create_task(core.client.get(path, headers=killed))
    async with asyncio.timeout(60):
        while (waited := _waited_for(PARTY_STAYS)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
    _ENDS[end](waited)
    refused = await syncing
    assert refused.status_code == 500, refused.text
    assert placed.json()["id"] not in refused.text, "nothing is shown unchecked"
    assert _waited_for(PARTY_STAYS) is None, "nothing is left behind"
    for path_of, headers in (
        (f"/v1/sync?channel=table:{store}/6&lastEventId=0", other),
        (path, killed),
    ):
        assert (await core.client.get(path_of, headers=headers)).status_code == 200
    await until_ready(core.client)


def _waited_for(name: str) -> asyncio.Future[Any] | None:
    """What the task of this name waits for at its innermost await; None: there is none."""
    for task in asyncio.all_tasks():
        if task.get_name() == name:
            waited = getattr(task, "_fut_waiter", None)
            return None if waited is None or waited.done() else waited
    return None
