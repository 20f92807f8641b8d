"""Where the MQTT broker is, and how one signs in there. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from client_sdk.contract.errors import YabamError

Version = Literal["5", "3.1.1"]
MAX_PAYLOAD_BYTES: Final = 256 * 1024
"""The largest payload of a message, in both directions."""
MAX_PACKET_BYTES: Final = MAX_PAYLOAD_BYTES + 64 * 1024
"""What a broker may send us at once; so a payload that is a little too large is seen and refused,
and one that is far too large never comes."""


class MqttError(YabamError):
    """The broker cannot be reached, refuses, or the connection to it is lost."""


class MqttRefusedError(MqttError):
    """The broker is there and does not permit it, however often one asks."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker, and who we are there."""

    host: str
    port: int
    user: str = ""
    """Empty: one who gives no name."""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    """The authorities that may have signed its certificate (PEM); empty: no TLS."""
    version: Version = "5"
    """3.1.1 knows no reasons of a refusal and no shared subscriptions."""

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"


def parse_address(text: str) -> tuple[str, int]:
    """Read `host:port`; the host may be an IPv6 address in brackets.

    Raises:
        ValueError: it is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise ValueError("write host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)
