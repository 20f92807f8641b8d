"""The file of rights that Mosquitto starts with, and when it has to be made again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from core_api.broker_admin.rights import ADMIN_USER
from deploy.mqtt.rights import first_state, lets_in

PASSWORD = "p" * 32
FIRST = first_state(PASSWORD)


def changed(**fields: object) -> bytes:
    """The first state with other fields of the admin; None: without it."""
    state = json.loads(FIRST)
    admin = state["clients"][0] | fields
    state["clients"] = [{name: value for name, value in admin.items() if value is not None}]
    return json.dumps(state).encode()


def test_the_first_state_lets_the_admin_in_with_its_password_only() -> None:
    assert lets_in(FIRST.encode(), PASSWORD)
    assert not lets_in(FIRST.encode(), "another")


def test_a_state_that_was_not_written_to_its_end_lets_nobody_in() -> None:
    whole = FIRST.encode()
    assert not any(lets_in(whole[:length], PASSWORD) for length in range(0, len(whole), 50))
    assert not lets_in(whole[:-1], PASSWORD)


@pytest.mark.parametrize(
    "state",
    [
        b"null", b"[]", b"{}", b'{"clients": [1]}', b'{"clients": {}}', b"\xff", b'{"clients": []}',
        changed(username="another"), changed(salt="?"), changed(salt=None), changed(iterations=0),
        changed(iterations="many"), changed(password=None), changed(disabled=True),
    ],
)  # fmt: skip
def test_a_state_without_an_admin_who_can_sign_in_lets_nobody_in(state: bytes) -> None:
    assert not lets_in(state, PASSWORD)


def test_a_password_as_mosquitto_2_1_stores_it_is_left_alone() -> None:
    state = changed(password=None, salt=None, iterations=None, encoded_password="$argon2id$…")
    assert lets_in(state, PASSWORD)


@pytest.mark.parametrize("state", [None, "", FIRST[:-1], FIRST[:200]])
def test_the_container_makes_a_damaged_state_again(tmp_path: Path, state: str | None) -> None:
    rights = tmp_path / "dynamic-security.json"
    if state is not None:
        rights.write_text(state)
    start_container(tmp_path)
    assert rights.read_text() == FIRST


def test_the_container_keeps_a_whole_state(tmp_path: Path) -> None:
    # As Mosquitto writes it: with tabs, and no line feed at its end.
    state = json.dumps(json.loads(FIRST) | {"groups": [{"groupname": "of people"}]}, indent="\t")
    rights = tmp_path / "dynamic-security.json"
    rights.write_text(state)
    start_container(tmp_path)
    assert rights.read_text() == state
    assert ADMIN_USER in state


def start_container(folder: Path) -> None:
    """What its command does before the broker itself; Kubernetes has the same command."""
    (folder / "mqtt_rights").write_text(FIRST)
    service = yaml.safe_load(Path("deploy/compose.yaml").read_text())["services"]["mosquitto"]
    shell, option, script = service["command"]
    prepared, _, broker = script.partition("exec ")
    assert broker.startswith("mosquitto ")
    for there in ("/mosquitto/data", "/run/secrets"):
        prepared = prepared.replace(there, str(folder))
    subprocess.run([shell, option, prepared], check=True, capture_output=True)
