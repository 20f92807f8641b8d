"""The options of `make run`, from its arguments; ports also from the environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core_api.commands.local_keys import LOCAL_KEYS
from deploy.processes.ports import LOOPBACK, check_free


@dataclass(frozen=True, slots=True)
class _Port:
    """A port that `make run` uses.

    Args:
        option: the argument that sets it.
        default: the port if neither argument nor setting is given.
        variable: the setting of its process, which sets it, too; empty: there is none.
    """

    option: str
    default: int
    variable: str = ""


_CORE: Final = _Port("--core-port", 8000, "YABAM_CORE_PORT")
_EVENTS: Final = _Port("--events-port", 8001, "YABAM_EVENTS_PORT")
_RELAY: Final = _Port("--relay-port", 8002, "YABAM_RELAY_PORT")
_INGEST: Final = _Port("--ingest-port", 8003, "YABAM_INGEST_PORT")
_GATEWAY: Final = _Port("--gateway-port", 8005, "YABAM_MQTT_PORT")
_ADMIN: Final = _Port("--mqtt-admin-port", 8006, "YABAM_MQTT_ADMIN_PORT")
_WEBHOOKS: Final = _Port("--webhooks-port", 8007, "YABAM_WEBHOOKS_PORT")
_BROKER: Final = _Port("--mqtt-port", 1883)
_BROKER_TLS: Final = _Port("--mqtt-tls-port", 8883)
_ALWAYS: Final = (_CORE, _EVENTS, _RELAY, _INGEST, _WEBHOOKS)
_ALL: Final = (*_ALWAYS, _GATEWAY, _ADMIN, _BROKER, _BROKER_TLS)


class Options:
    """The arguments of one run.

    Args:
        arguments: the arguments of the command line.
        environment: the environment variables, which may have the settings of ports.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._given = _parser(environment).parse_args(arguments)
        self.kafka: str | None = self._given.kafka
        self.database: str | None = self._given.database
        self.data: Path = self._given.data
        self.mqtt: str | None = self._given.mqtt
        self.restaurant: bool = not self._given.no_restaurant
        self.core_port = self._of(_CORE)
        """Core's port."""
        self.events_port = self._of(_EVENTS)
        """The event server's port."""
        self.relay_port = self._of(_RELAY)
        """The port of the relay's health and metrics."""
        self.ingest_port = self._of(_INGEST)
        """The port of ingest's health and metrics."""
        self.gateway_port = self._of(_GATEWAY)
        """The port of the MQTT gateway's health and metrics."""
        self.admin_port = self._of(_ADMIN)
        """The port of the broker admin's health and metrics."""
        self.webhooks_port = self._of(_WEBHOOKS)
        """The port of the webhook sender's health and metrics."""
        self.broker_port = self._of(_BROKER)
        """Mosquitto's port without TLS, if it is started here."""
        self.broker_tls_port = self._of(_BROKER_TLS)
        """Mosquitto's port with TLS."""

    def check_ports(self, *, gateway: bool, broker: bool) -> None:
        """Check, before anything is started, that all ports are free.

        Args:
            gateway: whether the MQTT gateway and the broker's admin will be started.
            broker: whether Mosquitto will be started.

        Raises:
            PortTakenError: a port is taken; the text has the command that uses another one.
        """
        more = ((_GATEWAY, _ADMIN) if gateway else ()) + ((_BROKER, _BROKER_TLS) if broker else ())
        for one in (*_ALWAYS, *more):
            port = self._of(one)
            check_free(port, f'make run RUN_ARGS="{one.option} {port + 100}"')

    def _of(self, port: _Port) -> int:
        number: int = getattr(self._given, _name_of(port))
        return number


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make run", description="Start everything here.")
    parser.add_argument("--kafka", help="host:port of a Kafka that runs already")
    parser.add_argument("--database", help="postgresql://… of a Postgres that runs already")
    parser.add_argument("--data", type=Path, default=LOCAL_KEYS.parent, help="folder of all data")
    parser.add_argument("--mqtt", help="host:port of an MQTT broker that runs already")
    parser.add_argument("--no-restaurant", action="store_true", help="place no orders by itself")
    for port in _ALL:
        # A text, as argparse checks a default that is a text like an argument.
        default = environment.get(port.variable) or str(port.default)
        told = f"on {LOOPBACK}; default {default}"
        told += f" (or {port.variable})" if port.variable else ""
        parser.add_argument(port.option, type=int, default=default, metavar="PORT", help=told)
    return parser


def _name_of(port: _Port) -> str:
    return port.option.removeprefix("--").replace("-", "_")
