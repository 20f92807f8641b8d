"""What `make run` is told: by its arguments, and for ports by the environment, too."""

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
    """A port that `make run` takes.

    Args:
        option: which argument moves it.
        default: where it is if nothing is said.
        variable: the setting of its process, which moves it, too; empty: none does.
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
        arguments: as they were typed.
        environment: where the ports' settings are.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._given = _parser(environment).parse_args(arguments)
        self.kafka: str | None = self._given.kafka
        self.database: str | None = self._given.database
        self.data: Path = self._given.data
        self.mqtt: str | None = self._given.mqtt
        self.restaurant: bool = not self._given.no_restaurant
        self.core_port = self._of(_CORE)
        """Where Core listens."""
        self.events_port = self._of(_EVENTS)
        """Where the event server listens."""
        self.relay_port = self._of(_RELAY)
        """Where the relay's health and metrics are."""
        self.ingest_port = self._of(_INGEST)
        """Where ingest's are."""
        self.gateway_port = self._of(_GATEWAY)
        """Where the gateway's are."""
        self.admin_port = self._of(_ADMIN)
        """Where those of the broker's admin are."""
        self.webhooks_port = self._of(_WEBHOOKS)
        """Where those of the sender of webhooks are."""
        self.broker_port = self._of(_BROKER)
        """Where a broker that is started here listens without TLS."""
        self.broker_tls_port = self._of(_BROKER_TLS)
        """Where it listens with TLS."""

    def check_ports(self, *, gateway: bool, broker: bool) -> None:
        """See that all ports can be had before anything is started.

        Args:
            gateway: whether gateway and admin are started.
            broker: whether the broker is.

        Raises:
            PortTakenError: one is taken; the text has the command that moves it.
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
    parser.add_argument("--data", type=Path, default=LOCAL_KEYS.parent, help="what is kept")
    parser.add_argument("--mqtt", help="host:port of an MQTT broker that runs already")
    parser.add_argument("--no-restaurant", action="store_true", help="place no orders")
    for port in _ALL:
        # A text, so that argparse checks it as it does an argument.
        default = environment.get(port.variable) or str(port.default)
        told = f"on {LOOPBACK}; {default} if it is left out"
        told += f" (or {port.variable})" if port.variable else ""
        parser.add_argument(port.option, type=int, default=default, metavar="PORT", help=told)
    return parser


def _name_of(port: _Port) -> str:
    return port.option.removeprefix("--").replace("-", "_")
