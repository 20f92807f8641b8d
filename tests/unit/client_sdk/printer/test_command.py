"""`yabam printer`: whence the jobs come, and what is wrong with a call."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from client_sdk.commands.printer import run, source_of
from client_sdk.contract.errors import UsageError
from client_sdk.printer.core_source import CoreSource
from client_sdk.printer.journal import Journal
from client_sdk.printer.mqtt_source import MqttSource


def options(**more: Any) -> Namespace:
    given = {
        "store": "12", "device": "kitchen-1", "to": "stdout", "core": "http://core", "token": None,
        "user": "12~kitchen-1~1", "mqtt": None, "mqtt_ca": None, "mqtt_plain": False, "sse": False,
        "journal": None,
    }  # fmt: skip
    return Namespace(**given | more)


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YABAM_DEVICE_PASSWORD", "secret")


@pytest.mark.parametrize(
    ("more", "source"),
    [
        ({"mqtt": "broker:1883", "mqtt_plain": True}, MqttSource),
        ({"mqtt": "broker", "mqtt_plain": True}, MqttSource),
        ({"mqtt": "broker"}, MqttSource),
        ({"mqtt": "broker", "sse": True}, CoreSource),
        ({}, CoreSource),
    ],
)
async def test_jobs_come_over_mqtt_where_a_broker_is_set(
    more: dict[str, Any], source: type, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "journal")
    assert isinstance(source_of(options(**more))(journal), source)
    journal.close()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"mqtt": "broker", "user": None}, "--user"),
        ({"mqtt": "broker", "user": "12~bar~1"}, "12/kitchen-1"),
        ({"mqtt": "broker:port"}, "host:port"),
        ({"mqtt": ""}, "host:port"),
        ({"device": "a b"}, "a b"),
    ],
)
def test_what_cannot_be_understood_is_told(more: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        run(options(**more))


def test_a_device_without_a_password_is_told_where_to_put_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("YABAM_DEVICE_PASSWORD")
    with pytest.raises(UsageError, match="YABAM_DEVICE_PASSWORD"):
        run(options(mqtt="broker"))
