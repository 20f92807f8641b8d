"""The compose file and the image fit the settings and the rules of a hardened service."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from core_api.access.callers import Caller
from core_api.errors import UnauthorizedError
from core_api.settings import CoreSettings
from core_api.wiring import token_keys
from deploy.docker import prepare
from event_server.settings import EventSettings
from tests.deploy.composed import VARIABLE, environment_of, unlike_any_other
from tests.deploy.manifests import OURS, SERVERS, load

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
WRITES_BESIDE_ITS_PROGRAMS: Final = {"kafka"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return parsed


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables that `prepare` makes for compose."""
    folder = tmp_path_factory.mktemp("deploy")
    prepare.prepare(folder, "https://orders.example", unlike_any_other())
    return prepare.read(folder / ".env")


class TestOurServices:
    @pytest.mark.parametrize("name", OURS)
    def test_are_given_all_that_they_need_and_nothing_that_they_do_not_know(
        self,
        services: dict[str, Any],
        secrets: dict[str, str],
        name: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        environment = environment_of(services[name], secrets)
        known = {f"YABAM_{field.upper()}" for field in OURS[name].model_fields}
        assert set(services[name]["environment"]) - {"PYTHONMALLOC"} <= known
        load(OURS[name], environment, monkeypatch)

    def test_core_is_run_so_that_it_gives_memory_back(self, services: dict[str, Any]) -> None:
        assert services["core"]["environment"]["PYTHONMALLOC"] == "malloc"

    @pytest.mark.parametrize("name", SERVERS)
    def test_listen_where_others_in_the_network_can_reach_them(
        self, services: dict[str, Any], secrets: dict[str, str], name: str
    ) -> None:
        environment = environment_of(services[name], secrets)
        assert environment[f"YABAM_{variable(name)}_HOST"] == "0.0.0.0"

    @pytest.mark.parametrize("name", SERVERS)
    def test_are_healthy_when_they_say_that_they_can_serve(
        self, services: dict[str, Any], name: str
    ) -> None:
        service = services[name]
        assert service["command"] == [name]
        assert service["healthcheck"]["test"] == ["CMD", "yabam-probe", "readyz"]

    @pytest.mark.parametrize(
        ("name", "count"), [("core", 2), ("relay", 2), ("events", 2), ("mqtt", 2)]
    )
    def test_run_more_than_once(self, services: dict[str, Any], name: str, count: int) -> None:
        assert services[name]["deploy"]["replicas"] == count

    @pytest.mark.parametrize("name", SERVERS)
    def test_are_given_longer_to_stop_than_they_drain(
        self,
        services: dict[str, Any],
        secrets: dict[str, str],
        name: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        settings = load(OURS[name], environment_of(services[name], secrets), monkeypatch)
        drain = 0.0
        if isinstance(settings, CoreSettings):
            drain = settings.drain_s
        elif isinstance(settings, EventSettings):
            drain = settings.events_drain_s + settings.events_abort_after_s
        assert seconds(services[name]["stop_grace_period"]) >= drain + 10

    @pytest.mark.parametrize("name", SERVERS)
    def test_migrate_before_anything_reads_the_database(
        self, services: dict[str, Any], name: str
    ) -> None:
        waits = services[name]["depends_on"]
        if name in ("events", "mqtt"):
            assert "YABAM_DATABASE_URL" not in services[name]["environment"]
        else:
            assert waits["migrate"]["condition"] == "service_completed_successfully"
        assert services["migrate"]["command"] == ["db", "upgrade"]
        assert services["migrate"]["restart"] == "no"

    def test_share_one_image(self, services: dict[str, Any]) -> None:
        assert {services[name]["image"] for name in OURS} == {"yabam-events:local"}

    def test_see_only_the_secrets_that_they_use(self, services: dict[str, Any]) -> None:
        assert set(services["migrate"]["environment"]) == {"YABAM_DATABASE_URL"}
        assert "YABAM_TICKET_KEYS" not in services["relay"]["environment"]
        assert not any("env_file" in service for service in services.values())

    @pytest.mark.parametrize("name", OURS)
    def test_have_a_key_of_cores_tokens_only_if_they_are_core(
        self, services: dict[str, Any], secrets: dict[str, str], name: str
    ) -> None:
        found = str(environment_of(services[name], secrets))
        keys = keys_of(secrets, "YABAM_TOKEN_KEYS")
        assert keys
        assert [key in found for key in keys] == [name == "core"] * len(keys)

    def test_take_what_core_signs_for_them_and_core_takes_it_from_nobody(
        self, services: dict[str, Any], secrets: dict[str, str]
    ) -> None:
        core = environment_of(services["core"], secrets)
        (signs,) = json.loads(core["YABAM_OPS_NODES_KEY"]).items()
        assert signs not in json.loads(core["YABAM_TOKEN_KEYS"]).items()
        for name in ("relay", "ingest", "events", "mqtt", "mqtt-admin", "webhooks"):
            ring = json.loads(environment_of(services[name], secrets)["YABAM_TOKEN_KEYS"])
            assert signs in ring.items(), name

    def test_are_all_on_the_ops_page_each_under_the_key_that_it_takes(
        self, services: dict[str, Any]
    ) -> None:
        core = services["core"]["environment"]
        assert json.loads(core["YABAM_OPS_CORES"]) == ["http://core:8000"]
        assert set(json.loads(core["YABAM_OPS_NODES"])) == {
            "http://events:8001", "http://relay:8002", "http://ingest:8003"
        }  # fmt: skip


class TestEveryService:
    def test_waits_by_condition_for_services_that_there_are(self, services: dict[str, Any]) -> None:
        for service in services.values():
            for name, how in service.get("depends_on", {}).items():
                assert name in services
                healthy = how["condition"] == "service_healthy"
                assert healthy or how["condition"] == "service_completed_successfully"
                assert not healthy or "test" in services[name]["healthcheck"]

    def test_may_do_little(self, services: dict[str, Any]) -> None:
        for name, service in services.items():
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["read_only"] is (name not in WRITES_BESIDE_ITS_PROGRAMS), name
            assert "privileged" not in service, name
            limits = service["deploy"]["resources"]["limits"]
            assert {"cpus", "memory", "pids"} <= limits.keys(), name

    def test_is_pinned_to_a_version_and_named_without_a_host(
        self, services: dict[str, Any]
    ) -> None:
        for name, service in services.items():
            image, _, tag = service["image"].partition(":")
            assert tag not in ("", "latest"), name
            assert "." not in image.partition("/")[0], name

    def test_keeps_its_data_in_a_volume(
        self, compose: dict[str, Any], services: dict[str, Any]
    ) -> None:
        for name in ("postgres", "kafka", "mosquitto", "prometheus", "grafana"):
            mounted = {volume.partition(":")[0] for volume in services[name]["volumes"]}
            assert name in mounted & compose["volumes"].keys()

    def test_mounts_only_files_that_there_are(
        self, compose: dict[str, Any], services: dict[str, Any]
    ) -> None:
        made = {secret["file"] for secret in compose["secrets"].values()}
        assert made == {
            "secrets/ops-token", "secrets/ops-nodes-token", "secrets/tls.crt", "secrets/tls.key",
            "secrets/mqtt-rights.json", "secrets/mqtt/ca.crt", "secrets/mqtt/server.crt",
            "secrets/mqtt/server.key",
        }  # fmt: skip
        for service in services.values():
            for volume in service.get("volumes", []):
                source = volume.partition(":")[0]
                if source.startswith("."):
                    assert (DEPLOY / source).exists(), source
                    assert volume.endswith(":ro"), source

    def test_only_nginx_can_be_reached_from_other_machines(self, services: dict[str, Any]) -> None:
        for name, service in services.items():
            for port in service.get("ports", []):
                assert name == "nginx" or port.startswith("127.0.0.1:"), name


class TestSecrets:
    def test_have_no_default(self) -> None:
        text = (DEPLOY / "compose.yaml").read_text()
        for name, kind, _ in VARIABLE.findall(text):
            assert kind == "?" or name == "PUBLIC_PORT", name
        for line in text.splitlines():
            if re.search(r"PASSWORD|_KEYS|_TOKEN:", line):
                assert "${" in line, line

    def test_are_made_once_and_for_their_owner_only(self, tmp_path: Path) -> None:
        made = prepare.prepare(tmp_path, "https://orders.example:8443", unlike_any_other())
        names = {str(path.relative_to(tmp_path)) for path in made}
        assert names == {
            ".env", "secrets/ops-token", "secrets/ops-nodes-token", "secrets/tls.crt",
            "secrets/mqtt-rights.json", "secrets/mqtt/server.crt",
            "secrets/postgres/server.crt", "secrets/kafka/server.crt",
            *(f"secrets/http/{name}.crt" for name in SERVERS),
        }  # fmt: skip
        assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
        assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
        before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
        assert prepare.prepare(tmp_path, "https://other.example", unlike_any_other()) == []
        assert before == {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}

    @pytest.mark.parametrize("name", ["postgres", "kafka", "mqtt"])
    def test_are_finished_where_they_were_left_half_made(self, tmp_path: Path, name: str) -> None:
        prepare.prepare(tmp_path, "https://orders.example", unlike_any_other())
        folder = tmp_path / "secrets" / name
        whole = (folder / "server.pem").read_text()
        (folder / "server.pem").unlink()
        (folder / "server.key").chmod(0o600)
        made = prepare.prepare(tmp_path, "https://orders.example", unlike_any_other())
        assert made == [folder / "server.pem"]
        assert (folder / "server.pem").read_text() == whole
        assert (folder / "server.key").stat().st_mode & 0o777 == 0o644

    def test_differ_from_each_other(self, secrets: dict[str, str]) -> None:
        hidden = [secrets[name] for name in secrets if re.search("PASSWORD|KEYS", name)]
        assert len(set(hidden)) == len(hidden) == 15

    @pytest.mark.parametrize(
        ("public", "port"), [("https://orders.example", "443"), ("https://localhost:9443", "9443")]
    )
    def test_stand_beside_the_address_that_clients_use(
        self, tmp_path: Path, public: str, port: str
    ) -> None:
        folder = tmp_path / "safe" / "place"
        prepare.prepare(folder, public, unlike_any_other())
        made = prepare.read(folder / ".env")
        assert (made["PUBLIC_URL"], made["PUBLIC_PORT"]) == (public, port)

    def test_prometheus_gets_a_token_that_core_takes_and_one_that_only_its_nodes_take(
        self, tmp_path: Path
    ) -> None:
        prepare.prepare(tmp_path, "https://orders.example", unlike_any_other())
        made = prepare.read(tmp_path / ".env")
        core, nodes = (
            token_keys(json.loads(made[f"{ring}_KEYS"]), made[f"{ring}_KID"])
            for ring in ("YABAM_TOKEN", "YABAM_NODE_TOKEN")
        )
        for_core, for_nodes = (
            (tmp_path / "secrets" / name).read_text() for name in ("ops-token", "ops-nodes-token")
        )
        assert core.verify(for_core) == nodes.verify(for_nodes) == Caller("prometheus", "ops")
        for keys, other in ((core, for_nodes), (nodes, for_core)):
            with pytest.raises(UnauthorizedError):
                keys.verify(other)

    def test_of_an_installation_whose_nodes_had_cores_ring_are_kept_and_theirs_added(
        self, tmp_path: Path
    ) -> None:
        prepare.prepare(tmp_path, "https://orders.example", unlike_any_other())
        environment = tmp_path / ".env"
        whole = prepare.read(environment)
        text = environment.read_text()
        environment.write_text(text[: text.index("\nYABAM_NODE_TOKEN_KEYS=")])
        (tmp_path / "secrets/ops-nodes-token").unlink()
        before = prepare.read(environment)
        made = prepare.prepare(tmp_path, "https://orders.example", unlike_any_other())
        assert {path.name for path in made} == {".env", "ops-nodes-token"}
        after = prepare.read(environment)
        assert after.keys() == whole.keys()
        assert before.items() <= after.items()

    @pytest.mark.parametrize("public", ["orders.example", "http://a.example", "https://a/x", ""])
    def test_an_address_that_browsers_could_not_use_is_refused(
        self, tmp_path: Path, public: str
    ) -> None:
        with pytest.raises(prepare.PrepareError, match="--public must be an address such as https"):
            prepare.prepare(tmp_path, public, unlike_any_other())
        assert list(tmp_path.iterdir()) == []

    def test_git_never_takes_them(self) -> None:
        ignored = (DEPLOY / ".gitignore").read_text().splitlines()
        assert {"/.env", "/secrets/"} <= set(ignored)


def variable(name: str) -> str:
    """A process's name as in the names of its settings."""
    return name.upper().replace("-", "_")


def keys_of(secrets: dict[str, str], ring: str) -> list[str]:
    return list(json.loads(secrets[ring]).values())


def seconds(text: str) -> float:
    assert text.endswith("s")
    return float(text[:-1])
