"""The Kubernetes manifests, held against the settings and the rules of a hardened pod."""

from __future__ import annotations

import json
import re
from itertools import chain
from pathlib import Path

import pytest
import yaml

from core_api.settings import CoreSettings
from event_server.settings import EventSettings
from server_common.stream_placement import StreamNodes
from tests.deploy.exported import exported
from tests.deploy.manifests import (
    FOLDER,
    NAME,
    OURS,
    SECRETS,
    SERVERS,
    WORKLOADS,
    Resource,
    container_of,
    environment_of,
    kustomization,
    load,
    maps,
    named,
    of_kind,
    pod_of,
)


class TestOurPods:
    @pytest.mark.parametrize(
        ("name", "folders"),
        [
            *((name, ("base", "events", "mqtt")) for name in OURS),
            ("core", ("base", "fleet")),
            ("events", ("base", "events", "fleet/a")),
            ("events", ("base", "events", "fleet/b")),
        ],
    )
    def test_are_given_all_that_they_need_and_nothing_that_they_do_not_know(
        self, name: str, folders: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        environment = environment_of(name, *folders)
        assert environment.keys() <= {f"YABAM_{field.upper()}" for field in OURS[name].model_fields}
        load(OURS[name], environment, monkeypatch)
        if name != "migrate":
            assert environment[f"YABAM_{setting_of(name).upper()}_HOST"] == "0.0.0.0"

    def test_read_one_secret_of_which_only_the_names_are_here(self) -> None:
        assert named("Secret", "yabam")["stringData"] == dict.fromkeys(SECRETS, "")
        listed = [
            path for path in FOLDER.rglob("kustomization.yaml") if "secret" in path.read_text()
        ]
        assert listed == []
        literals = list(maps("base", "events", "mqtt").values())
        assert not any(re.search(r"KEYS|URL=postgres|PASSWORD", str(found)) for found in literals)

    @pytest.mark.parametrize("name", OURS)
    def test_have_a_key_of_cores_tokens_only_if_they_are_core(self, name: str) -> None:
        environment = environment_of(name, "base", "events", "mqtt")
        (key,) = json.loads(SECRETS["YABAM_TOKEN_KEYS"]).values()
        assert (key in str(environment)) == (name == "core")
        (signs,) = json.loads(SECRETS["YABAM_OPS_NODES_KEY"]).items()
        if name in ("relay", "ingest", "events", "mqtt", "mqtt-admin", "webhooks"):
            assert signs in json.loads(environment["YABAM_TOKEN_KEYS"]).items()
        # No way to the secret but by the keys that a process is given one by one.
        assert not any("secretRef" in source for source in container_of(name).get("envFrom", []))
        assert (
            "secret"
            not in str(
                pod_of(named("Job" if name == "migrate" else "Deployment", name)).get("volumes", [])
            ).lower()
        )

    @pytest.mark.parametrize("name", OURS)
    def test_run_the_command_that_they_are_named_for(self, name: str) -> None:
        container = container_of(name)
        assert container["args"] == (["db", "upgrade"] if name == "migrate" else [name])
        assert container["image"] == "yabam-events"

    @pytest.mark.parametrize("folder", ["base", "events", "mqtt"])
    def test_are_pinned_to_the_projects_version(self, folder: str) -> None:
        version = re.search(r'^version = "(.+)"$', Path("pyproject.toml").read_text(), re.M)
        assert version is not None
        assert kustomization(folder)["images"] == [{"name": "yabam-events", "newTag": version[1]}]

    @pytest.mark.parametrize("name", SERVERS)
    def test_are_started_anew_by_healthz_and_served_to_by_readyz(self, name: str) -> None:
        container = container_of(name)
        assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        (port,) = container["ports"]
        assert port["containerPort"] == OURS[name].model_fields[f"{setting_of(name)}_port"].default

    @pytest.mark.parametrize("name", SERVERS)
    def test_have_time_to_leave_the_balancer_and_to_drain(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = load(OURS[name], environment_of(name, "base", "events", "mqtt"), monkeypatch)
        needed = 0.0
        if isinstance(settings, CoreSettings):
            needed = settings.drain_s
        elif isinstance(settings, EventSettings):
            needed = settings.events_drain_s + settings.events_abort_after_s
        if needed:
            sleep, before = container_of(name)["lifecycle"]["preStop"]["exec"]["command"]
            assert sleep == "sleep"
            assert int(before) >= 5
            needed += int(before)
        grace = pod_of(named("Deployment", name))["terminationGracePeriodSeconds"]
        assert grace >= needed + 10

    def test_wait_for_their_replacement_when_they_are_rolled(self) -> None:
        for deployment in of_kind("Deployment"):
            assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


class TestEveryPod:
    @pytest.mark.parametrize("workload", of_kind(*WORKLOADS), ids=lambda w: w["metadata"]["name"])
    def test_keeps_the_restricted_standard(self, workload: Resource) -> None:
        pod = pod_of(workload)
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in container["resources"]["limits"]
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        labels = named("Namespace", "yabam")["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"

    @pytest.mark.parametrize(
        "deployment", of_kind("Deployment"), ids=lambda d: d["metadata"]["name"]
    )
    def test_is_spread_and_never_drained_together_with_its_like(self, deployment: Resource) -> None:
        name = deployment["metadata"]["name"]
        selector = {"matchLabels": {NAME: name}}
        assert deployment["spec"]["selector"] == selector
        assert deployment["spec"]["template"]["metadata"]["labels"][NAME] == name
        spread = pod_of(deployment)["topologySpreadConstraints"]
        assert {rule["topologyKey"] for rule in spread} >= {"kubernetes.io/hostname"}
        assert all(rule["labelSelector"] == selector for rule in spread)
        budget = named("PodDisruptionBudget", name)["spec"]
        assert budget == {"maxUnavailable": 1, "selector": selector}

    def test_that_serves_others_is_found_by_its_port(self) -> None:
        for service in of_kind("Service"):
            (port,) = service["spec"]["ports"]
            container = container_of(service["spec"]["selector"][NAME])
            assert port["targetPort"] in {offered["name"] for offered in container["ports"]}


class TestTheAutoscaler:
    def test_counts_streams_by_a_metric_that_is_exported_and_translated(self) -> None:
        metrics = named("HorizontalPodAutoscaler", "events")["spec"]["metrics"]
        (pods,) = (metric["pods"] for metric in metrics if metric["type"] == "Pods")
        name = pods["metric"]["name"]
        assert name in exported()
        (rule,) = yaml.safe_load((FOLDER / "monitoring/adapter-rules.yaml").read_text())["rules"][
            "custom"
        ]
        assert rule["seriesQuery"].startswith(f"{name}{{")
        assert rule["name"]["as"] == name

    def test_leaves_room_for_the_streams_of_a_server_that_dies(self) -> None:
        spec = named("HorizontalPodAutoscaler", "events")["spec"]
        (pods,) = (metric["pods"] for metric in spec["metrics"] if metric["type"] == "Pods")
        most = int(maps("events")["yabam-events"]["YABAM_EVENTS_MAX_STREAMS"])
        assert int(pods["target"]["averageValue"]) * 2 <= most
        assert spec["minReplicas"] >= 2

    def test_scales_what_says_no_number_of_its_own(self) -> None:
        for scaler in of_kind("HorizontalPodAutoscaler"):
            target = scaler["spec"]["scaleTargetRef"]
            assert "replicas" not in named(target["kind"], target["name"])["spec"]


class TestNetwork:
    def test_is_closed_but_for_what_is_named(self) -> None:
        policy = named("NetworkPolicy", "nothing-else")["spec"]
        assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}

    def test_opens_the_database_to_those_who_have_its_address(self) -> None:
        assert reached_by("to-database") == {
            name
            for name in OURS
            if "YABAM_DATABASE_URL" in environment_of(name, "base", "events", "mqtt")
        }

    def test_opens_kafka_to_those_who_have_its_address(self) -> None:
        assert reached_by("to-kafka") == {
            name for name in OURS if "YABAM_KAFKA" in environment_of(name, "base", "events", "mqtt")
        }

    def test_lets_prometheus_ask_every_server(self) -> None:
        assert reached_by("from-prometheus") == set(SERVERS)
        (rule,) = named("NetworkPolicy", "from-prometheus")["spec"]["ingress"]
        asked = {port["port"] for port in rule["ports"]}
        assert asked == {container_of(name)["ports"][0]["containerPort"] for name in SERVERS}


class TestTheOpsPage:
    @pytest.mark.parametrize(
        ("folders", "events"),
        [
            (("base", "events"), {"events-pods"}),
            (("base", "fleet"), {"events-pods-a", "events-pods-b"}),
        ],
    )
    def test_asks_every_pod_of_every_kind_at_its_port(
        self, folders: tuple[str, ...], events: set[str]
    ) -> None:
        found = {}
        core = environment_of("core", *folders)
        assert json.loads(core["YABAM_OPS_CORES"]) == ["http://core-pods:8000"]
        for node in json.loads(core["YABAM_OPS_CORES"]) + json.loads(core["YABAM_OPS_NODES"]):
            host, _, port = node.removeprefix("http://").partition(":")
            found[host] = int(port)
        assert found.keys() == {"core-pods", "relay-pods", "ingest-pods"} | events
        for host, port in found.items():
            service = named("Service", re.sub(r"-[ab]$", "", host))["spec"]
            assert service["clusterIP"] == "None", "a name must have the address of each pod"
            assert [offered["port"] for offered in service["ports"]] == [port]

    def test_may_reach_them(self) -> None:
        allowed = {container_of(name)["ports"][0]["containerPort"] for name in SERVERS}
        assert reached_by("from-watcher") == set(SERVERS)
        (way_in,) = named("NetworkPolicy", "from-watcher")["spec"]["ingress"]
        (way_out,) = named("NetworkPolicy", "to-watched")["spec"]["egress"]
        for rule in (way_in, way_out):
            assert {port["port"] for port in rule["ports"]} == allowed


class TestEachFolderThatIsApplied:
    @pytest.mark.parametrize("folder", ["edge", "ingress", "fleet", "devices"])
    def test_makes_every_map_that_its_pods_read(self, folder: str) -> None:
        """kustomize gives a map's name a hash where the map is made, and knows it only there."""
        made, read = set(), set()
        for kustomized, resources in built(FOLDER / folder):
            made |= {one["name"] for one in kustomized.get("configMapGenerator", [])}
            read |= set(re.findall(r"configMap(?:Ref)?': {'name': '([^']+)'", str(resources)))
        assert read
        assert read <= made


class TestTheBroker:
    def test_has_the_rules_that_compose_gives_it_and_finds_its_files(self) -> None:
        rules = Path("deploy/mqtt/mosquitto.conf").read_text()
        made = yaml.safe_load(Path("deploy/mqtt/kustomization.yaml").read_text())
        (entry,) = made["configMapGenerator"]
        container = container_of("mosquitto")
        composed = yaml.safe_load(Path("deploy/compose.yaml").read_text())["services"]["mosquitto"]
        assert container["image"] == composed["image"]
        assert container["command"] == composed["command"]
        mounts = {one["mountPath"]: one for one in container["volumeMounts"]}
        volumes = {one["name"]: one for one in pod_of(named("StatefulSet", "mosquitto"))["volumes"]}
        conf = mounts["/mosquitto/config/mosquitto.conf"]
        assert volumes[conf["name"]]["configMap"]["name"] == entry["name"]
        assert [conf["subPath"]] == entry["files"]
        closed = volumes[mounts["/run/secrets"]["name"]]["secret"]
        read = set(re.findall(r"/run/secrets/(\w+)", rules + str(container["command"])))
        assert read == set(named("Secret", closed["secretName"])["stringData"])
        assert "/mosquitto/data" in mounts

    def test_is_where_gateways_and_admin_look_for_it(self) -> None:
        for name in ("mqtt", "mqtt-admin"):
            found = environment_of(name, "base", "events", "mqtt", "mosquitto")
            host, _, port = found["YABAM_MQTT_BROKER"].partition(":")
            (offered,) = named("Service", host)["spec"]["ports"]
            assert offered["port"] == int(port)
        (policy,) = named("NetworkPolicy", "to-mosquitto")["spec"]["ingress"]
        assert policy["ports"] == [{"protocol": "TCP", "port": int(port)}]


class TestThePodMonitors:
    def test_show_cores_token_to_core_alone(self) -> None:
        shown = {
            key: asked
            for monitor in of_kind("PodMonitor")
            for endpoint in monitor["spec"]["podMetricsEndpoints"]
            for key, asked in [
                (endpoint["authorization"]["credentials"]["key"], selected_by(monitor))
            ]
        }
        assert shown == {"core": {"core"}, "nodes": set(SERVERS) - {"core"}}


class TestIngress:
    @pytest.mark.parametrize("folder", ["ingress", "fleet"])
    def test_has_the_rules_that_nginx_has(self, folder: str) -> None:
        rules = Path("deploy/nginx/nginx.conf").read_text()
        text = (FOLDER / folder / "ingress.yaml").read_text()
        for ingress in yaml.safe_load_all(text):
            streams = ingress["metadata"]["name"].startswith("stream")
            place = "location = /v1/stream {" if streams else "location / {"
            block = rules.partition(place)[2].partition("\n        }")[0]
            told = {
                name.rpartition("/")[2]: value
                for name, value in ingress["metadata"]["annotations"].items()
            }
            for name in ("proxy-read-timeout", "proxy-send-timeout", "proxy-next-upstream-tries",
                         "proxy-next-upstream-timeout", "proxy-next-upstream"):  # fmt: skip
                (value,) = re.findall(rf"^\s*{name.replace('-', '_')} (.+?)s?;", block, re.M)
                assert told[name] == value, name
            assert (told.get("proxy-buffering") == "off") is streams
            assert (told.get("enable-access-log") == "false") is streams

    def test_sends_streams_to_event_servers_and_all_else_to_core(self) -> None:
        text = (FOLDER / "ingress/ingress.yaml").read_text()
        routes = {
            (path["path"], path["pathType"]): path["backend"]["service"]["name"]
            for ingress in yaml.safe_load_all(text)
            for rule in ingress["spec"]["rules"]
            for path in rule["http"]["paths"]
        }
        assert routes == {
            ("/v1/stream", "Exact"): "events",
            ("/v1/socket", "Exact"): "events",
            ("/", "Prefix"): "core",
        }


class TestTheEdge:
    def test_has_nginxs_own_rules(self) -> None:
        made = yaml.safe_load(Path("deploy/nginx/kustomization.yaml").read_text())
        files = {entry["name"]: entry["files"] for entry in made["configMapGenerator"]}
        assert files["edge-rules"] == ["nginx.conf"]
        names = [Path("deploy/nginx") / name for name in files["edge-place"]]
        assert {path.name for path in names} == {"http.conf", "listen.conf", "servers.conf"}
        assert all(path.exists() for path in names)
        mounts = {mount["mountPath"] for mount in container_of("edge")["volumeMounts"]}
        assert {"/etc/yabam/nginx.conf", "/etc/yabam/place", "/tmp"} <= mounts

    def test_treats_its_servers_as_composes_nginx_does(self) -> None:
        assert settings_of("kubernetes") == settings_of("compose")

    def test_finds_every_pod_by_itself(self) -> None:
        text = upstreams("kubernetes")
        for name in ("core", "events"):
            assert f"server {name}-pods.yabam.svc.cluster.local:" in text
            assert named("Service", f"{name}-pods")["spec"]["clusterIP"] == "None"


class TestTheFleet:
    def test_carries_every_partition_once_and_says_the_same_everywhere(self) -> None:
        count = int(maps("base")["yabam-shape"]["YABAM_PARTITIONS"])
        core = maps("base", "fleet")["yabam-core"]
        nodes = json.loads(core["YABAM_STREAM_NODES"])
        StreamNodes(nodes, count, lambda found: found[0])
        groups = {}
        for group in ("a", "b"):
            own = maps("events", f"fleet/{group}")["yabam-events"]
            assert json.loads(own["YABAM_STREAM_NODES"]) == nodes
            assert kustomization(f"fleet/{group}")["nameSuffix"] == f"-{group}"
            groups[f"https://events-{group}.orders.example/v1/stream"] = json.loads(
                own["YABAM_EVENTS_PARTITIONS"]
            )
        assert groups == nodes
        assert sorted(chain.from_iterable(groups.values())) == list(range(count))

    def test_has_a_way_in_to_each_group_for_the_pages_of_core(self) -> None:
        text = (FOLDER / "fleet/ingress.yaml").read_text()
        hosts = {
            rule["host"]: rule["http"]["paths"][0]["backend"]["service"]["name"]
            for ingress in yaml.safe_load_all(text)
            for rule in ingress["spec"]["rules"]
        }
        assert hosts == {
            "orders.example": "core",
            "events-a.orders.example": "events-a",
            "events-b.orders.example": "events-b",
        }
        for group in ("a", "b"):
            origins = maps("events", f"fleet/{group}")["yabam-events"]["YABAM_CORS_ORIGINS"]
            assert json.loads(origins) == ["https://orders.example"]


def built(folder: Path) -> list[tuple[Resource, list[Resource]]]:
    """Each kustomization that a folder is built of, with what it reads."""
    made: Resource = yaml.safe_load((folder / "kustomization.yaml").read_text())
    own, found = list[Resource](), list[tuple[Resource, list[Resource]]]()
    for name in made.get("resources", []):
        if name.endswith(".yaml"):
            own += yaml.safe_load_all((folder / name).read_text())
        else:
            found += built(folder / name)
    return [*found, (made, own)]


def setting_of(name: str) -> str:
    """A process's name as its settings have it."""
    return name.replace("-", "_")


def reached_by(policy: str) -> set[str]:
    (rule,) = named("NetworkPolicy", policy)["spec"]["podSelector"]["matchExpressions"]
    assert (rule["key"], rule["operator"]) == (NAME, "In")
    return set(rule["values"])


def selected_by(monitor: Resource) -> set[str]:
    selector = monitor["spec"]["selector"]
    found = {selector.get("matchLabels", {}).get(NAME)} - {None}
    for expression in selector.get("matchExpressions", []):
        assert (expression["key"], expression["operator"]) == (NAME, "In")
        found |= set(expression["values"])
    return found


def upstreams(place: str) -> str:
    text = (Path("deploy/nginx") / place / "http.conf").read_text()
    return text[text.index("upstream core") :]


def settings_of(place: str) -> list[str]:
    lines = (line.strip() for line in upstreams(place).splitlines())
    return [re.sub(r"^server \S+", "server", line) for line in lines if not line.startswith("#")]
