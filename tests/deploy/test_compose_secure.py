"""The compose file for `secure`, over the first one: only TLS, with accounts.

`tests/end_to_end/test_secure_profile.py` runs real servers with these settings.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from client_sdk.cli import all_commands
from core_api.settings import PermitSettings
from deploy.docker import prepare
from tests.deploy.composed import (
    DEPLOY,
    composed,
    environment_of,
    replaced,
    secret_files,
    secrets_of,
    unlike_any_other,
)
from tests.deploy.manifests import OURS, SERVERS, load

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
    files = secret_files(whole, folder, service)
    here = {variable: replaced(value, files) for variable, value in environment.items()}
    load(OURS[name], here, monkeypatch)
    assert ("YABAM_KAFKA" in environment) == (name in READS_KAFKA)
    if name in READS_KAFKA:
        assert environment["YABAM_KAFKA_TLS"] == "true"
        assert environment["YABAM_KAFKA_CA_FILE"] == "/run/secrets/kafka_ca"
        assert secrets_of(service)["kafka_ca"] == "kafka_ca"
        after = service["depends_on"]["kafka-rights"]["condition"]
        assert after == "service_completed_successfully"
    assert ("YABAM_DATABASE_URL" in environment) == (name in READS_POSTGRES)
    if name in READS_POSTGRES:
        options = "?sslmode=verify-full&sslrootcert=/run/secrets/postgres_ca"
        assert environment["YABAM_DATABASE_URL"].endswith(options)
        assert secrets_of(service)["postgres_ca"] == "postgres_ca"


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
    rights = environment_of(whole["services"]["kafka-rights"], values)
    assert rights["YABAM_KAFKA_PASSWORD"] == values[users[rights["YABAM_KAFKA_USER"]]]
    assert taken == set(users) - {"broker", rights["YABAM_KAFKA_USER"]}


def test_nobody_is_let_in_without_tls(whole: dict[str, Any]) -> None:
    kafka = whole["services"]["kafka"]["environment"]
    protocols = dict(
        one.split(":") for one in kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    )
    assert set(protocols.values()) == {"SASL_SSL"}
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
        assert set(secrets_of(service).values()) <= set(whole["secrets"])


def test_each_account_is_given_the_rights_of_its_process(whole: dict[str, Any]) -> None:
    services = whole["services"]
    kafka = services["kafka"]["environment"]
    assert kafka["KAFKA_AUTHORIZER_CLASS_NAME"].endswith(".StandardAuthorizer")
    assert "KAFKA_ALLOW_EVERYONE_IF_NO_ACL_FOUND" not in kafka
    supers = {one.removeprefix("User:") for one in kafka["KAFKA_SUPER_USERS"].split(";")}
    assert supers == {"broker", services["kafka-rights"]["environment"]["YABAM_KAFKA_USER"]}
    options = all_commands().parse_args(services["kafka-rights"]["command"])
    kinds = {"relay": "relay", "ingest": "ingest", "events": "events", "mqtt": "gateway"}
    assert kinds.keys() == READS_KAFKA
    for name, kind in kinds.items():
        user = services[name]["environment"]["YABAM_KAFKA_USER"]
        assert getattr(options, kind) == [user]
        assert user not in supers


def test_what_gives_the_rights_runs_once_and_may_do_little(
    whole: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, like = whole["services"]["kafka-rights"], whole["services"]["migrate"]
    same = ("image", "restart", "read_only", "tmpfs", "cap_drop", "security_opt", "networks")
    for key in (*same, "logging", "healthcheck", "deploy"):
        assert service[key] == like[key], key
    files = secret_files(whole, folder, service)
    environment = environment_of(service, prepare.read(folder / ".env"))
    known = {f"YABAM_{field.upper()}" for field in PermitSettings.model_fields}
    assert set(service["environment"]) <= known
    here = {variable: replaced(value, files) for variable, value in environment.items()}
    load(PermitSettings, here, monkeypatch)


@pytest.mark.parametrize("name", SERVERS)
def test_every_process_shows_a_certificate_of_its_own(
    whole: dict[str, Any], folder: Path, name: str
) -> None:
    service = whole["services"][name]
    prefix = "YABAM_EVENTS_TLS" if name == "events" else "YABAM_TLS"
    files = secret_files(whole, folder, service)
    shown = [files[service["environment"][f"{prefix}_{end}"]] for end in ("CERT", "KEY")]
    assert shown == [str(folder / f"secrets/http/{name}.{end}") for end in ("crt", "key")]
    certificate = x509.load_pem_x509_certificate(Path(shown[0]).read_bytes())
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    names = set(extension.value.get_values_for_type(x509.DNSName))
    # On Kubernetes, clients reach the same certificate by the names of services, too.
    assert {name, "localhost"} <= names
    assert not names & (set(whole["services"]) - {name})


def test_whoever_asks_a_process_of_ours_asks_by_tls(whole: dict[str, Any]) -> None:
    services = whole["services"]
    for service in services.values():
        found = json.dumps(service.get("environment", {}))
        assert not re.findall(r"http://(?!127\.0\.0\.1)", found)
    mounts = services["nginx"]["volumes"]
    over = "./nginx/secure/servers.conf:/etc/yabam/place/servers.conf:ro"
    assert over in mounts
    # Docker mounts a file inside a mounted folder only over a file of the same name.
    assert (DEPLOY / "nginx/compose/servers.conf").exists()
    rules = (DEPLOY / "nginx/secure/servers.conf").read_text()
    assert "default https;" in rules
    assert "proxy_ssl_verify on;" in rules


def test_prometheus_asks_as_without_the_profile_but_by_tls(whole: dict[str, Any]) -> None:
    mounted = {
        one.split(":")[1]: one.split(":")[0] for one in whole["services"]["prometheus"]["volumes"]
    }
    assert mounted["/etc/prometheus/prometheus.yml"] == "./prometheus/secure.yml"
    plain, secure = (
        yaml.safe_load((DEPLOY / f"prometheus/{name}.yml").read_text())
        for name in ("prometheus", "secure")
    )
    for job in secure["scrape_configs"]:
        assert job.pop("scheme") == "https"
        assert job.pop("tls_config") == {
            "ca_file": "/run/secrets/http_ca",
            "server_name": job["job_name"].removeprefix("yabam-"),
        }
    assert secure == plain
