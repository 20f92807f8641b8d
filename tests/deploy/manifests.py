"""The files of a deployment, read: manifests, config maps, what our processes make of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from pydantic_settings import BaseSettings

from core_api.setting_groups import DatabaseSettings
from core_api.settings import (
    BrokerAdminSettings,
    CoreSettings,
    IngestSettings,
    RelaySettings,
    WebhooksSettings,
)
from event_server.settings import EventSettings, GatewaySettings
from server_common.settings import loader

FOLDER: Final = Path("deploy/kubernetes")
OURS: Final[dict[str, type[BaseSettings]]] = {
    "migrate": DatabaseSettings,
    "core": CoreSettings,
    "relay": RelaySettings,
    "ingest": IngestSettings,
    "events": EventSettings,
    "mqtt": GatewaySettings,
    "mqtt-admin": BrokerAdminSettings,
    "webhooks": WebhooksSettings,
}
SERVERS: Final = ("core", "relay", "ingest", "events", "mqtt", "mqtt-admin", "webhooks")
SECRETS: Final = {
    "YABAM_DATABASE_URL": "postgresql://yabam:secret@db.example:5432/yabam",
    "YABAM_TOKEN_KEYS": json.dumps({"k1": "t" * 43}),
    "YABAM_TOKEN_KID": "k1",
    "YABAM_NODE_TOKEN_KEYS": json.dumps({"n1": "n" * 43}),
    "YABAM_NODE_TOKEN_KID": "n1",
    "YABAM_OPS_NODES_KEY": json.dumps({"n1": "n" * 43}),
    "YABAM_TICKET_KEYS": json.dumps({"k1": "k" * 43}),
    "YABAM_TICKET_KID": "k1",
    "YABAM_MQTT_PASSWORD": "g" * 43,
    "YABAM_MQTT_ADMIN_PASSWORD": "a" * 43,
    "YABAM_GATEWAY_TOKEN": "signed",
    "YABAM_DEVICES_KEYS": json.dumps({"k1": "d" * 43}),
    "YABAM_WEBHOOKS_KEYS": json.dumps({"k1": "w" * 43}),
    "YABAM_PUSH_KEY": "p" * 43,
    "YABAM_PUSH_CONTACT": "mailto:ops@example.com",
}
WORKLOADS: Final = ("Deployment", "StatefulSet", "Job")
NAME: Final = "app.kubernetes.io/name"

Resource = dict[str, Any]


@cache
def resources() -> list[Resource]:
    return [
        document
        for path in sorted(FOLDER.rglob("*.yaml"))
        if "secure" not in path.parts  # patches of these, which test_kubernetes_secure.py reads
        for document in yaml.load_all(path.read_text(), yaml.CSafeLoader)
        if document.get("kind", "Kustomization") != "Kustomization"
    ]


def kustomization(folder: str) -> Resource:
    found: Resource = yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text())
    return found


def of_kind(*kinds: str) -> list[Resource]:
    return [resource for resource in resources() if resource["kind"] in kinds]


def named(kind: str, name: str) -> Resource:
    (found,) = (item for item in of_kind(kind) if item["metadata"]["name"] == name)
    return found


def pod_of(workload: Resource) -> Resource:
    pod: Resource = workload["spec"]["template"]["spec"]
    return pod


def container_of(name: str) -> Resource:
    (workload,) = (one for one in of_kind(*WORKLOADS) if one["metadata"]["name"] == name)
    (container,) = pod_of(workload)["containers"]
    return dict(container)


def maps(*folders: str) -> dict[str, dict[str, str]]:
    """The config maps as a kustomization makes them; a later one merges into an earlier."""
    found: dict[str, dict[str, str]] = {}
    for folder in folders:
        for made in kustomization(folder).get("configMapGenerator", []):
            values = dict(literal.split("=", 1) for literal in made["literals"])
            assert (made["name"] in found) == (made.get("behavior") == "merge"), made["name"]
            found.setdefault(made["name"], {}).update(values)
    return found


def environment_of(name: str, *folders: str) -> dict[str, str]:
    """What the container's process finds in its environment of its own settings."""
    container, found = container_of(name), dict[str, str]()
    made = maps(*folders)
    for source in container.get("envFrom", []):
        found |= made[source["configMapRef"]["name"]]
    for variable in container["env"]:
        if not variable["name"].startswith("YABAM_"):
            continue
        reference = variable["valueFrom"]["secretKeyRef"]
        assert reference["name"] == "yabam"
        found[variable["name"]] = SECRETS[reference["key"]]
    return found


def load(
    settings: type[BaseSettings], environment: dict[str, str], patch: pytest.MonkeyPatch
) -> BaseSettings:
    for name, value in environment.items():
        patch.setenv(name, value)
    return loader.load(settings)
