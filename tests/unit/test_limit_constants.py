"""Each constant that limits something is in the table of limits, or is named here with a reason.

So a limit that is added somewhere else, and fits no other, is seen.
"""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import Final

import pytest

from server_common.limit_table.limit import Limit
from server_common.limit_table.rows import TABLE

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("core_api", "event_server", "server_common", "client_sdk")
NAMED: Final = re.compile(
    r"(?:^|_)(?:MAX|MOST|LONGEST|HELD|BUFFERED)(?:_|$)|_(?:BYTES|LIMIT|CHARS|AT_ONCE)$"
)
"""How constants are named that limit something."""
TIMES: Final = re.compile(r"_(?:S|MS|DAYS)$")
TABLE_MODULES: Final = tuple(sorted((ROOT / "server_common/limit_table").glob("*.py")))
LIMIT_MODULES: Final = ("server_common/limits.py", "client_sdk/contract/limits.py")

EXCEPTIONS: Final[dict[str, tuple[str, ...]]] = {
    "the bytes or letters of a form, which are always as many": (
        "client_sdk/contract/digest.py:_CONTENT_BYTES",
        "client_sdk/contract/state/digest.py:_HASH_BYTES",
        "client_sdk/printer/escpos_bytes.py:PROCESS_CHARS",
        "client_sdk/printer/replies.py:_PROCESS_CHARS",
        "core_api/access/tokens.py:_NAME_BYTES",
        "core_api/printing/jobs.py:_MARK_BYTES",
        "core_api/printing/layout.py:_NUMBER_CHARS",
        "core_api/push/messages.py:_KEY_BYTES",
        "core_api/push/messages.py:_OVERHEAD_BYTES",
        "core_api/push/messages.py:_SALT_BYTES",
        "core_api/push/messages.py:_TEXT_BYTES",
        "core_api/push/messages.py:_TOPIC_BYTES",
        "core_api/restore/main.py:_ENTROPY_BYTES",
        "core_api/wiring.py:_ENTROPY_BYTES",
        "event_server/sockets/handshake.py:_KEY_BYTES",
        "server_common/access/derived_secrets.py:MIN_KEY_BYTES",
        "server_common/kafka/codecs.py:_XERIAL_HEAD_BYTES",
        "server_common/limits.py:_OTHER_TICKET_BYTES",
        "server_common/revocations/records.py:_HASH_BYTES",
    ),
    "the range of a number, or of a name in a message that has a limit in the table": (
        "client_sdk/contract/channel.py:MAX_SEQ",
        "client_sdk/contract/device.py:MAX_DIVERGED",
        "client_sdk/contract/device.py:MAX_PENDING",
        "client_sdk/contract/digest.py:MAX_INTEGER",
        "client_sdk/contract/limits.py:MAX_VALUE_DEPTH",
        "client_sdk/contract/socket.py:MAX_NAME_CHARS",
        "client_sdk/contract/socket.py:MAX_REF_CHARS",
        "client_sdk/contract/text.py:MAX_DIGITS",
        "client_sdk/contract/text.py:MAX_SUBJECT",
        "client_sdk/printer/replies.py:_LONGEST",
        "client_sdk/transport/socket_transport.py:_ROOM_BYTES",
        "core_api/access/provider/key_set.py:_MAX_EXPONENT_CHARS",
        "core_api/access/provider/key_set.py:_MAX_KID_CHARS",
        "core_api/access/provider/tokens.py:_MAX_HEADER_CHARS",
        "core_api/api/handlers/cloudprnt_handlers.py:_MAX_SECRET",
        "core_api/api/handlers/state_handlers.py:_MAX_VERSION",
        "core_api/documents/table_documents.py:MAX_QUANTITY",
        "core_api/printing/cloudprnt.py:_MAX_ATTEMPT",
        "core_api/printing/star/over_mqtt.py:_MAX_MEDIA",
        "event_server/streams/request_rules.py:MAX_PARAMETERS",
        "server_common/devices/identity.py:MAX_GENERATION",
    ),
    "how much of a text is shown or told; the rest is cut": (
        "client_sdk/contract/text.py:MAX_SHOWN",
        "client_sdk/printer/mqtt_source.py:_MAX_DETAIL",
        "client_sdk/transport/http_failures.py:MAX_DETAIL_CHARS",
        "core_api/commands/database.py:_MAX_LISTED",
        "core_api/commands/revocations.py:_MOST",
        "core_api/dashboard/alerts.py:MAX_ALERT_CHARS",
        "core_api/dashboard/sampler.py:_MAX_POINTS",
        "core_api/dashboard/wiring.py:_MAX_STORES",
        "core_api/documents/definitions.py:MAX_MESSAGE_CHARS",
        "core_api/ingest/inbound_commands.py:_MAX_DETAIL_CHARS",
        "core_api/printing/jobs.py:MAX_DETAIL",
        "core_api/printing/planning.py:_MAX_REASON",
        "server_common/kafka/record_batches.py:_MAX_SINGLES",
    ),
    "how often something is tried, or how much is done, before it counts as failed": (
        "client_sdk/buffered/machine.py:MAX_FETCHES",
        "client_sdk/client/receipts.py:_MAX_TRIES",
        "client_sdk/contract/limits.py:MAX_ANEW",
        "client_sdk/contract/limits.py:MAX_EMPTY_PAGES",
        "client_sdk/machine/backoff.py:MAX_RESTARTS",
        "core_api/edits/service.py:MAX_ATTEMPTS",
        "core_api/edits/writing.py:MAX_CLASHES",
        "core_api/orders/service.py:MAX_ATTEMPTS",
        "core_api/orders/writing.py:MAX_CLASHES",
        "core_api/postgres/trim_around_damage.py:MAX_LEFT",
        "core_api/printing/jobs.py:MAX_ATTEMPTS",
        "core_api/store_rules/obeying.py:MAX_ATTEMPTS",
        "core_api/webhooks/posting.py:_MAX_ADDRESSES",
        "core_api/webhooks/retries.py:_MAX_DOUBLINGS",
        "event_server/kafka/session_check.py:MAX_LOOKS",
        "event_server/kafka/session_check.py:MAX_LOOKS_FOR_RECORDS",
    ),
    "how many entries a memory has; what is forgotten is asked for, or counted, again": (
        "client_sdk/client/order_book.py:MAX_CLOSED",
        "client_sdk/client/receipts.py:_MAX_SAID",
        "client_sdk/printer/mqtt_source.py:_MAX_SETTLED",
        "client_sdk/state/orders/answered_orders.py:_MAX_REMEMBERED",
        "core_api/access/provider/known_keys.py:_MAX_MISSED",
        "core_api/access/provider/tokens.py:_MAX_CACHED",
        "core_api/access/tokens.py:_MAX_CACHED",
        "core_api/devices/measurements.py:MAX_DEVICES",
        "core_api/orders/channel_entries.py:_LONGEST_KNOWN",
        "core_api/orders/channel_entries.py:_MAX_KNOWN",
        "core_api/overload.py:_MAX_SUBJECTS",
        "core_api/printing/star/jobs.py:_MAX_DECISIONS",
        "core_api/relay/outbox_statements.py:MAX_LEFT",
        "core_api/store_rules/cache.py:MAX_STORES",
        "core_api/sync/large_answers.py:_MAX_SUBJECTS",
        "core_api/sync/missing_digests.py:MAX_WAITING",
        "core_api/wiring.py:MAX_DEVICES",
        "event_server/kafka/continuity.py:MAX_RUNS",
        "event_server/kafka/record_reader.py:MAX_TYPES",
        "event_server/mqtt_gateway/outlet.py:_MAX_KNOWN",
        "event_server/mqtt_gateway/rules/heads.py:MAX_CHANNELS",
        "event_server/mqtt_gateway/rules/incoming.py:_MAX_DEVICES",
        "event_server/mqtt_gateway/rules/presence.py:MAX_DEVICES",
        "event_server/push/response_heads.py:_MAX_ORIGINS",
        "server_common/http/request_heads.py:MAX_KNOWN_BLOCKS",
    ),
    "how much one step takes; the rest follows in the next": (
        "client_sdk/transport/http_bodies.py:_STEP_BYTES",
        "core_api/broker_admin/rights.py:FEW_AT_ONCE",
        "core_api/broker_admin/rights.py:_MAX_AT_ONCE",
        "core_api/edits/needs.py:_STEP_BYTES",
        "core_api/ingest/applier.py:KEYS_AT_ONCE",
        "core_api/postgres/query_batching.py:_MAX_IN_FLIGHT",
        "core_api/printing/presence.py:_AT_ONCE",
        "core_api/printing/star_printers.py:_AT_ONCE",
        "core_api/receipts/from_kafka.py:_MAX_RECORDS",
        "core_api/relay/outbox_statements.py:STRAYS_AT_ONCE",
        "core_api/relay/restore_checks.py:LOOKS_AT_ONCE",
        "core_api/restore/main.py:_RECORDS_AT_ONCE",
        "core_api/restore/published_records.py:MAX_PER_PARTITION",
        "core_api/sync/missing_digests.py:_ORDERS_AT_ONCE",
        "core_api/sync/quick/reads.py:_AT_ONCE",
        "core_api/sync/request.py:DEFAULT_LIMIT",
        "core_api/trimming.py:_CLIENTS_AT_ONCE",
        "event_server/commands/__init__.py:MAX_WORKERS",
        "event_server/http/busiest_channels.py:MAX_CHANNELS",
        "event_server/kafka/consumer.py:_RECORDS_AT_ONCE",
        "event_server/mqtt_gateway/group_reader.py:_RECORDS_AT_ONCE",
        "server_common/kafka/reading.py:_BYTES_AT_ONCE",
        "server_common/kafka/record_batches.py:MAX_RECORDS",
    ),
    "from what size on a cheaper way is left; nothing is refused": (
        "client_sdk/transport/http_transport.py:_MAX_CHANNELS_IN_URL",
        "core_api/edits/reading.py:_MAX_AT_A_STRETCH",
        "core_api/edits/requests.py:_SMALL_BYTES",
        "core_api/edits/service.py:MAX_AT_A_STRETCH_BYTES",
        "core_api/heap_trim.py:WORTH_IT_BYTES",
        "core_api/http/plain_requests.py:MAX_BYTES",
        "server_common/http/request_heads.py:MAX_BLOCK_BYTES",
        "server_common/kafka/codecs.py:_FIRST_TRY_BYTES",
    ),
}
"""Constants that are not in the table, by the reason."""


def constants_in(path: Path) -> dict[str, ast.expr]:
    """The constants of a module that look like limits, with what they are assigned."""
    found: dict[str, ast.expr] = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, value = node.target.id, node.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, node.value
        else:
            continue
        if not name.isupper() or not NAMED.search(name) or TIMES.search(name):
            continue
        if isinstance(value, ast.BinOp) or (
            isinstance(value, ast.Constant) and isinstance(value.value, int)
        ):
            found[name] = value
    return found


def all_constants() -> set[str]:
    """Each as `path:NAME`."""
    return {
        f"{path.relative_to(ROOT)}:{name}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in constants_in(path)
    }


def names_in_the_table() -> set[str]:
    """The names that the table's modules use, of any module."""
    return {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for path in TABLE_MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
    }


def imported_by_the_table() -> set[str]:
    """The constants that the table's modules import, as `path:NAME`."""
    found = set()
    for path in TABLE_MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = node.module.replace(".", "/") + ".py"
                found |= {f"{module}:{alias.name}" for alias in node.names}
    used = names_in_the_table()
    found |= {f"{module}:{name}" for module in LIMIT_MODULES for name in used}
    return found


HELD: Final = {limit.held: limit for limit in TABLE if limit.held}
EXCEPTED: Final = [name for names in EXCEPTIONS.values() for name in names]


def test_each_constant_that_limits_something_is_in_the_table_or_excepted() -> None:
    known = imported_by_the_table() | HELD.keys() | set(EXCEPTED)
    assert sorted(all_constants() - known) == []


def test_each_exception_is_a_constant_that_is_not_in_the_table() -> None:
    assert len(EXCEPTED) == len(set(EXCEPTED))
    assert sorted(set(EXCEPTED) - all_constants()) == []
    assert sorted(set(EXCEPTED) & (imported_by_the_table() | HELD.keys())) == []


@pytest.mark.parametrize("limit", HELD.values(), ids=lambda limit: limit.name)
def test_the_table_has_the_value_of_the_constant_that_holds_a_limit(limit: Limit) -> None:
    path, _, name = limit.held.partition(":")
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    assert getattr(module, name) == limit.value


def test_a_limit_of_any_module_is_found(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "MAX_ROWS: Final = 10\n_ROOM_BYTES = 4 * 1024\nWAITING_LIMIT: Final[int] = 1 << 20\n"
        "MAX_AGE_S: Final = 5\nMAX_BODY: Final = BODY_BYTES\nKEPT = 3\n_MOST_AT_ONCE = f(1)\n"
    )
    assert set(constants_in(path)) == {"MAX_ROWS", "_ROOM_BYTES", "WAITING_LIMIT"}
