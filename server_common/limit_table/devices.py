"""The limits of devices, printers and the ops page. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from client_sdk.contract import limits as contract
from server_common import limits
from server_common.limit_table.limit import Limit, Relation, count, size
from server_common.mqtt.broker import MAX_PACKET_BYTES, MAX_PAYLOAD_BYTES

ROWS: Final[tuple[Limit, ...]] = (
    # What devices say.
    size("picture of a device", limits.SNAPSHOT_BYTES, "gateway, devices", "dead letter"),
    size(
        "message of a device", limits.DEVICE_EVENT_BYTES, "gateway, devices",
        "dead letter, `too-large`",
    ),
    size(
        "status of a device", limits.DEVICE_STATUS_BYTES, "gateway, devices",
        "dead letter, `too-large`",
    ),
    size(
        "payload of a device's message", MAX_PAYLOAD_BYTES, "gateway", "dead letter, `too-large`",
    ),
    size("MQTT packet", MAX_PACKET_BYTES, "broker, gateway", "the connection is closed"),
    size(
        "message of a device with a picture", limits.DEVICE_PAYLOAD_BYTES,
        "follows from `picture of a device`", "cannot be",
    ),
    count(
        "messages of devices under way to Kafka", 100, "gateway", "the broker keeps the others",
        held="event_server/mqtt_gateway/up.py:UNANSWERED",
    ),
    count(
        "messages of devices that wait in a gateway", 1000, "gateway",
        "the oldest is dropped: its device sends it again",
        held="event_server/mqtt_gateway/rules/backlog.py:MAX_WAITING",
    ),
    size(
        "messages of devices that wait in a gateway, in bytes", 32 << 20, "gateway",
        "the oldest is dropped: its device sends it again",
        held="event_server/mqtt_gateway/rules/backlog.py:MAX_WAITING_BYTES",
    ),
    count(
        "messages of a device at once", 100, "gateway",
        "they are dropped: the device sends them again", "mqtt_device_burst",
        alone="each device has its own, at a rate of its own",
    ),
    count(
        "records that a gateway holds", 1000, "gateway",
        "no more are read until the broker has some",
        held="event_server/mqtt_gateway/partitions.py:MAX_HELD",
    ),
    size(
        "records that a gateway holds, in bytes", 8 << 20, "gateway",
        "no more are read until the broker has some",
        held="event_server/mqtt_gateway/partitions.py:MAX_HELD_BYTES",
    ),
    size(
        "Kafka record of a device's message", limits.DEVICE_RECORD_BYTES, "devices",
        "dead letter, `too-large`",
    ),
    count(
        "channels in a mark", 1000, "gateway", "the ones that were quiet for longest are left out",
        held="event_server/mqtt_gateway/rules/heads.py:MAX_IN_A_MARK",
    ),
    size("dead letter of a device", limits.DEVICE_DEAD_BYTES, "gateway, devices", "it is cut"),
    count("troubles in a status", limits.DEVICE_TROUBLES, "gateway, devices", "dead letter"),
    count(
        "measurements of a device", limits.DEVICE_MEASUREMENTS, "devices",
        "another name is dropped and counted",
    ),
    count(
        "boots of a device that are told apart", limits.DEVICE_BOOTS, "devices",
        "an older one is refused, dead letter `too-old`",
        alone="they are numbers in one row of Postgres",
    ),
    count(
        "messages of a boot that may be missing below its newest", limits.DEVICE_MISSING, "devices",
        "an older one is refused, dead letter `too-old`",
        alone="they are numbers in one row of Postgres",
    ),
    count("devices of a store", limits.STORE_DEVICES, "Core", "409 `too-many-devices`"),
    count(
        "devices of a store, removed ones too", limits.STORE_DEVICE_NAMES, "Core",
        "409 `too-many-devices`: take a name that was there before",
    ),
    count(
        "open commands of a device", limits.DEVICE_OPEN_COMMANDS, "Core", "409 `too-many-commands`",
    ),
    size("command to a device", limits.DEVICE_COMMAND_BYTES, "Core", "413 `too-large`"),
    count(
        "documents of a printer's channel", limits.PRINT_JOBS, "Core",
        "orders wait in the log until there is room",
    ),
    size(
        "documents of a printer's channel in bytes", limits.PRINT_JOB_BYTES, "Core",
        "orders wait in the log until there is room",
    ),
    count(
        "lines of a ticket", 1500, "Core", "it is cut, and says so",
        held="client_sdk/printer_media/lines.py:MAX_LINES",
    ),
    count(
        "columns of a ticket", 64, "Core", "422",
        alone="each line has so many letters at most; `lines of a ticket` counts them",
        held="client_sdk/printer_media/lines.py:MAX_COLUMNS",
    ),
    count(
        "printers of a store", 20, "Core", "`refused`",
        held="core_api/printing/routing.py:MAX_PRINTERS",
    ),
    count(
        "copies of a ticket", 5, "Core", "`refused`",
        held="core_api/printing/routing.py:MAX_COPIES",
    ),
    size(
        "job of a Star printer in a message", 200_000, "Core",
        "it is sent in another form; without one, a person decides",
        held="core_api/printing/star/over_mqtt.py:MAX_JOB_BYTES",
    ),
    size("word of a printer's agent", limits.PRINT_STEP_BYTES, "Core", "413 `too-large`"),
    size("poll of a Star printer", limits.CLOUDPRNT_POLL_BYTES, "Core", "413 `too-large`"),
    # What the ops page remembers and shows.
    count("points of the ops page", limits.OPS_POINTS, "Core", "the older ones are not shown"),
    size(
        "point of the ops page", limits.OPS_POINT_BYTES, "Core",
        "which kind each process was, then what was wrong, is left out",
    ),
    size("point of the ops page, as charts have it", limits.OPS_CHARTED_BYTES, "Core", "cannot be"),
    count(
        "points of the ops page that are read at once", limits.OPS_POINTS_READ, "Core",
        "the rest follow",
    ),
    size(
        "metrics of a process", 2 << 20, "ops page", "the process is shown as unreadable",
        alone="one answer at a time is read of each process, and only its figures are kept",
        held="core_api/dashboard/scrape.py:MAX_BYTES",
    ),
    count(
        "processes that the ops page asks", 100, "ops page", "the others are not shown",
        alone="a point that has no room for all of them leaves them out",
        held="core_api/dashboard/scrape.py:MAX_NODES",
    ),
    count(
        "viewers of the ops page", 20, "Core", "503", "ops_viewers",
        alone="all of them are shown the same figures, which are made once",
    ),
)  # fmt: skip


RELATIONS: Final[tuple[Relation, ...]] = (
    Relation(
        "picture of a device", "payload of a device's message",
        "a picture that is sent as it is passes the gateway",
    ),
    Relation(
        "picture of a device", "message of a device with a picture",
        "the gateway writes it in base64, with its type", times=Fraction(4, 3),
        more=limits.KIB // 2,
    ),
    Relation(
        "payload of a device's message", "message of a device with a picture",
        "what the gateway takes as JSON, Core takes, too",
    ),
    Relation(
        "payload of a device's message", "MQTT packet", "its topic stands before it",
        more=2 * limits.KIB,
    ),
    Relation("message of a device", "payload of a device's message", "the gateway takes it"),
    Relation("status of a device", "payload of a device's message", "the gateway takes it"),
    Relation(
        "status of a device", "value in an event or a snapshot", "who follows the device sees it",
        more=limits.KIB,
    ),
    Relation(
        "channels in a mark", "payload of a device's message", "a mark is one message",
        times=contract.LONGEST_JSON_BYTES_EACH, more=limits.KIB,
    ),
    Relation(
        "message of a device with a picture", "Kafka record of a device's message",
        "the gateway's fields stand around it", more=limits.KIB // 2,
    ),
    Relation(
        "Kafka record of a device's message", "producer's request", "the gateway sends it",
    ),
    Relation(
        "Kafka record of a device's message",
        "records of Kafka being applied, of a partition, in bytes",
        "messages of several devices are applied at once", times=4,
    ),
    Relation(
        "dead letter of a device", "topic: max.message.bytes", "Kafka keeps it, in base64",
        times=2, more=8 * limits.KIB,
    ),
    Relation(
        "messages of devices under way to Kafka", "messages of devices that wait in a gateway",
        "what the broker sends before it waits is not dropped",
    ),
    Relation(
        "payload of a device's message", "messages of devices that wait in a gateway, in bytes",
        "the largest that the broker sends before it waits are not dropped", times=100,
    ),
    Relation(
        "messages of devices that wait in a gateway",
        "messages of devices that wait in a gateway, in bytes", "many small ones fit",
        times=limits.KIB,
    ),
    Relation(
        "records that a gateway holds", "records that a gateway holds, in bytes",
        "many small ones fit", times=limits.KIB,
    ),
    Relation(
        "record of an event", "records that a gateway holds, in bytes", "each can be held",
    ),
    Relation(
        "troubles in a status", "status of a device",
        "each may have all its letters, of any script, also as JSON escapes them",
        times=6 * limits.DEVICE_TROUBLE_CHARS + 3, more=limits.KIB,
    ),
    Relation(
        "troubles in a status", "word of a printer's agent",
        "each may have all its letters, of any script, also as JSON escapes them",
        times=6 * limits.DEVICE_TROUBLE_CHARS + 3, more=limits.KIB,
    ),
    Relation(
        "measurements of a device", "document", "all of them are one document",
        # A name, a value and a unit of 64 letters each, two of them of four bytes a letter.
        times=64 + 2 * 4 * 64 + 128,
    ),
    Relation(
        "devices of a store", "devices of a store, removed ones too", "the living count, too",
    ),
    Relation("printers of a store", "devices of a store", "each printer is a device"),
    Relation(
        "command to a device", "proxy: request body", "the proxy lets pass what Core takes",
    ),
    Relation(
        "command to a device", "value in an event or a snapshot", "its device sees it",
        more=limits.DOCUMENT_FACTS_BYTES,
    ),
    Relation(
        "command to a device", "payload of a device's message", "the gateway passes it on",
        more=limits.DOCUMENT_FACTS_BYTES,
    ),
    Relation(
        "open commands of a device", "documents of a channel",
        "the device has documents of its own, too", more=16,
    ),
    Relation(
        "open commands of a device", "documents of a channel in bytes",
        "as many as may be open fit the device's channel, however large",
        times=limits.DEVICE_COMMAND_BYTES + limits.DOCUMENT_FACTS_BYTES,
    ),
    Relation(
        "documents of a printer's channel", "documents of a channel",
        "an event's tickets are made in any case, and the printer has documents of its own",
        more=16,
    ),
    Relation(
        "documents of a printer's channel in bytes", "documents of a channel in bytes",
        "an event's tickets are made in any case, and the printer has documents of its own",
        more=6 * contract.MAX_SHOWN_VALUE_BYTES,
    ),
    Relation(
        "copies of a ticket", "documents of a printer's channel", "an event's tickets fit",
    ),
    Relation(
        "lines of a ticket", "document", "the ticket of the largest order is a document",
        # What stands around a line, and the text of the order, with signs that JSON escapes.
        times=48, more=2 * contract.MAX_ORDER_BYTES,
    ),
    Relation(
        "job of a Star printer in a message", "payload of a device's message",
        "the printer's message has room for it", more=limits.KIB,
    ),
    Relation(
        "job of a Star printer in a message", "Kafka record of a device's message",
        "the gateway gets it through Kafka", more=limits.KIB,
    ),
    Relation(
        "word of a printer's agent", "proxy: request body", "the proxy lets pass what Core takes",
    ),
    Relation(
        "poll of a Star printer", "proxy: request body", "the proxy lets pass what Core takes",
    ),
    Relation(
        "points of the ops page that are read at once", "answer",
        "a day delays others no more than any page of a sync", times=limits.OPS_POINT_BYTES,
    ),
    Relation(
        "points of the ops page", "answer", "the charts of a day are one answer",
        times=limits.OPS_CHARTED_BYTES,
    ),
    Relation(
        "point of the ops page, as charts have it", "point of the ops page",
        "what the charts show is kept, whatever else is left out", more=limits.KIB // 4,
    ),
)  # fmt: skip
