"""`yabam device` against a real Core."""

from __future__ import annotations

import json
import subprocess
import sys

import httpx
import pytest

from client_sdk.cli import main
from tests.integration.core_service import CoreService, bearer, new_store, token


class Shell:
    """Runs commands as the owner of a store."""

    def __init__(self, core: CoreService, output: pytest.CaptureFixture[str]) -> None:
        self.url, self._output = core.stack.core_url, output
        self.store = new_store()
        self.token = token("owner", self.store)
        self.lamp = f"{self.store}/lamp-1"

    def __call__(self, *words: str) -> tuple[int, list[str], str]:
        """Run `yabam device`; its status, what it said, and what it complained of."""
        status = main(["device", *words, *self.core])
        said = self._output.readouterr()
        return status, said.out.splitlines(), said.err

    @property
    def core(self) -> list[str]:
        """Where Core is, and who asks."""
        return ["--core", self.url, "--token", self.token]


@pytest.fixture
def yabam(core_process: CoreService, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(core_process, capsys)


def test_a_device_is_registered_listed_rotated_and_removed(yabam: Shell) -> None:
    status, (line,), _ = yabam("register", yabam.lamp, "--table", "5", "--media", "text/plain")
    made = json.loads(line)
    assert (status, made["generation"], made["table"]) == (0, 1, "5")
    assert made["password"]
    _, (listed,), _ = yabam("list", yabam.store)
    assert json.loads(listed)["media"] == ["text/plain"]
    _, (again,), _ = yabam("register", yabam.lamp, "--rotate")
    assert json.loads(again)["generation"] == 2
    assert yabam("remove", yabam.lamp)[:2] == (0, [f"removed {yabam.lamp}"])
    assert yabam("list", yabam.store)[1] == []
    status, _, complaint = yabam("remove", yabam.lamp)
    assert status == 1
    assert "no device lamp-1" in complaint


def test_a_command_that_expires_fails_with_its_state(yabam: Shell) -> None:
    yabam("register", yabam.lamp)
    status, (line,), complaint = yabam("command", yabam.lamp, "blink", "--expires", "1")
    assert status == 1
    assert json.loads(line)["state"] == "expired"
    assert "has expired" in complaint


def test_a_command_is_sent_once_under_its_id(yabam: Shell) -> None:
    yabam("register", yabam.lamp)
    words = ("command", yabam.lamp, "show", '{"text": "ready"}', "--id", "c-1", "--no-wait")
    first, second = yabam(*words), yabam(*words)
    assert first == second
    assert first[0] == 0
    listed = httpx.get(
        f"{yabam.url}/v1/stores/{yabam.store}/devices/lamp-1/commands", headers=bearer(yabam.token)
    )
    assert len(listed.json()["commands"]) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("register", "12"), "write STORE/DEVICE"),
        (("command", "12/lamp-1", "blink", "[1]"), "not a JSON object"),
    ],
)
def test_what_is_written_wrongly_is_told(yabam: Shell, words: tuple[str, ...], told: str) -> None:
    status, _, complaint = yabam(*words)
    assert status == 2
    assert told in complaint


def test_what_a_device_is_told_can_be_watched(yabam: Shell) -> None:
    yabam("register", yabam.lamp)
    yabam("command", yabam.lamp, "blink", "--id", "c-1", "--no-wait")
    watching = subprocess.Popen(
        [sys.executable, "-m", "client_sdk.cli", "device", "watch", yabam.lamp, *yabam.core],
        stdout=subprocess.PIPE,
        text=True,
    )
    with watching:
        assert watching.stdout is not None
        line = watching.stdout.readline()
        watching.kill()
    assert line.startswith("command.c-1@1 {")
    assert '"name":"blink"' in line
