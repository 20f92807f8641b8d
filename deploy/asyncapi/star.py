"""The messages to and from Star printers over MQTT, in the vendor's format as far as we know it."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field


class RequestPost(Struct, frozen=True, tag_field="title", tag="request-post"):
    """Asks the printer to poll."""


class RequestClientStatus(Struct, frozen=True, tag_field="title", tag="request-client-status"):
    """Asks the printer for its status."""


class Question(Struct, frozen=True):
    """A question about the printer's properties."""

    request: Literal["Encodings"]
    options: Literal[""]


class OrderClientAction(
    Struct, frozen=True, tag_field="title", tag="order-client-action", rename="camel"
):
    """Asks the printer about its properties."""

    client_action: list[Question]


class Cutter(Struct, frozen=True):
    """How the paper is cut."""

    type: Literal["full"]
    feed: bool


class PrinterControl(Struct, frozen=True):
    """What the printer does after the ticket."""

    cutter: Cutter


class PrintJob(Struct, frozen=True, tag_field="title", tag="print-job", rename="camel"):
    """A ticket to print."""

    job_token: str
    """The job's id, a dot, and the number of the attempt."""
    job_type: Literal["raw"]
    media_types: list[str]
    """Exactly one media type."""
    print_data: str
    """The text, or the picture in base64."""
    printer_control: PrinterControl


class Answer(Struct, frozen=True):
    """The printer's answer to a question."""

    request: str
    result: Any


class ClientStatus(Struct, frozen=True, tag_field="title", tag="client-status", rename="camel"):
    """The printer's status."""

    status_code: str
    printer_mac: str | UnsetType = field(default=UNSET, name="printerMAC")
    printing_in_progress: bool | UnsetType | None = UNSET
    client_action: list[Answer] | UnsetType | None = UNSET


class PrintResult(Struct, frozen=True, tag_field="title", tag="print-result", rename="camel"):
    """Whether a ticket was printed."""

    status_code: str
    job_token: str | UnsetType = UNSET
    print_succeeded: bool | UnsetType = UNSET
    printer_mac: str | UnsetType = field(default=UNSET, name="printerMAC")


class ClientWill(Struct, frozen=True, tag_field="title", tag="client-will", rename="camel"):
    """The printer's will: it has disconnected."""

    printer_mac: str | UnsetType = field(default=UNSET, name="printerMAC")
    unintentional_disconnection: bool | UnsetType = UNSET
