"""`make run`: every port that it takes can be moved, in the way that its message names."""

from __future__ import annotations

import re
import shlex
import socket

import pytest

from deploy.local.options import Options
from deploy.processes.ports import LOOPBACK, PortTakenError, free_port

_PORTS = {
    "core_port": ("--core-port", "YABAM_CORE_PORT", 8000),
    "events_port": ("--events-port", "YABAM_EVENTS_PORT", 8001),
    "relay_port": ("--relay-port", "YABAM_RELAY_PORT", 8002),
    "ingest_port": ("--ingest-port", "YABAM_INGEST_PORT", 8003),
    "gateway_port": ("--gateway-port", "YABAM_MQTT_PORT", 8005),
    "admin_port": ("--mqtt-admin-port", "YABAM_MQTT_ADMIN_PORT", 8006),
    "webhooks_port": ("--webhooks-port", "YABAM_WEBHOOKS_PORT", 8007),
    "broker_port": ("--mqtt-port", "", 1883),
    "broker_tls_port": ("--mqtt-tls-port", "", 8883),
}


@pytest.mark.parametrize("name", _PORTS)
def test_a_port_is_where_it_is_told_to_be(name: str) -> None:
    option, variable, default = _PORTS[name]
    assert getattr(Options([], {}), name) == default
    assert getattr(Options([option, "4711"], {variable: "4712"}), name) == 4711
    if variable:
        assert getattr(Options([], {variable: "4712"}), name) == 4712


@pytest.mark.parametrize("name", _PORTS)
def test_a_taken_port_is_told_before_anything_starts_with_what_moves_it(name: str) -> None:
    free = [word for option, *_ in _PORTS.values() for word in (option, str(free_port()))]
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"Port {taken} ") as refused:
            Options([*free, _PORTS[name][0], str(taken)], {}).check_ports(gateway=True, broker=True)
    said = re.search(r'RUN_ARGS="(.*)"', str(refused.value))
    assert said is not None
    assert getattr(Options(shlex.split(said[1]), {}), name) == taken + 100


def test_ports_of_what_is_not_started_may_be_taken() -> None:
    words = [word for option, *_ in _PORTS.values() for word in (option, str(free_port()))]
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        taken = str(other.getsockname()[1])
        words += ["--gateway-port", taken, "--mqtt-admin-port", taken, "--mqtt-port", taken]
        options = Options(words, {})
        options.check_ports(gateway=False, broker=False)
        with pytest.raises(PortTakenError, match=f"Port {taken} "):
            options.check_ports(gateway=True, broker=True)


def test_a_port_that_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Options([], {"YABAM_MQTT_PORT": "many"})
    assert "--gateway-port" in capsys.readouterr().err
