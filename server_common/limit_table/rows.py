"""The table: each size, where it is held, and what happens beyond it. Pure.

`docs/settings.md` is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from client_sdk.contract import limits as contract
from client_sdk.contract.cursor import MAX_CHANNELS
from client_sdk.contract.device import MAX_RECEIPTS_BODY_BYTES, MAX_SEEN_ORDERS
from client_sdk.contract.socket import MAX_INBOUND_BYTES, MAX_SHORT_BYTES
from client_sdk.contract.sse import MAX_EVENT_BYTES
from client_sdk.contract.sync import MAX_LIMIT, MAX_ORDERS
from server_common import limits
from server_common.kafka_records.receipts import MAX_RECEIPTS


@dataclass(frozen=True, slots=True)
class Limit:
    """One size: where it is held, and what happens beyond it."""

    name: str
    value: int
    unit: Literal["bytes", "count", "bytes/s"]
    where: str
    beyond: str
    setting: str | None = None
    """The field of the settings that holds it; None: it is fixed."""

    @property
    def shown(self) -> str:
        """Its name in a message."""
        return f"YABAM_{self.setting.upper()}" if self.setting else f"the limit {self.name!r}"


TABLE: Final[tuple[Limit, ...]] = (
    # What Core accepts.
    Limit(
        "request head", limits.CORE_HEAD_BYTES, "bytes", "Core",
        "400, and the connection is closed",
    ),
    Limit("request body", limits.BODY_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit("batch body", limits.BATCH_BODY_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit("orders in a batch", limits.BATCH_ORDERS, "count", "Core", "422 `invalid`"),
    Limit(
        "bodies of a subject", limits.SUBJECT_BODY_BYTES_PER_S, "bytes/s", "Core",
        "429 `too-many-requests`",
    ),
    Limit(
        "bodies of a subject, in a burst", limits.SUBJECT_BODY_BURST_BYTES, "bytes", "Core",
        "429 `too-many-requests`",
    ),
    Limit("sync body", contract.MAX_SYNC_BODY_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit("Kafka command", limits.COMMAND_BYTES, "bytes", "ingest", "dead letter, `too-large`"),
    Limit(
        "records of Kafka being applied, of a partition", limits.INGEST_RECORDS, "count", "ingest",
        "they wait in Kafka",
    ),
    Limit(
        "records of Kafka being applied, of a partition, in bytes", limits.INGEST_BYTES, "bytes",
        "ingest", "they wait in Kafka; one that is larger is applied alone",
    ),
    Limit(
        "devices' messages of a partition that wait for a row", limits.DEVICE_MESSAGES_WAITING,
        "count", "ingest", "the partition waits with them",
    ),
    Limit("dead letter", limits.DEAD_LETTER_BYTES, "bytes", "ingest", "the headers are shortened"),
    Limit("proxy: request head", limits.PROXY_HEAD_BYTES, "bytes", "nginx", "414 or 400"),
    Limit("proxy: request body", limits.PROXY_BODY_BYTES, "bytes", "nginx", "413"),
    # What is stored.
    Limit(
        "order", contract.MAX_ORDER_BYTES, "bytes", "Core, ingest",
        "413 `too-large`, only that order",
    ),
    Limit(
        "writes in one transaction", limits.WRITES_PER_BATCH, "count", "Core",
        "the next transaction",
    ),
    Limit(
        "open orders of a table", limits.OPEN_TABLE_ORDERS, "count", "Core, ingest",
        "409 `too-many-open`", "open_table_orders",
    ),
    Limit(
        "open orders of a table in bytes", limits.OPEN_TABLE_BYTES, "bytes", "Core, ingest",
        "409 `too-many-open`", "open_table_bytes",
    ),
    Limit(
        "open orders of a subject in a store", limits.OPEN_SUBJECT_ORDERS, "count", "Core, ingest",
        "409 `too-many-open`", "open_subject_orders",
    ),
    Limit(
        "open orders of a subject in a store in bytes", limits.OPEN_SUBJECT_BYTES, "bytes",
        "Core, ingest", "409 `too-many-open`", "open_subject_bytes",
    ),
    Limit(
        "open orders of a store", limits.OPEN_STORE_ORDERS, "count", "Core, ingest",
        "409 `too-many-open`", "open_store_orders",
    ),
    Limit(
        "open orders of a store in bytes", limits.OPEN_STORE_BYTES, "bytes", "Core, ingest",
        "409 `too-many-open`", "open_store_bytes",
    ),
    Limit("edit", contract.MAX_EDIT_BYTES, "bytes", "Core, SDK", "`refused`, only that edit"),
    Limit("metadata of an edit", contract.MAX_METADATA_BYTES, "bytes", "Core, SDK", "`refused`"),
    Limit("edits in a request", contract.MAX_EDITS, "count", "Core, SDK", "422 `invalid`"),
    Limit("edits body", contract.MAX_EDITS_BODY_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit("document", contract.MAX_VALUE_BYTES, "bytes", "Core, SDK", "`refused`, only that edit"),
    Limit(
        "value in an event or a snapshot", contract.MAX_SHOWN_VALUE_BYTES, "bytes", "Core",
        "it is left out: the client fetches it",
    ),
    Limit("entries of a history", limits.HISTORY_ENTRIES, "count", "Core", "`next`, or `has_more`"),
    Limit("entries of a history in bytes", limits.HISTORY_BYTES, "bytes", "Core", "`next`"),
    Limit(
        "answer to edits, SDK", contract.MAX_EDITS_ANSWER_BYTES, "bytes", "SDK",
        "the answer counts as malformed",
    ),
    Limit(
        "versions that settle an edit", limits.SETTLING_VERSIONS, "count", "Core",
        "the older ones count as forgotten",
    ),
    Limit(
        "versions that settle an edit in bytes", limits.SETTLING_BYTES, "bytes", "Core",
        "the older ones count as forgotten",
    ),
    Limit(
        "answers of a client, acknowledged", limits.ANSWERS_KEPT, "count", "Core",
        "an older edit that is repeated is answered with `forgotten`",
    ),
    Limit(
        "answers of a client, not acknowledged", limits.ANSWERS_UNTOLD, "count", "Core",
        "an older edit that is repeated is answered with `forgotten`",
    ),
    Limit(
        "answer to an edit, kept", limits.ANSWER_TO_EDIT_BYTES, "bytes", "follows from `document`",
        "cannot be",
    ),
    Limit(
        "clients of edits of a subject", limits.SUBJECT_CLIENTS, "count", "Core",
        "409 `too-many-clients`; one that is not heard of for 90 days falls away. Of a guest's "
        "subject only those count that were heard of within the hour and since the last party left",
    ),
    Limit(
        "documents of a channel", limits.CHANNEL_DOCUMENTS, "count", "Core",
        "`too-many-documents`",
    ),
    Limit(
        "documents of a channel in bytes", limits.CHANNEL_DOCUMENT_BYTES, "bytes", "Core",
        "`too-many-documents`",
    ),
    # What devices say.
    Limit("picture of a device", limits.SNAPSHOT_BYTES, "bytes", "gateway, devices", "dead letter"),
    Limit(
        "message of a device", limits.DEVICE_EVENT_BYTES, "bytes", "gateway, devices",
        "dead letter, `too-large`",
    ),
    Limit(
        "message of a device with a picture", limits.DEVICE_PAYLOAD_BYTES, "bytes",
        "gateway, devices", "dead letter, `too-large`",
    ),
    Limit(
        "Kafka record of a device's message", limits.DEVICE_RECORD_BYTES, "bytes", "devices",
        "dead letter, `too-large`",
    ),
    Limit(
        "dead letter of a device", limits.DEVICE_DEAD_BYTES, "bytes", "gateway, devices",
        "it is cut",
    ),
    Limit(
        "troubles in a status", limits.DEVICE_TROUBLES, "count", "gateway, devices",
        "dead letter",
    ),
    Limit(
        "measurements of a device", limits.DEVICE_MEASUREMENTS, "count", "devices",
        "another name is dropped and counted",
    ),
    Limit(
        "boots of a device that are told apart", limits.DEVICE_BOOTS, "count", "devices",
        "an older one is refused, dead letter `too-old`",
    ),
    Limit(
        "messages of a boot that may be missing below its newest", limits.DEVICE_MISSING, "count",
        "devices", "an older one is refused, dead letter `too-old`",
    ),
    Limit("devices of a store", limits.STORE_DEVICES, "count", "Core", "409 `too-many-devices`"),
    Limit(
        "devices of a store, removed ones too", limits.STORE_DEVICE_NAMES, "count", "Core",
        "409 `too-many-devices`: take a name that was there before",
    ),
    Limit(
        "open commands of a device", limits.DEVICE_OPEN_COMMANDS, "count", "Core",
        "409 `too-many-commands`",
    ),
    Limit("command to a device", limits.DEVICE_COMMAND_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit(
        "documents of a printer's channel", limits.PRINT_JOBS, "count", "Core",
        "orders wait in the log until there is room",
    ),
    Limit(
        "documents of a printer's channel in bytes", limits.PRINT_JOB_BYTES, "bytes", "Core",
        "orders wait in the log until there is room",
    ),
    Limit("word of a printer's agent", limits.PRINT_STEP_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit(
        "poll of a Star printer", limits.CLOUDPRNT_POLL_BYTES, "bytes", "Core",
        "413 `too-large`",
    ),
    # What the ops page remembers.
    Limit(
        "points of the ops page", limits.OPS_POINTS, "count", "Core",
        "the older ones are not shown",
    ),
    Limit(
        "point of the ops page", limits.OPS_POINT_BYTES, "bytes", "Core",
        "which kind each process was, then what was wrong, is left out",
    ),
    # What goes through Kafka to the event servers, and from them to clients.
    Limit("largest event", limits.EVENT_LINE, "bytes", "follows from `order`", "cannot be"),
    Limit("publication", limits.PUBLICATION_BYTES, "bytes", "relay", "the next publication"),
    Limit("record of an event", limits.EVENT_RECORD_BYTES, "bytes", "relay", "it is set aside"),
    Limit("producer's request", limits.PRODUCER_REQUEST_BYTES, "bytes", "gateway", "cannot be"),
    Limit(
        "topic: max.message.bytes", limits.TOPIC_MESSAGE_BYTES, "bytes", "Kafka",
        "Kafka refuses it",
    ),
    Limit(
        "batch read from Kafka", limits.FETCHED_BATCH_BYTES, "bytes", "whoever reads Kafka",
        "its length counts as damaged, it is left out",
    ),
    Limit(
        "batch read from Kafka, unpacked", limits.UNPACKED_BATCH_BYTES, "bytes",
        "whoever reads Kafka", "it is left out: a dead letter, or `sync-required`",
    ),
    Limit(
        "rings in all", limits.RINGS_BYTES, "bytes", "event server",
        "the oldest go; who is behind them syncs", "events_ring_bytes",
    ),
    Limit(
        "what waits for one slow client", limits.SLOW_CLIENT_BYTES, "bytes", "event server",
        "`bye: slow`", "events_buffer_bytes",
    ),
    Limit(
        "message from a socket", MAX_INBOUND_BYTES, "bytes", "event server",
        "the socket is closed, code 1009",
    ),
    Limit(
        "messages from a socket in a second", limits.SOCKET_MESSAGES_PER_S, "count", "event server",
        "twice as many at once, then the socket is closed, code 1008",
    ),
    Limit(
        "messages to others, and subscriptions, of a socket in a second",
        limits.SOCKET_REQUESTS_PER_S, "count", "event server",
        "twice as many at once, then `refused`: `too-many-requests`",
    ),
    Limit("message to others", MAX_SHORT_BYTES, "bytes", "event server", "`refused`: `too-large`"),
    Limit(
        "messages to others that wait for Kafka", limits.SOCKET_MESSAGES_WAITING, "count",
        "event server", "`refused`: `unavailable`",
    ),
    Limit(
        "devices whose receipts wait for Kafka", limits.SOCKET_RECEIPTS_WAITING, "count",
        "event server", "they are left out: the next sync says the same",
    ),
    Limit(
        "reports of devices that wait for Postgres", limits.UNSTORED_REPORTS, "count", "Core",
        "they are left out: the next sync says the same",
    ),
    Limit("receipts in a record", MAX_RECEIPTS, "count", "event server", "the next record"),
    Limit("orders that a device has shown, in a request", MAX_SEEN_ORDERS, "count", "Core", "422"),
    Limit("receipts body", MAX_RECEIPTS_BODY_BYTES, "bytes", "Core", "413 `too-large`"),
    Limit(
        "line of a stream", contract.MAX_EVENT_LINE_BYTES, "bytes", "SSE libraries",
        "they give up",
    ),
    Limit("event, SDK", MAX_EVENT_BYTES, "bytes", "SDK", "the stream counts as malformed"),
    # Fetch Sync.
    Limit("channels", MAX_CHANNELS, "count", "Core, event server, SDK", "400"),
    Limit("`limit`", MAX_LIMIT, "count", "Core", "400 or 422"),
    Limit("`orders`", MAX_ORDERS, "count", "Core", "400 or 422"),
    Limit(
        "answer from a shared read", limits.GATHERED_ANSWER_BYTES, "bytes", "Core",
        "it is read by itself, as a large one",
    ),
    Limit("answer", limits.ANSWER_BYTES, "bytes", "Core", "`has_more`, or the snapshot's `next`"),
    Limit(
        "answer without `orders`", limits.WHOLE_ANSWER_BYTES, "bytes", "Core",
        "413: ask with `orders`",
    ),
    Limit("answer, SDK", contract.MAX_SYNC_BYTES, "bytes", "SDK", "the answer counts as malformed"),
    Limit(
        "pages of a sync, SDK", contract.MAX_PAGES, "count", "SDK",
        "the answer counts as malformed",
    ),
    Limit(
        "pages of a sync in bytes, SDK", contract.MAX_PAGED_SYNC_BYTES, "bytes", "SDK",
        "the answer counts as malformed",
    ),
    Limit("large answers at once", limits.LARGE_ANSWERS_AT_ONCE, "count", "Core", "they wait"),
    Limit(
        "large answers of a subject, waiting", limits.LARGE_ANSWERS_WAITING, "count", "Core",
        "429 `too-many-requests`",
    ),
    Limit(
        "large answers of a subject", limits.LARGE_ANSWER_BYTES_PER_S, "bytes/s", "Core",
        "they wait, then 429 `too-many-requests`",
    ),
    Limit(
        "large answers of a subject, in a burst", limits.LARGE_ANSWER_BURST_BYTES, "bytes", "Core",
        "they wait, then 429 `too-many-requests`",
    ),
    Limit(
        "longest cursor, in a query", limits.LONGEST_CURSOR_IN_QUERY, "bytes",
        "follows from `channels`", "cannot be",
    ),
    Limit("longest ticket", limits.LONGEST_TICKET, "bytes", "follows from `channels`", "cannot be"),
    Limit("ticket", contract.MAX_TICKET_CHARS, "bytes", "Core, event server", "`stream` is null"),
    # Who calls.
    Limit(
        "answer of the OpenID provider", limits.PROVIDER_ANSWER_BYTES, "bytes", "Core",
        "the keys that are known go on",
    ),
    Limit(
        "keys of the OpenID provider", limits.PROVIDER_KEYS, "count", "Core",
        "the keys that are known go on",
    ),
    Limit(
        "stores of a provider's token", limits.PROVIDER_STORES, "count", "Core",
        "403 `forbidden`",
    ),
    Limit("revocations", limits.REVOCATIONS, "count", "Core", "409 `too-many-revocations`"),
    Limit(
        "revocations beyond these", limits.REVOCATIONS_BY_COMMAND, "count", "`yabam token revoke`",
        "409 `too-many-revocations`",
    ),
    Limit(
        "browsers that are told of orders", limits.PUSHES, "count", "Core",
        "409 `too-many-devices`",
    ),
    Limit("those of a store", limits.PUSHES_OF_STORE, "count", "Core", "409 `too-many-devices`"),
    Limit(
        "guests' phones that are told", limits.GUEST_PUSHES, "count", "Core",
        "409 `too-many-devices`",
    ),
    Limit(
        "those of a table", limits.GUEST_PUSHES_OF_TABLE, "count", "Core",
        "409 `too-many-devices`",
    ),
    Limit(
        "orders that a message to a guest's phone names", limits.PUSH_ORDERS_NAMED, "count",
        "`yabam webhooks`", "it names the newest",
    ),
    Limit("endpoint of a browser", limits.PUSH_ENDPOINT_BYTES, "bytes", "Core", "422"),
    Limit(
        "message to a browser", limits.PUSH_MESSAGE_BYTES, "bytes", "`yabam webhooks`",
        "each is as long; push services take 4,096",
    ),
    Limit(
        "orders that a message to a browser counts", limits.PUSH_ORDERS_COUNTED, "count",
        "`yabam webhooks`", "it says so many",
    ),
    Limit(
        "requests under way to push services", limits.PUSHES_AT_ONCE, "count", "`yabam webhooks`",
        "browsers wait; half at most are of those that fail",
    ),
    Limit(
        "requests under way to one push service", limits.PUSHES_AT_ONCE_EACH, "count",
        "each `yabam webhooks`", "its further browsers wait",
    ),
    Limit(
        "requests under way to browsers of one token's subject", limits.PUSHES_AT_ONCE_OWNER,
        "count", "each `yabam webhooks`", "its further browsers wait",
    ),
    Limit("webhooks", limits.WEBHOOKS, "count", "Core", "409 `too-many-webhooks`"),
    Limit(
        "webhooks of a store", limits.WEBHOOKS_OF_STORE, "count", "Core",
        "409 `too-many-webhooks`",
    ),
    Limit(
        "webhooks of a token's subject", limits.WEBHOOKS_OF_SUBJECT, "count", "Core",
        "409 `too-many-webhooks`",
    ),
    Limit("stores of a webhook", limits.WEBHOOK_STORES, "count", "Core", "422"),
    Limit(
        "stores of all webhooks together", limits.WEBHOOK_LANES, "count", "Core",
        "409 `too-many-webhooks`",
    ),
    Limit("URL of a webhook", limits.WEBHOOK_URL_BYTES, "bytes", "Core", "422"),
    Limit("event types of a webhook", limits.WEBHOOK_TYPES, "count", "Core", "422"),
    Limit(
        "answer of a webhook's receiver", limits.WEBHOOK_ANSWER_BYTES, "bytes", "`yabam webhooks`",
        "the rest is not read",
    ),
    Limit(
        "all that a webhook's receiver says before the end of its answer's head",
        limits.WEBHOOK_HEAD_BYTES, "bytes", "`yabam webhooks`", "the attempt has failed",
    ),
    Limit(
        "requests under way to webhooks' receivers", limits.WEBHOOKS_AT_ONCE, "count",
        "`yabam webhooks`", "stores wait; half at most are of receivers that fail",
    ),
    Limit(
        "requests under way of one webhook", limits.WEBHOOKS_AT_ONCE_EACH, "count",
        "each `yabam webhooks`", "its further stores wait",
    ),
    Limit(
        "events that a webhook's store reads at once", limits.WEBHOOK_EVENTS_READ, "count",
        "`yabam webhooks`", "the others are read later",
    ),
    Limit(
        "events that a webhook's store reads at once, in bytes", limits.WEBHOOK_READ_BYTES, "bytes",
        "`yabam webhooks`", "the others are read later; one is read in any case",
    ),
    Limit(
        "events of a webhook that are set aside", limits.WEBHOOK_SET_ASIDE, "count",
        "`yabam webhooks`", "the store waits, and is parked after three days",
    ),
    Limit(
        "older secrets of a webhook that sign", limits.WEBHOOK_OLD_SECRETS, "count", "Core",
        "the oldest ends at the next rotation",
    ),
    Limit("stream query", limits.EVENTS_QUERY_BYTES, "bytes", "event server", "400"),
    Limit("stream request head", limits.EVENTS_HEAD_BYTES, "bytes", "event server", "400"),
)  # fmt: skip
