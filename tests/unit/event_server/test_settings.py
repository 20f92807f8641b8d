"""A bad setting stops the start and is named."""

from __future__ import annotations

import pytest

from event_server.http.access import OpsTokens
from event_server.settings import EventSettings
from server_common.errors import SettingsError
from server_common.settings.loader import load

GOOD = {
    "YABAM_TICKET_KEYS": '{"t1":"0123456789abcdef0123456789abcdef"}',
    "YABAM_TICKET_KID": "t1",
    "YABAM_TOKEN_KEYS": '{"a1":"0123456789abcdef0123456789abcdef"}',
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_the_defaults_stand() -> None:
    settings = load(EventSettings)
    assert (settings.events_host, settings.events_port) == ("127.0.0.1", 8001)
    assert (settings.events_lifetime_min_s, settings.events_lifetime_max_s) == (45.0, 90.0)
    assert settings.owned_partitions == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("YABAM_EVENTS_PORT", "http", "YABAM_EVENTS_PORT='http'"),
        ("YABAM_EVENTS_PORT", "99999", "YABAM_EVENTS_PORT='99999'"),
        ("YABAM_EVENTS_LIFETIME_MIN_S", "100", "YABAM_EVENTS_LIFETIME_MIN_S is above"),
        ("YABAM_EVENTS_RETRY_MIN_MS", "100000", "YABAM_EVENTS_RETRY_MIN_MS is above"),
        ("YABAM_EVENTS_PARTITIONS", "[0,4]", "YABAM_EVENTS_PARTITIONS must name some of 0 to 3"),
        ("YABAM_EVENTS_PARTITIONS", "[]", "YABAM_EVENTS_PARTITIONS must name"),
        ("YABAM_TICKET_KEYS", "secret", "YABAM_TICKET_KEYS is not JSON"),
    ],
)
def test_a_bad_value_is_named_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=told.replace("[", r"\[")):
        load(EventSettings)


def test_limits_that_do_not_fit_each_other_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YABAM_EVENTS_BUFFER_BYTES", "2048")
    with pytest.raises(SettingsError, match="and YABAM_EVENTS_BUFFER_BYTES=2048 do not fit"):
        load(EventSettings)


@pytest.mark.parametrize("ttl_s", ["60", "61"])
def test_a_ticket_that_outlives_the_replay_window_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, ttl_s: str
) -> None:
    monkeypatch.setenv("YABAM_EVENTS_WINDOW_S", "60")
    monkeypatch.setenv("YABAM_TICKET_TTL_S", ttl_s)
    with pytest.raises(SettingsError, match=f"YABAM_TICKET_TTL_S={ttl_s} must be shorter than"):
        load(EventSettings)


def test_a_ticket_that_is_shorter_than_the_window_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("YABAM_EVENTS_WINDOW_S", "60")
    monkeypatch.setenv("YABAM_TICKET_TTL_S", "59")
    assert load(EventSettings).ticket_ttl_s == 59


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YABAM_TICKET_KID")
    with pytest.raises(SettingsError, match="YABAM_TICKET_KID is not set"):
        load(EventSettings)


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YABAM_TICKET_KEYS", '{"t1":["hunter2"]}')
    with pytest.raises(SettingsError) as error:
        load(EventSettings)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("keys", [{}, {"a1": "short"}])
def test_token_keys_must_be_long(keys: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="YABAM_TOKEN_KEYS"):
        OpsTokens(keys, lambda: 0.0)
