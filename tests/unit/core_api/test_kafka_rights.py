"""What each account may do at Kafka: enough, no more, and as the documentation says it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from client_sdk.cli import main
from core_api.ingest import consumer, devices
from core_api.kafka.rights import KafkaOperation, Names, Resource, Right, rights_of
from core_api.receipts import from_kafka
from core_api.settings import PermitSettings

PAGE: Final = Path(__file__).parents[3] / "docs/deployment.md"
NAMES: Final = Names()
KINDS: Final = {"event server": "events", "producers": "producer"}


def documented() -> dict[str, set[Right]]:
    """The table of the page, as rights."""
    table = PAGE.read_text().partition("| account | topic | operations |\n")[2].partition("\n\n")[0]
    found: dict[str, set[Right]] = {}
    kind = ""
    for row in table.splitlines()[1:]:
        account, topics, operations = (cell.strip() for cell in row.strip("|").split("|"))
        account = account.partition(" (")[0]
        kind = KINDS.get(account, account) or kind
        rights = found.setdefault(kind, set())
        of_topics, _, of_groups = operations.partition(";")
        rights |= said(Resource.TOPIC, topics, of_topics)
        if of_groups:
            groups, _, of_groups = of_groups.partition(":")
            rights |= said(Resource.GROUP, groups, of_groups)
    return found


def said(resource: Resource, names: str, operations: str) -> set[Right]:
    known = {re.sub("(?<!^)([A-Z])", r"_\1", one.strip()).upper() for one in operations.split(",")}
    return {
        Right(resource, name.replace("YABAM_MQTT_GROUP", NAMES.gateways), KafkaOperation[operation])
        for name in re.findall(r"`([^`]+)`", names)
        for operation in known
    }


def test_are_those_of_the_documentation() -> None:
    given = {kind: set(rights) for kind, rights in rights_of(NAMES).items()}
    assert documented() == given


def test_let_only_relays_write_the_log() -> None:
    forges = Right(Resource.TOPIC, NAMES.events, KafkaOperation.WRITE)
    assert [kind for kind, rights in rights_of(NAMES).items() if forges in rights] == ["relay"]


def test_are_for_the_groups_in_which_our_processes_read() -> None:
    groups = {one.name for one in rights_of(NAMES)["ingest"] if one.resource is Resource.GROUP}
    assert groups == {consumer.GROUP, devices.GROUP, from_kafka.GROUP}


def test_are_for_the_topics_of_the_settings() -> None:
    defaults = {name: field.default for name, field in PermitSettings.model_fields.items()}
    topics = {value for name, value in defaults.items() if name.endswith("_topic")}
    named = {one.name for rights in rights_of(NAMES).values() for one in rights}
    assert topics | {defaults["mqtt_group"]} <= named


def test_are_asked_for_by_account(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YABAM_KAFKA", "127.0.0.1:1")
    assert main(["kafka", "permit"]) == 2
    assert "name an account" in capsys.readouterr().err
