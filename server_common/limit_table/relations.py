"""How the limits of sizes and counts must fit each other. Pure.

If an earlier limit were larger than a later one, data would be accepted that can never be
delivered. Times are checked where they are set, as in `event_server/settings.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from client_sdk.contract import limits as contract
from client_sdk.contract.cursor import MAX_CHANNELS
from server_common import limits


@dataclass(frozen=True, slots=True)
class Relation:
    """`times` × `small` + `more` must be at most `large`; both are names of limits."""

    small: str
    large: str
    why: str
    times: int = 1
    more: int = 0


RELATIONS: Final[tuple[Relation, ...]] = (
    Relation("order", "request body", "each order that is taken can be sent by itself"),
    Relation("order", "Kafka command", "each order that is taken can be sent through Kafka"),
    Relation("Kafka command", "dead letter", "what is refused can be kept", more=16 * limits.KIB),
    Relation("batch body", "proxy: request body", "the proxy lets pass what Core takes"),
    Relation("edits body", "proxy: request body", "the proxy lets pass what Core takes"),
    Relation("sync body", "proxy: request body", "the proxy lets pass what Core takes"),
    Relation("request head", "proxy: request head", "the proxy lets pass what Core takes"),
    Relation("stream request head", "proxy: request head", "the proxy lets pass what events takes"),
    Relation("orders in a batch", "writes in one transaction", "a batch is written in one go"),
    Relation(
        "edit", "edits body", "each edit that is taken can be sent by itself", more=limits.KIB
    ),
    Relation("metadata of an edit", "edit", "an edit has room for its metadata", more=limits.KIB),
    Relation("value in an event or a snapshot", "document", "what is shown is what there is"),
    Relation(
        "edits in a request", "answer to edits, SDK", "the SDK reads what became of all edits",
        # What a resolver needs, and the pointers of all that was put aside.
        times=3 * contract.MAX_SHOWN_VALUE_BYTES + contract.MAX_EDIT_BYTES + 4 * limits.KIB,
    ),
    Relation(
        "document", "answer to edits, SDK", "the SDK reads each document",
        more=limits.DOCUMENT_FACTS_BYTES,
    ),
    Relation(
        "entries of a history in bytes", "answer to edits, SDK",
        "the SDK reads each page of a history, and the first entry however large it is",
        times=2, more=2 * contract.MAX_EDIT_BYTES,
    ),
    Relation(
        "document", "versions that settle an edit in bytes", "the newest version is always read",
        times=2,
    ),
    Relation(
        "edits in a request", "answers of a client, not acknowledged",
        "what was just answered can be repeated",
    ),
    Relation(
        "documents of a channel in bytes", "answer",
        "all documents of a channel stand in one page",
        more=limits.CHANNEL_DOCUMENTS * limits.DOCUMENT_FACTS_BYTES,
    ),
    Relation(
        "order", "largest event", "a later reason and the event around it have room",
        more=contract.REASON_BYTES + contract.ENVELOPE_BYTES,
    ),
    Relation(
        "message of a device with a picture", "Kafka record of a device's message",
        "the gateway's fields stand around it", more=limits.KIB // 2,
    ),
    Relation(
        "Kafka record of a device's message", "producer's request", "the gateway sends it",
    ),
    Relation(
        "dead letter of a device", "topic: max.message.bytes", "Kafka keeps it, in base64",
        times=2, more=8 * limits.KIB,
    ),
    Relation(
        "value in an event or a snapshot", "line of a stream",
        "a document's event, with its diff and what stands beside it, is one line", times=2,
        more=2 * contract.MAX_METADATA_BYTES + contract.ENVELOPE_BYTES + limits.KIB,
    ),
    Relation("largest event", "line of a stream", "clients with a limit of 64 KiB a line read it"),
    Relation("largest event", "event, SDK", "the SDK reads it"),
    Relation(
        "largest event", "publication", "the store's and the table's line make one record",
        times=2, more=limits.RECORD_HEADER_BYTES,
    ),
    Relation(
        "largest event", "record of an event", "the relay sends each event that Core takes",
        times=2, more=limits.RECORD_HEADER_BYTES,
    ),
    Relation(
        "record of an event", "topic: max.message.bytes", "Kafka takes a record that stands alone",
        more=4 * limits.KIB,
    ),
    Relation("publication", "topic: max.message.bytes", "Kafka takes what the relay publishes"),
    Relation(
        "topic: max.message.bytes", "batch read from Kafka", "what Kafka keeps is read",
    ),
    Relation(
        "dead letter", "batch read from Kafka, unpacked", "what Kafka keeps is read, packed or not",
    ),
    Relation(
        "batch read from Kafka, unpacked", "batch read from Kafka", "not packed it is the same",
    ),
    Relation(
        "largest event", "what waits for one slow client", "an event alone makes nobody slow",
        more=limits.FRAME_HEAD_BYTES,
    ),
    Relation(
        "largest event", "rings in all", "a ring holds any event", more=limits.FRAME_HEAD_BYTES
    ),
    Relation(
        "order", "open orders of a table in bytes", "a table can order", more=contract.REASON_BYTES
    ),
    Relation("open orders of a table", "open orders of a subject in a store", "tables come first"),
    Relation(
        "open orders of a table in bytes", "open orders of a subject in a store in bytes",
        "tables come first",
    ),
    Relation(
        "open orders of a subject in a store", "open orders of a store",
        "no subject takes up a whole store",
    ),
    Relation(
        "open orders of a subject in a store in bytes", "open orders of a store in bytes",
        "no subject takes up a whole store",
    ),
    Relation(
        "open orders of a store in bytes", "answer without `orders`",
        "a whole snapshot fits one answer, with what two processes may write at once",
        more=2 * limits.WRITES_PER_BATCH * contract.MAX_ORDER_BYTES,
    ),
    Relation(
        "largest event", "answer from a shared read", "an answer brings its reader further",
        more=limits.ANSWER_FRAME_BYTES_EACH,
    ),
    Relation("answer from a shared read", "answer", "a large answer is the larger one"),
    Relation("answer", "answer without `orders`", "one page is no more than the whole"),
    Relation(
        "answer without `orders`", "answer, SDK", "the SDK reads every answer",
        more=MAX_CHANNELS * limits.ANSWER_FRAME_BYTES_EACH + limits.LONGEST_TICKET + limits.MIB,
    ),
    Relation(
        "answer without `orders`", "pages of a sync in bytes, SDK",
        "the SDK reads a snapshot in pages that it could read whole",
    ),
    Relation(
        "records of Kafka being applied, of a partition",
        "records of Kafka being applied, of a partition, in bytes", "many small ones fit",
        times=limits.KIB,
    ),
    Relation(
        "Kafka command", "records of Kafka being applied, of a partition, in bytes",
        "commands of several keys are applied at once", times=16,
    ),
    Relation(
        "longest cursor, in a query", "stream query", "it goes with the ticket",
        more=limits.LONGEST_TICKET,
    ),
    Relation(
        "channels", "answer without `orders`", "one event of each channel fits one answer",
        times=limits.EVENT_LINE,
    ),
    Relation(
        "answer without `orders`", "large answers of a subject, in a burst",
        "two devices of a subject can start at once", times=2,
    ),
    Relation("longest ticket", "ticket", "a client of the most channels can be pushed to"),
    Relation(
        "ticket", "stream query", "the query has room for a ticket and a cursor",
        more=limits.LONGEST_CURSOR_IN_QUERY + limits.KIB,
    ),
    Relation(
        "stream query", "stream request head", "the head has room for the query and headers",
        more=limits.OTHER_HEAD_BYTES,
    ),
    Relation(
        "channels", "request head", "a GET can name all channels and a cursor of them",
        more=limits.LONGEST_CURSOR_IN_QUERY
        + limits.LONGEST_CHANNELS_IN_QUERY
        + limits.OTHER_HEAD_BYTES,
    ),
    Relation(
        "channels", "sync body", "a POST can name all channels",
        times=contract.LONGEST_JSON_BYTES_EACH, more=limits.KIB,
    ),
)  # fmt: skip
