"""The attacked system, and PostgreSQL for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.local.postgres import EmbeddedPostgres
from tests.attack.site import KAFKA_BUILD, SETTINGS, Site
from tests.parts import migrated_database
from tests.security.installation import installed


@pytest.fixture(scope="package")
def site(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """One system for all attacks, one after the other. Damage by one shows in the next, too.

    It is stopped after the last attack, because it uses an eighth of a core when idle.
    """
    database = asyncio.run(migrated_database(postgres_server))
    folder = tmp_path_factory.mktemp("attacked")
    kafka = KafkaServer(folder / "kafka", ensure_libs(KAFKA_BUILD, print))
    with installed(database, folder, SETTINGS, kafka) as stack:
        yield Site.over(stack)
