"""The compose file for `secure`, over the first one: TLS with accounts, and nothing beside it.

`tests/end_to_end/test_secure_profile.py` runs real servers with these settings.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from deploy.docker import prepare
from tests.deploy.composed import (
    DEPLOY,
    composed,
    environment_of,
    replaced,
    secret_files,
    unlike_any_other,
)
from tests.deploy.manifests import OURS, load

READS_KAFKA = {"relay", "ingest", "events", "mqtt"}
READS_POSTGRES = {"migrate", "core", "relay", "ingest", "mqtt-admin", "webhooks"}


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return composed("compose.yaml", "compose.secure.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("deploy")
    prepare.prepare(made, "https://orders.example", unlike_any_other())
    return made


@pytest.mark.parametrize("name", OURS)
def test_every_process_verifies_the_servers_that_it_connects_to(
    whole: dict[str, Any], folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = whole["services"][name]
    environment = environment_of(service, prepare.read(folder / ".env"))
    files = secret_files(whole, folder)
    here = {variable: replaced(value, files) for variable, value in environment.items()}
    load(OURS[name], here, monkeypatch)
    assert ("YABAM_KAFKA" in environment) == (name in READS_KAFKA)
    if name in READS_KAFKA:
        assert environment["YABAM_KAFKA_TLS"] == "true"
        assert environment["YABAM_KAFKA_CA_FILE"] == "/run/secrets/kafka_ca"
        assert "kafka_ca" in service["secrets"]
    assert ("YABAM_DATABASE_URL" in environment) == (name in READS_POSTGRES)
    if name in READS_POSTGRES:
        options = "?sslmode=verify-full&sslrootcert=/run/secrets/postgres_ca"
        assert environment["YABAM_DATABASE_URL"].endswith(options)
        assert "postgres_ca" in service["secrets"]


def test_each_process_has_an_account_of_its_own_at_kafka(
    whole: dict[str, Any], folder: Path
) -> None:
    values = prepare.read(folder / ".env")
    known = whole["services"]["kafka"]["environment"]
    accounts = known["KAFKA_LISTENER_NAME_ACCOUNTS_PLAIN_SASL_JAAS_CONFIG"]
    users = dict(re.findall(r'user_(\w+)="\$\{(\w+)', accounts))
    taken = set()
    for name in READS_KAFKA:
        environment = environment_of(whole["services"][name], values)
        user = environment["YABAM_KAFKA_USER"]
        assert environment["YABAM_KAFKA_PASSWORD"] == values[users[user]]
        taken.add(user)
    assert taken == set(users) - {"broker"}


def test_nobody_is_let_in_without_tls(whole: dict[str, Any]) -> None:
    kafka = whole["services"]["kafka"]["environment"]
    protocols = dict(
        one.split(":") for one in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    )
    for listener in kafka["KAFKA_LISTENERS"].split(","):
        name, _, address = listener.partition("://")
        assert protocols[name] == "SASL_SSL" or address.startswith("127.0.0.1:")
    rules = (DEPLOY / "postgres/pg_hba.conf").read_text().splitlines()
    kinds = [line.split() for line in rules if not line.startswith("#")]
    assert {kind[0] for kind in kinds} == {"local", "hostssl"}
    assert {kind[-1] for kind in kinds} == {"scram-sha-256"}


def test_postgres_keeps_what_it_was_told_before(whole: dict[str, Any]) -> None:
    before = composed("compose.yaml")["services"]["postgres"]["command"][1:]
    now = whole["services"]["postgres"]["command"][-1].split()
    assert set(before) <= set(now)


def test_every_file_of_it_is_made_by_prepare(whole: dict[str, Any], folder: Path) -> None:
    for secret in whole["secrets"].values():
        assert (folder / secret["file"]).exists(), secret
    for service in whole["services"].values():
        assert set(service.get("secrets", [])) <= set(whole["secrets"])
