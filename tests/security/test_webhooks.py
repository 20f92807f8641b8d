"""T40 to T42: who sees and changes a webhook, where it is sent, what its secret gives."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.integration.core_service import CoreService, bearer, new_store, token
from tests.security.routes import a_webhook, webhook_calls


async def added(core: CoreService, store: str) -> dict[str, Any]:
    """A webhook of this store, with its secret."""
    answer = await core.client.post(
        "/v1/webhooks", json=a_webhook(store), headers=bearer(token("owner", store))
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_t40_only_an_owner_of_all_its_stores_sees_a_webhook_and_changes_it(
    core: CoreService,
) -> None:
    store, other = new_store(), new_store()
    made = await added(core, store)
    webhook_id = made["webhook"]["id"]
    both = await core.client.post(
        "/v1/webhooks",
        json={"url": "https://example.com/", "stores": [store, other]},
        headers=bearer(token("owner", store)),
    )
    assert both.status_code == 403
    for who in (
        token("owner", other),
        token("producer", store),
        token("table", table=f"{store}/5"),
    ):
        for call in webhook_calls(webhook_id, store):
            answer = await call.send(core.client, who)
            assert answer.status_code in (403, 404), call
            assert "example.com" not in answer.text
        listed = await core.client.get("/v1/webhooks", headers=bearer(who))
        assert webhook_id not in listed.text
    still = await core.client.get(
        f"/v1/webhooks/{webhook_id}", headers=bearer(token("owner", store))
    )
    assert still.json()["old_secret_until"] is None


async def test_t40_ops_see_a_webhook_disable_and_resume_it_and_change_nothing_else(
    core: CoreService,
) -> None:
    store = new_store()
    path = f"/v1/webhooks/{(await added(core, store))['webhook']['id']}"
    ops, owner = bearer(token("ops")), bearer(token("owner", store))
    assert (await core.client.get(path, headers=ops)).status_code == 200
    assert (await core.client.delete(path, headers=ops)).status_code == 403
    assert (await core.client.post(f"{path}/secrets", headers=ops)).status_code == 403
    disabled = {"state": "disabled"}
    assert (await core.client.put(f"{path}/state", json=disabled, headers=owner)).status_code == 403
    assert (await core.client.put(f"{path}/state", json=disabled, headers=ops)).status_code == 200
    resumed = {"state": "active"}
    assert (await core.client.put(f"{path}/state", json=resumed, headers=owner)).status_code == 403
    answer = await core.client.put(f"{path}/state", json=resumed, headers=ops)
    assert answer.json()["state"] == "active"


async def test_t40_its_owner_alone_removes_a_webhook_that_the_database_cannot_give(
    core: CoreService,
) -> None:
    store = new_store()
    webhook_id = (await added(core, store))["webhook"]["id"]
    path = f"/v1/webhooks/{webhook_id}"
    connection = await asyncpg.connect(core.database)
    try:
        async with connection.transaction():
            await connection.execute("CREATE CAST (bytea AS text) WITHOUT FUNCTION")
            await connection.execute(
                "UPDATE webhooks SET url = '\\xff'::bytea::text WHERE id = $1", webhook_id
            )
            await connection.execute("DROP CAST (bytea AS text)")
        for who, answered in (
            (token("owner", new_store()), 404), (token("ops"), 403), (token("owner", store), 204),
            (token("owner", store), 404),
        ):  # fmt: skip
            answer = await core.client.delete(path, headers=bearer(who))
            assert answer.status_code == answered
        left = await connection.fetchval("SELECT count(*) FROM webhooks WHERE id = $1", webhook_id)
    finally:
        await connection.close()
    assert left == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fd00:ec2::254]/",
        "https://user:pw@example.com/",
        "file:///etc/passwd",
    ],
)
async def test_t41_no_webhook_is_registered_to_where_only_we_can_reach(
    core: CoreService, url: str
) -> None:
    store = new_store()
    answer = await core.client.post(
        "/v1/webhooks",
        json={"url": url, "stores": [store]},
        headers=bearer(token("owner", store)),
    )
    assert answer.status_code == 422
    assert "`url`" in answer.json()["detail"]


async def test_t42_a_secret_is_shown_once_and_stands_in_no_table(core: CoreService) -> None:
    store = new_store()
    made = await added(core, store)
    webhook_id = made["webhook"]["id"]
    owner = bearer(token("owner", store))
    shown = [
        await core.client.get(f"/v1/webhooks/{webhook_id}", headers=owner),
        await core.client.get("/v1/webhooks", headers=owner),
    ]
    rotated = (await core.client.post(f"/v1/webhooks/{webhook_id}/secrets", headers=owner)).json()
    assert rotated["secret"] != made["secret"]
    connection = await asyncpg.connect(core.database)
    row = await connection.fetchrow("SELECT * FROM webhooks WHERE id = $1", webhook_id)
    await connection.close()
    for secret in (made["secret"], rotated["secret"]):
        bare = secret.removeprefix("whsec_")
        assert all(bare not in answer.text for answer in shown)
        assert bare not in str(row)
