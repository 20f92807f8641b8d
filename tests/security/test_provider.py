"""T38: tokens of a real OpenID provider, beside our own."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest

from deploy.local.postgres import EmbeddedPostgres
from tests.integration.core_service import KEYS, CoreService, an_order, bearer, token
from tests.openid.provider import ALGORITHMS, AUDIENCE, OpenIdProvider
from tests.parts import migrated_database
from tests.unit.core_api.sign_in.provider import by_hand

pytestmark = pytest.mark.xdist_group("openid-provider")
CLAIMS = {
    "shop": {"roles": ["shop-owner"], "stores": ["71"]},
    "till": {"roles": ["order-service"], "stores": ["*"]},
    "platform": {"roles": ["platform"]},
    "guest": {"roles": ["guest"]},
}


@dataclass
class Installed:
    """A Core whose operator has a provider."""

    core: CoreService
    provider: OpenIdProvider

    async def status(self, who: str, path: str = "/v1/sync?channel=store:71") -> int:
        """What Core answers to the holder of this token, once it knows."""
        async with asyncio.timeout(30):
            while (answer := await self.core.client.get(path, headers=bearer(who))).is_server_error:
                assert answer.status_code == 503, answer.text
                await asyncio.sleep(float(answer.headers["retry-after"]) / 10)
        return answer.status_code


@pytest.fixture(scope="module")
def openid_core(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    """Core and the provider; each test that changes its keys leaves them changed."""
    provider = OpenIdProvider(CLAIMS)
    provider.start("first")
    settings = {
        "YABAM_OIDC_ISSUER": provider.issuer,
        "YABAM_OIDC_AUDIENCE": AUDIENCE,
        "YABAM_OIDC_ROLES": '{"platform":"ops","shop-owner":"owner","order-service":"producer"}',
    }
    database = asyncio.run(migrated_database(postgres_server))
    core = CoreService.start(database, tmp_path_factory.mktemp("openid"), settings)
    yield Installed(core, provider)
    core.stop()
    provider.stop()


@pytest.fixture
async def site(openid_core: Installed) -> AsyncIterator[Installed]:
    """The same, with a client of this test's loop."""
    core = CoreService.over(openid_core.core.database, openid_core.core.stack)
    async with core.client:
        yield Installed(core, openid_core.provider)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_t38_a_providers_token_opens_what_its_claims_stand_for(
    site: Installed, algorithm: str
) -> None:
    shop = await site.provider.token("shop", algorithm)
    assert jwt.get_unverified_header(shop)["alg"] == algorithm
    assert await site.status(shop) == 200
    assert await site.status(shop, "/v1/sync?channel=store:72") == 403
    assert await site.status(shop, "/metrics") == 403


async def test_t38_each_role_may_what_it_may_with_a_token_of_ours(site: Installed) -> None:
    till, platform = [await site.provider.token(name) for name in ("till", "platform")]
    assert await site.status(till, "/v1/definitions") == 200
    placed = await site.core.client.post("/v1/orders", json=an_order("71"), headers=bearer(till))
    assert placed.status_code == 201
    assert await site.status(till) == 403
    assert await site.status(platform, "/metrics") == 200
    assert await site.status(platform) == 200


async def test_t38_a_token_without_a_role_here_is_told_which_claim_lacks(site: Installed) -> None:
    guest = await site.provider.token("guest")
    assert await site.status(guest) == 403
    refused = await site.core.client.get("/v1/definitions", headers=bearer(guest))
    assert "/roles" in refused.json()["detail"]


async def test_t38_nobody_else_signs_in_the_providers_name(site: Installed) -> None:
    shop = await site.provider.token("shop")
    claims = jwt.decode(shop, options={"verify_signature": False})
    key_set = (await httpx_get(f"{site.provider.issuer}/jwks")).content
    kid = jwt.get_unverified_header(shop)["kid"]
    for secret in (key_set, KEYS.token.encode(), b"s" * 32):
        for name in (kid, "local"):
            assert await site.status(by_hmac(secret, name, claims)) == 401
    assert await site.status(shop[:-8] + "AAAAAAAA") == 401
    assert await site.status(by_hand({"alg": "none", "kid": kid}, claims, b"")) == 401


async def test_t38_a_change_of_keys_signs_nobody_out_and_ends_the_old_ones(
    site: Installed,
) -> None:
    before = await site.provider.token("shop")
    assert await site.status(before) == 200
    site.provider.stop()
    # Known keys go on without the provider, and so do our own.
    for who in (before, token("owner", "71")):
        assert await site.status(who) == 200
    site.provider.start("second")
    after = await site.provider.token("shop")
    assert await site.status(after) == 200
    # The provider has taken the old key from its set.
    assert await site.status(before) == 401


async def test_t38_made_up_keys_are_asked_for_no_more_often_than_every_few_seconds(
    site: Installed,
) -> None:
    claims = {"iss": site.provider.issuer, "aud": AUDIENCE, "sub": "x", "exp": time.time() + 60}
    shop = await site.provider.token("shop")
    before = await readings(site)
    began = time.monotonic()
    for number in range(200):
        made_up = by_hand({"alg": "RS256", "kid": f"made-up-{number}"}, claims, b"x" * 256)
        answer = await site.core.client.get("/v1/definitions", headers=bearer(made_up))
        assert answer.status_code in (401, 503)
    took_s = time.monotonic() - began
    assert await readings(site) - before <= 1 + took_s / 4.9
    assert await site.status(shop) == 200


async def readings(site: Installed) -> float:
    """How often Core has read the provider's keys."""
    text = (await site.core.client.get("/metrics", headers=bearer(token("ops")))).text
    names = "yabam_core_provider_reads_total{"
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(names))


def by_hmac(secret: bytes, kid: str, claims: dict[str, Any]) -> str:
    """A token that a library would not sign with such a secret."""
    header = {"alg": "HS256", "kid": kid}
    unsigned = by_hand(header, claims, b"").rpartition(".")[0]
    return by_hand(header, claims, hmac.digest(secret, unsigned.encode(), "sha256"))


async def httpx_get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(url)
