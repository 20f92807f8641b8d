"""The address of the MQTT broker, and our credentials there. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from client_sdk.contract.errors import YabamError
from client_sdk.contract.text import number_of

Version = Literal["5", "3.1.1"]
MAX_PAYLOAD_BYTES: Final = 256 * 1024
"""The largest payload of a message, in both directions."""
MAX_PACKET_BYTES: Final = MAX_PAYLOAD_BYTES + 64 * 1024
"""The largest packet that we accept. It leaves room for a payload that is slightly too large, so
that we can refuse it with a reason; the broker drops larger ones."""


class MqttError(YabamError):
    """The broker cannot be reached, refuses, or the connection to it is lost."""


class MqttRefusedError(MqttError):
    """The broker does not permit it; trying again does not help."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker, and our credentials there."""

    host: str
    port: int
    user: str = ""
    """Empty: we send no user name."""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    """A file with the authorities that sign the broker's certificate (PEM); empty: no TLS."""
    version: Version = "5"
    """3.1.1 has neither reasons for a refusal nor shared subscriptions."""

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"


def parse_address(text: str) -> tuple[str, int]:
    """Read `host:port`; the host may be an IPv6 address in brackets.

    Raises:
        ValueError: the text does not have that form.
    """
    host, colon, port = text.rpartition(":")
    number = number_of(port, 65_535)
    if not colon or not host or not number:
        raise ValueError("write host:port")
    return host.removeprefix("[").removesuffix("]"), number
