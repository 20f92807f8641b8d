"""deploy/kubernetes/secure sets the same as compose.secure.yaml, for TLS and for accounts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from cryptography import x509

from core_api.kafka.rights import Names, rights_of
from deploy.docker import prepare
from tests.deploy.composed import composed, unlike_any_other
from tests.deploy.manifests import (
    FOLDER,
    NAME,
    OURS,
    SERVERS,
    Resource,
    container_of,
    environment_of,
    load,
    maps,
    named,
    of_kind,
    pod_of,
)

SECURE = FOLDER / "secure"
PATCHES = {
    path.stem: yaml.safe_load(path.read_text())
    for path in SECURE.glob("*/*.yaml")
    if path.name not in ("kustomization.yaml", "pods.yaml")
}
PLACES = ("base", "events", "mqtt", "mosquitto", "secure/processes", "secure/gateways")
CERTIFICATE = "/etc/yabam/certificate"
AUTHORITIES = "/etc/yabam/authorities"
ACCOUNT = re.compile(r"YABAM_KAFKA_(USER|PASSWORD)")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that `prepare` makes, from which the secrets are made."""
    made = tmp_path_factory.mktemp("deploy")
    prepare.prepare(made, "https://orders.example", unlike_any_other())
    return made / "secrets"


def pod(name: str) -> Resource:
    return pod_of(PATCHES[name])


def container(name: str) -> Resource:
    (found,) = pod(name)["containers"]
    assert found["name"] == container_of(name)["name"] == name
    return dict(found)


def environment(name: str) -> dict[str, str]:
    """The environment in a process's pod; for values from a secret, their place in it."""
    own = {
        one["name"]: one.get("value") or str(one["valueFrom"]["secretKeyRef"])
        for one in container(name).get("env", [])
    }
    return environment_of(name, *PLACES) | own


def here(name: str, prepared: Path) -> dict[str, str]:
    """The same, with this machine's files in place of the mounted ones."""
    files = {
        f"{CERTIFICATE}/tls": str(prepared / f"http/{name}"),
        **{f"{AUTHORITIES}/{one}": str(prepared / f"{one}/ca") for one in ("http", "kafka")},
    }
    found = environment(name)
    for there, file in files.items():
        found = {variable: value.replace(there, file) for variable, value in found.items()}
    return found


def test_the_folder_is_built_of_what_is_applied_without_it() -> None:
    whole = yaml.safe_load((SECURE / "kustomization.yaml").read_text())
    assert whole["resources"] == ["../devices"]
    for name in whole["components"]:
        component = yaml.safe_load((SECURE / name / "kustomization.yaml").read_text())
        assert component["kind"] == "Component"
        patches = {one["path"] for one in component["patches"]}
        assert patches == {one.name for one in (SECURE / name).glob("*.yaml")} - {
            "kustomization.yaml"
        }
    applied = {patch["metadata"]["name"] for patch in PATCHES.values()}
    assert applied == {*OURS, "edge"}
    for name, patch in PATCHES.items():
        assert patch["metadata"] == {"name": name}
        assert patch["kind"] == ("Job" if name == "migrate" else "Deployment")


@pytest.mark.parametrize("name", SERVERS)
class TestEachProcess:
    def test_starts_with_what_it_is_given(
        self, name: str, prepared: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = here(name, prepared)
        if "YABAM_MQTT_CA_FILE" in given:
            given["YABAM_MQTT_CA_FILE"] = str(prepared / "mqtt/ca.crt")
        settings: Any = load(OURS[name], given, monkeypatch)
        assert settings.certificate == tuple(
            str(prepared / f"http/{name}.{end}") for end in ("crt", "key")
        )
        assert "http://" not in json.dumps(given)

    def test_is_probed_by_tls(self, name: str) -> None:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container(name)[probe] == {"httpGet": {"scheme": "HTTPS"}}

    def test_has_a_certificate_of_its_own(self, name: str) -> None:
        mounts = {one["name"]: one["mountPath"] for one in container(name)["volumeMounts"]}
        assert mounts == {"certificate": CERTIFICATE, "authorities": AUTHORITIES}
        # A folder, because a file mounted alone does not change when its secret is renewed.
        assert "subPath" not in str(container(name)["volumeMounts"])
        assert pod(name)["volumes"] == [
            {"name": "certificate", "secret": {"secretName": f"yabam-tls-{name}"}},
            {"name": "authorities", "configMap": {"name": "yabam-authorities"}},
        ]

    def test_has_the_settings_that_compose_gives_it(self, name: str) -> None:
        service = composed("compose.yaml", "compose.secure.yaml")["services"][name]
        plain = composed("compose.yaml")["services"][name]
        more = set(service["environment"]) - set(plain["environment"])
        assert set(environment(name)) - set(environment_of(name, *PLACES[:4])) == more


@pytest.mark.parametrize("name", OURS)
def test_whoever_reads_kafka_has_an_account_of_its_own_there(name: str) -> None:
    found = {one["name"]: one for one in container(name).get("env", [])}
    assert any(map(ACCOUNT.fullmatch, found)) == ("YABAM_KAFKA" in environment(name))
    if "YABAM_KAFKA" not in environment(name):
        return
    user = found["YABAM_KAFKA_USER"]["value"]
    assert user == {"mqtt": "gateway"}.get(name, name)
    assert user in rights_of(Names())
    reference = found["YABAM_KAFKA_PASSWORD"]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "yabam-kafka-accounts", "key": user}
    assert named("Secret", "yabam-kafka-accounts")["stringData"][user] == ""


def test_whoever_reads_the_database_has_the_authorities() -> None:
    for name in OURS:
        if "YABAM_DATABASE_URL" in environment(name):
            assert AUTHORITIES in {one["mountPath"] for one in container(name)["volumeMounts"]}


def test_certificates_have_the_names_by_which_processes_are_asked(prepared: Path) -> None:
    made = maps(*PLACES)
    asked = [
        *json.loads(made["yabam-core"]["YABAM_OPS_CORES"]),
        *json.loads(made["yabam-core"]["YABAM_OPS_NODES"]),
        made["yabam-mqtt"]["YABAM_CORE_URL"],
    ]
    plain = maps("base", "events", "mqtt", "mosquitto")
    for variable, name in (("YABAM_OPS_NODES", "yabam-core"), ("YABAM_OPS_CORES", "yabam-core"),
                           ("YABAM_CORE_URL", "yabam-mqtt")):  # fmt: skip
        assert made[name][variable] == plain[name][variable].replace("http://", "https://")
    for url in asked:
        host = str(urlsplit(url).hostname)
        assert urlsplit(url).scheme == "https"
        process = named("Service", host)["spec"]["selector"][NAME]
        assert host in names_in(prepared / f"http/{process}.crt")


def names_in(certificate: Path) -> set[str]:
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    found = read.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(found.value.get_values_for_type(x509.DNSName))


def test_nginx_verifies_servers_as_in_compose() -> None:
    ours, composes = (
        Path(f"deploy/nginx/secure/{place}servers.conf").read_text().partition("\n")[2]
        for place in ("kubernetes/", "")
    )
    assert ours == composes.replace("/run/secrets/http_ca", f"{AUTHORITIES}/http.crt")
    made = yaml.safe_load(Path("deploy/nginx/secure/kubernetes/kustomization.yaml").read_text())
    (entry,) = made["configMapGenerator"]
    assert (entry["name"], entry["behavior"], entry["files"]) == (
        "edge-place", "merge", ["servers.conf"]
    )  # fmt: skip
    plain = yaml.safe_load(Path("deploy/nginx/kustomization.yaml").read_text())
    files = {entry["name"]: entry["files"] for entry in plain["configMapGenerator"]}
    assert "kubernetes/servers.conf" in files["edge-place"], "there is one to take the place of"
    assert "include place/servers.conf;" in Path("deploy/nginx/kubernetes/http.conf").read_text()
    assert container("edge")["volumeMounts"][0]["mountPath"] == AUTHORITIES


def test_prometheus_asks_each_kind_by_tls_under_its_own_name() -> None:
    monitors = list(yaml.safe_load_all((SECURE / "monitoring/pods.yaml").read_text()))
    found = {}
    for monitor in monitors:
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        name = monitor["spec"]["selector"]["matchLabels"][NAME]
        assert endpoint.pop("scheme") == "https"
        assert endpoint.pop("tlsConfig") == {
            "ca": {"configMap": {"name": "yabam-authorities", "key": "http.crt"}},
            "serverName": name,
        }
        found[name] = endpoint
    assert found.keys() == set(SERVERS)
    plain = {
        one["metadata"]["name"]: one["spec"]["podMetricsEndpoints"] for one in of_kind("PodMonitor")
    }
    for name, endpoint in found.items():
        assert [endpoint] == plain["yabam-core" if name == "core" else "yabam-nodes"]
