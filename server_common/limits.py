"""Every size from the request to the screen. Pure.

`server_common/limit_table/` has for each where it is enforced, and how they must fit each other.
"""

from __future__ import annotations

from typing import Final

from client_sdk.contract.channel import MAX_SEQ
from client_sdk.contract.cursor import MAX_CHANNELS
from client_sdk.contract.limits import (
    ENVELOPE_BYTES,
    LONGEST_CHANNEL,
    LONGEST_CURSOR_BYTES_EACH,
    LONGEST_JSON_BYTES_EACH,
    MAX_EDIT_BYTES,
    MAX_ORDER_BYTES,
    MAX_SHOWN_VALUE_BYTES,
    MAX_SUBJECT_CHARS,
    MAX_TICKET_CHARS,
    MAX_VALUE_BYTES,
    REASON_BYTES,
)

KIB: Final = 1024
MIB: Final = 1024 * KIB

BODY_BYTES: Final = 64 * KIB
BATCH_BODY_BYTES: Final = MIB
BATCH_ORDERS: Final = 100
COMMAND_BYTES: Final = 64 * KIB
INGEST_RECORDS: Final = 500
INGEST_BYTES: Final = 2 * MIB
DEVICE_MESSAGES_WAITING: Final = 2_000
"""How many messages of a partition may wait for stores with locked rows before the partition waits,
too."""
WRITES_PER_BATCH: Final = 100
"""How many commands may share one transaction."""
CORE_HEAD_BYTES: Final = 256 * KIB
EVENTS_QUERY_BYTES: Final = 2 * MAX_TICKET_CHARS
EVENTS_HEAD_BYTES: Final = EVENTS_QUERY_BYTES + 32 * KIB
PROXY_HEAD_BYTES: Final = 272 * KIB
"""`large_client_header_buffers` of deploy/nginx/nginx.conf; a test compares them."""
PROXY_BODY_BYTES: Final = 1100 * KIB
"""`client_max_body_size` of deploy/nginx/nginx.conf; a test compares them."""
PUBLICATION_BYTES: Final = 512 * KIB
PRODUCER_REQUEST_BYTES: Final = MIB
TOPIC_MESSAGE_BYTES: Final = MIB
EVENT_RECORD_BYTES: Final = TOPIC_MESSAGE_BYTES - 4 * KIB
"""The rest is for Kafka's framing of a record that is alone in its batch."""
DEAD_LETTER_BYTES: Final = 4 * MIB
FETCHED_BATCH_BYTES: Final = 64 * MIB
"""No broker stores a batch as large as this: such a length is damaged."""
UNPACKED_BATCH_BYTES: Final = 32 * MIB

SUBJECT_BODY_BYTES_PER_S: Final = 2 * MIB
SUBJECT_BODY_BURST_BYTES: Final = 8 * MIB

GATHERED_ANSWER_BYTES: Final = 128 * KIB
ANSWER_BYTES: Final = MIB
WHOLE_ANSWER_BYTES: Final = 48 * MIB
LARGE_ANSWERS_AT_ONCE: Final = 4
LARGE_ANSWERS_WAITING: Final = 8
LARGE_ANSWER_BYTES_PER_S: Final = 8 * MIB
LARGE_ANSWER_BURST_BYTES: Final = 128 * MIB

HISTORY_ENTRIES: Final = 100
HISTORY_BYTES: Final = MIB
SUBJECT_CLIENTS: Final = 10_000
SETTLING_VERSIONS: Final = 500
SETTLING_BYTES: Final = MIB
ANSWERS_KEPT: Final = 1_000
ANSWERS_UNTOLD: Final = 10_000
UNSTORED_REPORTS: Final = 100_000
CHANNEL_DOCUMENTS: Final = 200
CHANNEL_DOCUMENT_BYTES: Final = 512 * KIB
PRINT_JOBS: Final = 120
PRINT_JOB_BYTES: Final = 320 * KIB
PRINT_STEP_BYTES: Final = 12 * KIB
CLOUDPRNT_POLL_BYTES: Final = 16 * KIB

SNAPSHOT_BYTES: Final = 256 * KIB
# A picture is in base64, which makes four characters of three bytes.
DEVICE_PAYLOAD_BYTES: Final = 4 * SNAPSHOT_BYTES // 3 + KIB
DEVICE_EVENT_BYTES: Final = 4 * KIB
DEVICE_STATUS_BYTES: Final = 12 * KIB
DEVICE_RECORD_BYTES: Final = DEVICE_PAYLOAD_BYTES + KIB
DEVICE_DEAD_BYTES: Final = 16 * KIB
DEVICE_TROUBLES: Final = 16
DEVICE_TROUBLE_CHARS: Final = 100
DEVICE_MEASUREMENTS: Final = 64
DEVICE_BOOTS: Final = 8
DEVICE_MISSING: Final = 256
DEVICE_OPEN_COMMANDS: Final = 50
DEVICE_COMMAND_BYTES: Final = 8 * KIB
STORE_DEVICES: Final = 500
DOCUMENT_FACTS_BYTES: Final = 2 * KIB
"""The parts of a document in a snapshot beside its value: two names, a subject, a time, numbers."""
STORE_DEVICE_NAMES: Final = 5_000

OPS_POINTS: Final = 1_500
"""A day of them, one a minute, and some more where the lease has changed its owner."""
OPS_POINT_BYTES: Final = 16 * KIB
OPS_POINTS_READ: Final = 64
"""How many are read and decoded before others have their turn."""
OPS_CHARTED_BYTES: Final = 512
"""Eight names, and numbers of 24 digits."""
PROVIDER_ANSWER_BYTES: Final = 256 * KIB
PROVIDER_KEYS: Final = 64
PROVIDER_STORES: Final = 1000
REVOCATIONS: Final = 100_000
REVOCATIONS_BY_COMMAND: Final = 1_000
"""Reserved for users of the database: a stolen token of ops may have filled the table."""

WEBHOOKS: Final = 1_000
WEBHOOKS_OF_STORE: Final = 10
WEBHOOKS_OF_SUBJECT: Final = 50
WEBHOOK_STORES: Final = 100
WEBHOOK_LANES: Final = 20_000
"""The stores of all subscriptions together, each checked several times a second."""
WEBHOOK_URL_BYTES: Final = 2 * KIB
WEBHOOK_TYPES: Final = 20
WEBHOOK_ANSWER_BYTES: Final = 4 * KIB
WEBHOOK_HEAD_BYTES: Final = 128 * KIB
WEBHOOKS_AT_ONCE: Final = 200
WEBHOOKS_AT_ONCE_EACH: Final = 4
WEBHOOK_EVENTS_READ: Final = 8
WEBHOOK_READ_BYTES: Final = 64 * KIB
WEBHOOK_SET_ASIDE: Final = 100
WEBHOOK_OLD_SECRETS: Final = 3
PUSHES: Final = 20_000
PUSHES_OF_STORE: Final = 20
PUSH_ENDPOINT_BYTES: Final = 2 * KIB
PUSH_MESSAGE_BYTES: Final = 512
PUSH_ORDERS_COUNTED: Final = 1_000
GUEST_PUSHES: Final = 20_000
GUEST_PUSHES_OF_TABLE: Final = 12
PUSH_ORDERS_NAMED: Final = 3
PUSHES_AT_ONCE: Final = 50
PUSHES_AT_ONCE_EACH: Final = 25
PUSHES_AT_ONCE_OWNER: Final = 10

OPEN_TABLE_ORDERS: Final = 200
OPEN_TABLE_BYTES: Final = MIB
OPEN_SUBJECT_ORDERS: Final = 8_000
OPEN_SUBJECT_BYTES: Final = 24 * MIB
OPEN_STORE_ORDERS: Final = 10_000
OPEN_STORE_BYTES: Final = 32 * MIB

RINGS_BYTES: Final = 128 * MIB
SLOW_CLIENT_BYTES: Final = 256 * KIB
SOCKET_MESSAGES_PER_S: Final = 20
SOCKET_REQUESTS_PER_S: Final = 5
SOCKET_MESSAGES_WAITING: Final = 1_000
SOCKET_RECEIPTS_WAITING: Final = 20_000

_OTHER_TICKET_BYTES: Final = 384
OTHER_HEAD_BYTES: Final = 16 * KIB
RECORD_HEADER_BYTES: Final = 1024
LONGEST_RECEIPT: Final = 4 * MAX_SUBJECT_CHARS + 256
"""A subject of letters of four bytes, a device, an epoch, a number."""
ANSWER_FRAME_BYTES_EACH: Final = 2 * len(LONGEST_CHANNEL) + 512
FRAME_HEAD_BYTES: Final = len(f"id: {LONGEST_CHANNEL}@{MAX_SEQ}\nevent: order.preparing\n") + 2

# What its client saw, what a resolver needs, and the pointers of all that was put aside.
ANSWER_TO_EDIT_BYTES: Final = MAX_VALUE_BYTES + 4 * MAX_SHOWN_VALUE_BYTES + MAX_EDIT_BYTES + 4 * KIB
EVENT_LINE: Final = MAX_ORDER_BYTES + REASON_BYTES + ENVELOPE_BYTES
# A ticket is JSON in base64, which makes four characters of three bytes.
LONGEST_TICKET: Final = (
    4 * (MAX_CHANNELS * LONGEST_JSON_BYTES_EACH + 6 * MAX_SUBJECT_CHARS + _OTHER_TICKET_BYTES) // 3
    + _OTHER_TICKET_BYTES
)
# In a query the three separators of an event id, and the comma, are written as %XX.
LONGEST_CURSOR_IN_QUERY: Final = MAX_CHANNELS * (LONGEST_CURSOR_BYTES_EACH + 4 * 2)
LONGEST_CHANNELS_IN_QUERY: Final = MAX_CHANNELS * (len(f"&channel={LONGEST_CHANNEL}") + 2 * 2)
