"""The messages to and from Star printers over MQTT, in the vendor's format as far as known."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field


class RequestPost(Struct, frozen=True, tag_field="title", tag="request-post"):
    """The printer is to poll."""


class RequestClientStatus(Struct, frozen=True, tag_field="title", tag="request-client-status"):
    """The printer is to say how it is."""


class Question(Struct, frozen=True):
    """What the printer is asked about itself."""

    request: Literal["Encodings"]
    options: Literal[""]


class OrderClientAction(
    Struct, frozen=True, tag_field="title", tag="order-client-action", rename="camel"
):
    """The printer is asked about itself."""

    client_action: list[Question]


class Cutter(Struct, frozen=True):
    """How the paper is cut."""

    type: Literal["full"]
    feed: bool


class PrinterControl(Struct, frozen=True):
    """What the printer does after the ticket."""

    cutter: Cutter


class PrintJob(Struct, frozen=True, tag_field="title", tag="print-job", rename="camel"):
    """A ticket."""

    job_token: str
    """The job's id, a point, and which attempt it is."""
    job_type: Literal["raw"]
    media_types: list[str]
    """One."""
    print_data: str
    """Text as it is, a picture in base64."""
    printer_control: PrinterControl


class Answer(Struct, frozen=True):
    """The printer's answer to a question."""

    request: str
    result: Any


class ClientStatus(Struct, frozen=True, tag_field="title", tag="client-status", rename="camel"):
    """How the printer is."""

    status_code: str
    printer_mac: str | UnsetType = field(default=UNSET, name="printerMAC")
    printing_in_progress: bool | UnsetType | None = UNSET
    client_action: list[Answer] | UnsetType | None = UNSET


class PrintResult(Struct, frozen=True, tag_field="title", tag="print-result", rename="camel"):
    """What became of a ticket."""

    status_code: str
    job_token: str | UnsetType = UNSET
    print_succeeded: bool | UnsetType = UNSET
    printer_mac: str | UnsetType = field(default=UNSET, name="printerMAC")


class ClientWill(Struct, frozen=True, tag_field="title", tag="client-will", rename="camel"):
    """The printer is not there any more."""

    printer_mac: str | UnsetType = field(default=UNSET, name="printerMAC")
    unintentional_disconnection: bool | UnsetType = UNSET
