"""The limits fit each other, and the places that hold them say the same as the table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from pydantic_settings import BaseSettings

from client_sdk.contract.channel import MAX_SEQ
from client_sdk.contract.cursor import MAX_CHANNELS, format_cursor
from client_sdk.contract.limits import (
    LONGEST_CHANNEL,
    MAX_ORDER_BYTES,
    MAX_SUBJECT_CHARS,
    MAX_SYNC_BODY_BYTES,
    MAX_TICKET_CHARS,
)
from core_api.settings import CoreSettings, IngestSettings
from event_server.settings import EventSettings, GatewaySettings
from server_common.access.tickets import Ticket, TicketKeys
from server_common.errors import SettingsError
from server_common.limit_table import check
from server_common.limit_table.check import DEFAULTS, contradictions, with_settings
from server_common.limit_table.limit import Limit
from server_common.limit_table.relations import RELATIONS
from server_common.limit_table.rows import TABLE
from server_common.limits import (
    CORE_HEAD_BYTES,
    EVENTS_HEAD_BYTES,
    EVENTS_QUERY_BYTES,
    KIB,
    PROXY_BODY_BYTES,
    PROXY_HEAD_BYTES,
)
from server_common.settings.loader import load
from tests.unit.server_common.limits_behind import BEHIND

ROOT = Path(__file__).parents[3]


SHOWN: Final = {limit.name: limit.shown for limit in TABLE}


class NoSettings(BaseSettings):
    """A process without settings: it has all defaults."""


def refused_start() -> list[str]:
    """Why a process with default settings does not start; empty: it does."""
    try:
        load(NoSettings)
    except SettingsError as error:
        return str(error).split("; ")
    return []


def longest_channels() -> list[str]:
    """The most channels, all of the longest names."""
    return [LONGEST_CHANNEL[:-3] + f"{n:03}" for n in range(MAX_CHANNELS)]


def test_the_limits_as_they_are_fit_each_other() -> None:
    assert contradictions(DEFAULTS) == []


@pytest.mark.parametrize("limit", [one for one in TABLE if one.setting], ids=lambda one: one.name)
def test_the_table_has_the_default_of_the_setting(limit: Limit) -> None:
    all_settings = (CoreSettings, IngestSettings, EventSettings, GatewaySettings)
    fields = [
        one.model_fields[limit.setting] for one in all_settings if limit.setting in one.model_fields
    ]
    assert {field.default for field in fields} == {limit.value}


@pytest.mark.parametrize(
    ("page", "said", "size"),
    [
        ("SECURITY.md", r"a request's head, .* \| (\d+) KiB \|", CORE_HEAD_BYTES),
        ("SECURITY.md", r"a request's head, .* \| (\d+) KiB \|", EVENTS_HEAD_BYTES),
        ("docs/deployment.md", r"heads up to (\d+) KiB", PROXY_HEAD_BYTES),
    ],
)
def test_a_page_says_how_large_a_head_may_be(page: str, said: str, size: int) -> None:
    assert re.findall(said, (ROOT / page).read_text()) == [str(size // KIB)]


def test_each_limit_stands_once_in_the_table() -> None:
    assert len({limit.name for limit in TABLE}) == len(TABLE)


def test_each_limit_has_limits_that_it_must_fit_or_says_why_it_has_none() -> None:
    related = {name for relation in RELATIONS for name in (relation.small, relation.large)}
    neither = [limit.name for limit in TABLE if not limit.alone and limit.name not in related]
    both = [limit.name for limit in TABLE if limit.alone and limit.name in related]
    assert (neither, both) == ([], [])


def test_the_relations_are_those_that_are_written_down_here() -> None:
    found: dict[str, dict[str, int]] = {}
    for relation in RELATIONS:
        found.setdefault(relation.small, {})[relation.large] = relation.needed(DEFAULTS)
    assert found == BEHIND
    assert len(RELATIONS) == sum(map(len, BEHIND.values())), "one stands twice"


PAIRS: Final = [
    (small, large, least) for small, behind in BEHIND.items() for large, least in behind.items()
]


@pytest.mark.parametrize(("small", "large", "least"), PAIRS)
def test_a_process_does_not_start_with_a_limit_that_is_too_small_for_another(
    small: str, large: str, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = []
    for value in (least, least - 1):
        monkeypatch.setattr(check, "DEFAULTS", {**DEFAULTS, large: value})
        begins = f"{SHOWN[small]}={DEFAULTS[small]} and {SHOWN[large]}={value} do not fit "
        refusals.append([text for text in refused_start() if text.startswith(begins)])
    fits, (too_small,) = refusals
    assert fits == []
    assert f"{SHOWN[large]} must be at least {least}, so that " in too_small or (
        f"{SHOWN[small]} must be at most " in too_small
    )


@pytest.mark.parametrize(
    ("variable", "value", "bound"),
    [
        ("YABAM_OPEN_STORE_BYTES", "60000000", "YABAM_OPEN_STORE_BYTES must be at most"),
        ("YABAM_OPEN_STORE_BYTES", "1000000", "YABAM_OPEN_STORE_BYTES must be at least"),
        ("YABAM_OPEN_TABLE_ORDERS", "9000", "YABAM_OPEN_SUBJECT_ORDERS must be at least 9000"),
        ("YABAM_MAX_COMMANDS", "799", "YABAM_MAX_COMMANDS must be at least 800"),
    ],
)
def test_a_message_names_the_setting_to_change_and_its_bound(
    variable: str, value: str, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = '{"a": "secret-secret-secret-secret-secret"}'
    for name in ("TOKEN", "TICKET"):
        monkeypatch.setenv(f"YABAM_{name}_KEYS", keys)
        monkeypatch.setenv(f"YABAM_{name}_KID", "a")
    monkeypatch.setenv("YABAM_DATABASE_URL", "postgresql://core:secret@db:5432/yabam")
    load(CoreSettings)
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=bound):
        load(CoreSettings)


def test_settings_take_the_place_of_the_defaults_and_are_named_as_variables() -> None:
    class Settings:
        events_buffer_bytes = 1024
        open_store_bytes = 60 << 20

    told = contradictions(with_settings(Settings()))
    assert len(told) == 2
    assert any("YABAM_EVENTS_BUFFER_BYTES=1024" in text for text in told)
    assert any("YABAM_OPEN_STORE_BYTES=62914560" in text for text in told)


def test_a_ticket_for_the_most_channels_of_the_longest_names_can_be_used() -> None:
    keys = TicketKeys({"k" * 64: b"x" * 32}, "k" * 64)
    cursor = dict.fromkeys(longest_channels(), MAX_SEQ)
    subject = "\x01" * MAX_SUBJECT_CHARS
    ticket = Ticket("E" * 26, cursor, 1763694038.123456, 1763694068.123456, subject)
    text = keys.sign(ticket)
    assert len(text) <= MAX_TICKET_CHARS <= DEFAULTS["longest ticket"] * 2
    assert len(text) <= DEFAULTS["longest ticket"]
    assert keys.verify(text, 1763694039.0) == ticket
    quoted = re.sub(r"[:/@,]", "%2C", format_cursor(cursor))
    assert len(f"ticket={text}&lastEventId={quoted}") <= EVENTS_QUERY_BYTES


def test_a_get_and_a_post_of_the_most_channels_fit() -> None:
    names = longest_channels()
    cursor = format_cursor(dict.fromkeys(names, MAX_SEQ))
    query = "&".join(f"channel={re.sub('[:/]', '%2F', name)}" for name in names)
    query += "&lastEventId=" + re.sub(r"[:/@,]", "%2C", cursor)
    assert len(query) + 8192 < CORE_HEAD_BYTES
    body = '{"channels": {' + ", ".join(f'"{name}": {MAX_SEQ}' for name in names) + "}}"
    assert len(body) < MAX_SYNC_BODY_BYTES


def test_the_proxys_limits_are_those_of_the_table() -> None:
    text = (ROOT / "deploy/nginx/nginx.conf").read_text()
    heads = re.search(r"large_client_header_buffers \d+ (\d+)k;", text)
    body = re.search(r"client_max_body_size (\d+)k;", text)
    assert heads
    assert body
    assert int(heads[1]) * 1024 == PROXY_HEAD_BYTES
    assert int(body[1]) * 1024 == PROXY_BODY_BYTES


def test_an_order_leaves_room_in_a_line_of_64_kib() -> None:
    assert MAX_ORDER_BYTES < DEFAULTS["largest event"] < 64 * 1024
