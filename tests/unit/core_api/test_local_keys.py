"""`yabam token` beside `make run`: its keys are found, and a setting given by hand wins."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import jwt
import pytest

from client_sdk.cli import main
from core_api.access.tokens import TokenKeys
from core_api.commands import local_keys
from core_api.commands.local_keys import LOCAL_KEYS, LOCAL_KID
from deploy.local.stack import load_keys

OTHER = "o" * 32


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which `make run` ran, and nothing set."""
    for name in ("YABAM_TOKEN_KEYS", "YABAM_TOKEN_KID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(local_keys, "_CHECKOUT", tmp_path / "elsewhere")
    load_keys(tmp_path / LOCAL_KEYS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def signer(token: str, keys: dict[str, str]) -> str:
    """The subject of the token, if one of the keys has signed it."""
    ring = TokenKeys({kid: key.encode() for kid, key in keys.items()}, next(iter(keys)), time.time)
    return ring.verify(token).subject


def test_the_keys_of_make_run_sign_and_are_named(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", "--owner", "1"]) == 0
    said = capsys.readouterr()
    made = load_keys(checkout / LOCAL_KEYS).token
    assert signer(said.out.strip(), {LOCAL_KID: made}) == "owner-1"
    assert str(checkout / LOCAL_KEYS) in said.err


def test_they_are_found_from_a_folder_below(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "docs").mkdir()
    monkeypatch.chdir(checkout / "docs")
    assert main(["token", "--ops"]) == 0
    assert str(checkout / LOCAL_KEYS) in capsys.readouterr().err


def test_they_are_found_from_anywhere_by_a_yabam_of_the_checkout(
    checkout: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("away"))
    monkeypatch.setattr(local_keys, "_CHECKOUT", checkout)
    assert main(["token", "--ops"]) == 0
    assert str(checkout / LOCAL_KEYS) in capsys.readouterr().err


@pytest.mark.usefixtures("checkout")
def test_a_setting_given_by_hand_wins_and_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YABAM_TOKEN_KEYS", json.dumps({"k": OTHER}))
    monkeypatch.setenv("YABAM_TOKEN_KID", "k")
    assert main(["token", "--owner", "1"]) == 0
    said = capsys.readouterr()
    assert signer(said.out.strip(), {"k": OTHER}) == "owner-1"
    assert said.err == ""


@pytest.mark.usefixtures("checkout")
def test_half_of_the_settings_is_no_reason_to_take_other_keys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YABAM_TOKEN_KID", "k")
    assert main(["token", "--owner", "1"]) == 2
    assert "YABAM_TOKEN_KEYS is not set" in capsys.readouterr().err


def test_where_there_are_no_keys_it_says_what_to_set(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / LOCAL_KEYS).unlink()
    assert main(["token", "--owner", "1"]) == 2
    said = capsys.readouterr().err
    assert "YABAM_TOKEN_KEYS and YABAM_TOKEN_KID are not set" in said
    assert "make run" in said


def test_a_file_that_is_damaged_is_named(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / LOCAL_KEYS).write_text("{")
    assert main(["token", "--owner", "1"]) == 2
    assert f"{checkout / LOCAL_KEYS} cannot be read" in capsys.readouterr().err


def test_nobody_else_may_read_the_keys(checkout: Path) -> None:
    assert stat.S_IMODE((checkout / LOCAL_KEYS).stat().st_mode) == 0o600


def test_a_token_is_json_for_a_program_with_whom_it_names_and_until_when(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", "--table", "1/5", "--lifetime", "1h", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["subject"], made["role"]) == ("table:1/5", "table")
    assert signer(made["token"], {LOCAL_KID: load_keys(checkout / LOCAL_KEYS).token})
    assert made["until"].endswith("Z")


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize(
    ("who", "hours"), [(["--table", "1/5"], 6), (["--owner", "1"], 720)], ids=["table", "owner"]
)
def test_a_guests_token_is_for_one_visit(
    who: list[str], hours: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", *who]) == 0
    claims = jwt.decode(capsys.readouterr().out.strip(), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == hours * 3600
