"""The AsyncAPI document: made from the code as it is, valid, and complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from client_sdk.contract import socket, stream
from core_api.broker_admin.rights import allowed_to
from core_api.devices.commands.alarm import Unanswered
from core_api.devices.commands.alarm import message_of as unanswered
from core_api.receipts.alarm import message_of as unreached
from core_api.receipts.statements import Unreached
from deploy.asyncapi.__main__ import TARGET, render
from deploy.settings_table import PROCESSES
from event_server.mqtt_gateway.rules.publications import accepted_of, ring_of
from server_common.devices.identity import Identity
from server_common.devices.messages import Outbound, PrintAnswer, Ring
from server_common.devices.mqtt_topics import StarCall
from server_common.kafka_records.events import OmittedRecord, encode_omitted_record, encode_sent
from tests.asyncapi import Judge, specification

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(render())
    return found


def addresses(document: Mapping[str, Any], server: str) -> set[str]:
    those = [{"$ref": f"#/servers/{server}"}]
    return {c["address"] for c in document["channels"].values() if c["servers"] == those}


def test_the_file_is_as_the_code_is() -> None:
    assert (ROOT / TARGET).read_text() == render(), "run `make docs`"


def test_it_is_valid_asyncapi_3(document: dict[str, Any]) -> None:
    assert [str(error) for error in specification().iter_errors(document)] == []


def test_a_document_that_is_none_is_found_wrong(document: dict[str, Any]) -> None:
    del document["info"]["title"]
    assert not specification().is_valid(document)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = references(document)
    assert found
    assert [ref for ref in found if target_of(document, ref) is None] == []


def target_of(document: Any, ref: str) -> Any:
    """What the reference names; None: there is no such thing."""
    found = document
    for part in ref.removeprefix("#/").split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [ref for one in value for ref in references(one)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [ref for one in value.values() for ref in references(one)]


def test_it_has_every_topic_of_kafka_that_a_setting_names_and_none_else(
    document: dict[str, Any],
) -> None:
    named = {
        field.default
        for settings in PROCESSES.values()
        for name, field in settings.model_fields.items()
        if name.endswith("_topic")
    }
    assert addresses(document, "kafka") == named


def test_it_has_every_topic_that_the_broker_lets_a_device_use_and_none_else(
    document: dict[str, Any],
) -> None:
    device = Identity("{store}", "{device}", 1)
    allowed = allowed_to(device, "{table}", ["*"], "{mac}", star_speaks=True)
    heard = "star/cloudprnt/to-device/{mac}/"
    topics = {one.topic for one in allowed} - {"yabam/v1/{store}/tables/+/orders", f"{heard}#"}
    topics |= {heard + call for call in get_args(StarCall)}
    described = addresses(document, "mqtt")
    assert {one.replace("{name}", "+").replace("{key}", "+") for one in described} == topics


def test_what_devices_send_is_received_and_what_they_hear_is_sent(
    document: dict[str, Any],
) -> None:
    device = Identity("{store}", "{device}", 1)
    allowed = allowed_to(device, "{table}", ["*"], "{mac}", star_speaks=True)
    sends = {one.topic for one in allowed if one.kind == "publishClientSend"}
    received = {
        document["channels"][operation["channel"]["$ref"].rpartition("/")[2]]["address"]
        for operation in document["operations"].values()
        if operation["action"] == "receive"
    }
    ours = {one for one in received if one.startswith(("yabam/", "star/"))}
    assert {one.replace("{name}", "+") for one in ours} == sends


def test_it_has_both_ways_to_follow_with_every_event_that_the_contract_names(
    document: dict[str, Any],
) -> None:
    assert addresses(document, "events") == {socket.STREAM_PATH}
    assert addresses(document, "sockets") == {socket.SOCKET_PATH}
    of_streams = {value for name, value in vars(stream).items() if name.isupper()}
    words = {value for name, value in vars(socket).items() if name.isupper()}
    of_sockets = {one for one in words if isinstance(one, str) and one.isalpha()}
    assert of_streams <= events_of(document, "stream")
    assert of_streams | of_sockets <= events_of(document, "socket")


def events_of(document: dict[str, Any], channel: str) -> set[str]:
    refs = document["channels"][channel]["messages"].values()
    names = (ref["$ref"].rpartition("/")[2] for ref in refs)
    return {document["components"]["messages"][name]["name"] for name in names}


def test_the_judge_tells_messages_apart_and_refuses_what_is_not_described(
    document: dict[str, Any],
) -> None:
    judge = Judge(document)
    beat = {"watermark": "2026-11-22T12:00:00Z"}
    assert judge.judge("stream", beat) == "Heartbeat"
    with pytest.raises(AssertionError, match="none of its messages"):
        judge.judge("stream", beat | {"more": 1})


def test_alerts_and_omitted_records_are_as_it_says(document: dict[str, Any]) -> None:
    judge = Judge(document)
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    order = Unreached("order", "unreceived", "1", now, 31.0)
    command = Unanswered("1", "lamp", "c1", "blink", "owner", now, now)
    for message in (unreached(order, 0), unanswered(command, 0)):
        headers = {name: (value or b"").decode() for name, value in message.headers}
        judge.judge("storeAlerts", json.loads(message.value or b""), headers=headers)
    record = encode_omitted_record(OmittedRecord("01A", ("store:1@1",)))
    headers = {name: value.decode() for name, value in [*record, encode_sent("s", 1)]}
    assert judge.judge("orderEvents", None, headers=headers) == "Omitted"


def test_what_a_printer_is_told_is_as_it_says(document: dict[str, Any]) -> None:
    judge = Judge(document)
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    called = ring_of(Ring("12", "star-1", "00:11:62:1d:9a:b7"), now)
    assert called is not None
    assert judge.judge("starPost", json.loads(called.payload)) == "RequestPost"
    job = PrintAnswer("sent", 1)
    accepted = accepted_of(Outbound("12", "kitchen-1", 1, 2, "applied", None, job), "01A")
    assert judge.judge("accepted", json.loads(accepted.payload)) == "Accepted"
