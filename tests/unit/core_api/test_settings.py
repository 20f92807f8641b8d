"""Settings: a bad one stops the start with one line that says which, what and why."""

from __future__ import annotations

import json
import os

import pytest

from core_api.setting_groups import DatabaseSettings, TokenSettings
from core_api.settings import (
    CoreSettings,
    IngestSettings,
    RelaySettings,
)
from server_common.errors import SettingsError
from server_common.settings.loader import load

GOOD = {
    "YABAM_DATABASE_URL": "postgresql://core:url-secret@db:5432/yabam",
    "YABAM_TOKEN_KEYS": '{"a": "token-secret-token-secret-token-secret"}',
    "YABAM_TOKEN_KID": "a",
    "YABAM_TICKET_KEYS": '{"a": "ticket-secret-ticket-secret-ticket-secret"}',
    "YABAM_TICKET_KID": "a",
    "YABAM_KAFKA": "kafka:9092",
}


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with what must be set, and nothing else of ours."""
    for name in list(os.environ):
        if name.upper().startswith("YABAM_"):
            monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refusal(settings: type[CoreSettings] = CoreSettings) -> str:
    with pytest.raises(SettingsError) as refused:
        load(settings)
    text = str(refused.value)
    assert "\n" not in text
    assert "secret" not in text
    return text


def test_what_must_be_set_is_enough(env: pytest.MonkeyPatch) -> None:
    settings = load(CoreSettings)
    assert (settings.core_host, settings.core_port) == ("127.0.0.1", 8000)
    assert settings.token_keys == {"a": "token-secret-token-secret-token-secret"}
    for kind in (DatabaseSettings, TokenSettings, RelaySettings, IngestSettings):
        load(kind)


def test_all_that_is_missing_is_named_at_once(env: pytest.MonkeyPatch) -> None:
    for name in GOOD:
        env.delenv(name)
    text = refusal()
    for name in set(GOOD) - {"YABAM_KAFKA"}:
        assert f"{name} is not set" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("YABAM_STREAM_URL", "https://" + "e" * 2041),
        ("YABAM_STREAM_NODES", json.dumps({"https://" + "e" * 2041: [0, 1, 2, 3]})),
    ],
)
def test_an_address_of_an_event_server_that_no_client_would_take_is_refused(
    env: pytest.MonkeyPatch, name: str, value: str
) -> None:
    env.setenv(name, value)
    text = refusal()
    assert text.startswith(f"{name}=")
    assert text.endswith("at most 2048 characters")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("YABAM_CORE_PORT", "http", "valid integer"),
        ("YABAM_CORE_PORT", "65536", "less than or equal to 65535"),
        ("YABAM_CORE_PORT", "-1", "greater than or equal to 0"),
        ("YABAM_PARTITIONS", "0", "greater than or equal to 1"),
        ("YABAM_PARTITIONS", "10001", "less than or equal to 10000"),
        ("YABAM_TICKET_TTL_S", "0", "greater than 0"),
        ("YABAM_TICKET_TTL_S", "601", "less than or equal to 600"),
        ("YABAM_POLL_AFTER_MS", "99", "greater than or equal to 100"),
        ("YABAM_POOL_SIZE", "1", "greater than or equal to 2"),
        ("YABAM_STATEMENT_TIMEOUT_S", "soon", "valid number"),
        ("YABAM_TAIL_INTERVAL_S", "0", "greater than 0"),
        ("YABAM_MAX_WAITING", "0", "greater than or equal to 1"),
        ("YABAM_MAX_SYNCS", "0", "greater than or equal to 1"),
        ("YABAM_MAX_COMMANDS", "0", "greater than or equal to 1"),
        ("YABAM_RATE_PER_S", "0", "greater than 0"),
        ("YABAM_RATE_BURST", "0", "greater than or equal to 1"),
        ("YABAM_DEADLINE_S", "301", "less than or equal to 300"),
        ("YABAM_LOG_RETENTION_S", "0", "greater than 0"),
        ("YABAM_KEY_RETENTION_S", "-5", "greater than 0"),
        ("YABAM_LOG_RETENTION_S", "1e300", "less than or equal to 315360000"),
        ("YABAM_LOG_RETENTION_S", "inf", "finite"),
        ("YABAM_RATE_PER_S", "inf", "finite"),
        ("YABAM_RATE_PER_S", "nan", "finite"),
        ("YABAM_DRAIN_S", "-1", "greater than or equal to 0"),
    ],
)
def test_a_bad_value_is_named_with_its_variable_and_the_reason(
    env: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    env.setenv(name, value)
    text = refusal()
    assert f"{name}='{value}'" in text
    assert reason in text


@pytest.mark.parametrize("kind", ["", "SESSION_", "REPLICA_"])
@pytest.mark.parametrize("value", ["mysql://secret@db/x", "db:5432", "", "sqlite:///secret"])
def test_a_database_url_of_another_kind_is_refused_and_not_shown(
    env: pytest.MonkeyPatch, kind: str, value: str
) -> None:
    env.setenv(f"YABAM_{kind}DATABASE_URL", value)
    text = refusal()
    assert f"YABAM_{kind}DATABASE_URL=(hidden)" in text
    assert "write postgresql://" in text


def test_what_needs_a_session_goes_past_a_pooler_where_there_is_one(
    env: pytest.MonkeyPatch,
) -> None:
    direct = load(DatabaseSettings)
    assert (direct.session_url, direct.is_pooled) == (GOOD["YABAM_DATABASE_URL"], False)
    env.setenv("YABAM_SESSION_DATABASE_URL", "postgresql://db-1,db-2/yabam")
    pooled = load(DatabaseSettings)
    assert (pooled.session_url, pooled.is_pooled) == ("postgresql://db-1,db-2/yabam", True)


@pytest.mark.parametrize("name", ["YABAM_TOKEN_KEYS", "YABAM_TICKET_KEYS", "YABAM_OPS_NODES_KEY"])
@pytest.mark.parametrize(
    "value", ["secret", "{secret", '["secret"]', '"secret"', '{"a": ["secret"]}', "5", ""]
)
def test_keys_of_another_form_are_refused_and_not_shown(
    env: pytest.MonkeyPatch, name: str, value: str
) -> None:
    env.setenv(name, value)
    assert name in refusal()


def test_the_key_for_the_nodes_is_none_or_one(env: pytest.MonkeyPatch) -> None:
    assert load(CoreSettings).ops_nodes_key == {}
    env.setenv("YABAM_OPS_NODES_KEY", '{"n": "node-secret-node-secret-node-secret"}')
    assert load(CoreSettings).ops_nodes_key == {"n": "node-secret-node-secret-node-secret"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('{"n": "node-secret-of-31-characters-xx"}', "shorter than 32 bytes"),
        (
            '{"n": "node-secret-node-secret-node-secret", '
            '"m": "next-secret-next-secret-next-secret"}',
            "one key",
        ),
        ('{"n": "token-secret-token-secret-token-secret"}', "among YABAM_TOKEN_KEYS"),
    ],
)
def test_a_key_for_the_nodes_that_would_not_keep_them_apart_is_refused(
    env: pytest.MonkeyPatch, value: str, reason: str
) -> None:
    env.setenv("YABAM_OPS_NODES_KEY", value)
    text = refusal()
    assert "YABAM_OPS_NODES_KEY=(hidden)" in text
    assert reason in text


def test_several_bad_values_are_named_in_the_same_line(env: pytest.MonkeyPatch) -> None:
    env.setenv("YABAM_CORE_PORT", "x")
    env.setenv("YABAM_POOL_SIZE", "x")
    text = refusal()
    assert "YABAM_CORE_PORT='x'" in text
    assert "YABAM_POOL_SIZE='x'" in text


def test_a_long_value_is_shown_shortly(env: pytest.MonkeyPatch) -> None:
    env.setenv("YABAM_CORE_PORT", "9" * 5000)
    assert len(refusal()) < 300


def test_origins_are_a_list(env: pytest.MonkeyPatch) -> None:
    env.setenv("YABAM_CORS_ORIGINS", '["https://a.example"]')
    assert load(CoreSettings).cors_origins == ["https://a.example"]
    env.setenv("YABAM_CORS_ORIGINS", "https://a.example")
    assert "YABAM_CORS_ORIGINS" in refusal()


def test_the_relays_and_ingests_settings_are_checked_too(env: pytest.MonkeyPatch) -> None:
    env.setenv("YABAM_RELAY_LEASE_S", "0.1")
    with pytest.raises(SettingsError, match=r"YABAM_RELAY_LEASE_S='0.1'"):
        load(RelaySettings)
    env.delenv("YABAM_KAFKA")
    with pytest.raises(SettingsError, match="YABAM_KAFKA is not set"):
        load(IngestSettings)


@pytest.mark.parametrize("kind", [CoreSettings, IngestSettings])
def test_limits_that_do_not_fit_each_other_stop_the_start(
    env: pytest.MonkeyPatch, kind: type[CoreSettings]
) -> None:
    env.setenv("YABAM_OPEN_STORE_BYTES", str(60 << 20))
    assert "YABAM_OPEN_STORE_BYTES=62914560 and the limit" in refusal(kind)
