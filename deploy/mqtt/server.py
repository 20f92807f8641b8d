"""Eclipse Mosquitto as a child process, which can be stopped, killed and started on the same ports.

`make mqtt` runs it for people, and tests run it to cause faults. It listens on loopback only, on
one port with TLS and on one without. It requires a password, and its dynamic-security plugin stores
users and rights.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Final

from client_sdk.contract.errors import YabamError
from core_api.broker_admin.rights import ADMIN_USER, GATEWAY_USER
from deploy.mqtt.certificates import ensure_certificates
from deploy.mqtt.rights import first_state, lets_in
from deploy.processes.ports import LOOPBACK, answers, check_free, free_port
from deploy.processes.process import Process
from server_common.mqtt.broker import MAX_PACKET_BYTES

_ANSWERS_WITHIN_S: Final = 10.0
_PLUGIN: Final = "mosquitto_dynamic_security.so"
PROGRAMS: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
"""The folders in which Mosquitto is searched."""


class MosquittoError(YabamError):
    """Mosquitto is not installed, or has ended; the text says why and what to do."""


class MosquittoServer:
    """One broker.

    Args:
        data: its folder; created if missing.
        port: its port without TLS, on 127.0.0.1; 0 chooses a free one, which stays the same.
        tls_port: its port with TLS; 0 chooses a free one, which stays the same.

    Raises:
        MosquittoError: mosquitto is not installed.
    """

    def __init__(self, data: Path, port: int = 0, tls_port: int = 0) -> None:
        self._data = data.absolute()
        self.port = port or free_port()
        self.tls_port = tls_port or free_port()
        program = shutil.which("mosquitto", path=PROGRAMS)
        if program is None:
            raise MosquittoError("mosquitto is needed; on Debian: apt-get install mosquitto")
        self.process = Process(
            "Mosquitto",
            [program, "-c", str(self._data / "mosquitto.conf")],
            {},
            self._data / "mosquitto.log",
            None,
        )

    @property
    def ca_file(self) -> Path:
        """The authority's certificate, with which clients verify the broker's."""
        return self._data / "tls" / "ca.crt"

    @property
    def password_of_admin(self) -> str:
        """The password of `yabam mqtt-admin`."""
        return self._passwords()[ADMIN_USER]

    @property
    def password_of_gateway(self) -> str:
        """The password that the admin gives the gateway."""
        return self._passwords()[GATEWAY_USER]

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables for a gateway and an admin that use this broker, over TLS."""
        return {
            "YABAM_MQTT_BROKER": f"{LOOPBACK}:{self.tls_port}",
            "YABAM_MQTT_CA_FILE": str(self.ca_file),
            "YABAM_MQTT_USER": GATEWAY_USER,
            "YABAM_MQTT_PASSWORD": self.password_of_gateway,
            "YABAM_MQTT_ADMIN_PASSWORD": self.password_of_admin,
        }

    def start(self) -> None:
        """Start it and return once it answers.

        Raises:
            ProcessError: it does not start.
            PortTakenError: one of its ports is taken.
            CertificateError: its certificate cannot be created.
        """
        for port in (self.port, self.tls_port):
            check_free(port, f'make mqtt MQTT_ARGS="--port {port + 100}"')
        self._data.mkdir(parents=True, exist_ok=True)
        ensure_certificates(self._data / "tls")
        rights = self._data / "dynamic-security.json"
        if not (rights.exists() and lets_in(rights.read_bytes(), self.password_of_admin)):
            if rights.exists():
                rights.replace(rights.with_suffix(".damaged"))
            _write(rights, first_state(self.password_of_admin))
        (self._data / "mosquitto.conf").write_text(self._configuration(rights))
        self.process.start_and_wait(
            _ANSWERS_WITHIN_S, lambda: answers(self.port) and answers(self.tls_port)
        )

    def stop(self) -> None:
        """Stop it with SIGTERM."""
        self.process.stop()

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.process.kill()

    def _passwords(self) -> dict[str, str]:
        path = self._data / "passwords.json"
        if not path.exists():
            self._data.mkdir(parents=True, exist_ok=True)
            made = {name: secrets.token_urlsafe(24) for name in (ADMIN_USER, GATEWAY_USER)}
            _write(path, json.dumps(made))
        stored: dict[str, str] = json.loads(path.read_text())
        return stored

    def _configuration(self, rights: Path) -> str:
        tls = self._data / "tls"
        lines = [
            # Without this, root's Mosquitto would switch to another user, who may not be able to
            # read the folder.
            *(["user root"] if os.geteuid() == 0 else []),
            "per_listener_settings false",
            "allow_anonymous false",
            f"plugin {plugin()}",
            f"plugin_opt_config_file {rights}",
            "persistence true",
            f"persistence_location {self._data}/",
            "autosave_interval 60",
            f"max_packet_size {MAX_PACKET_BYTES}",
            "max_queued_messages 1000",
            "max_inflight_messages 100",
            "max_keepalive 120",
            "set_tcp_nodelay true",
            "log_type error",
            "log_type warning",
            "log_type notice",
            f"listener {self.port} {LOOPBACK}",
            f"listener {self.tls_port} {LOOPBACK}",
            f"certfile {tls / 'server.crt'}",
            f"keyfile {tls / 'server.key'}",
            "tls_version tlsv1.2",
        ]
        return "".join(f"{line}\n" for line in lines)


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner may read; a crash leaves either all of it or nothing."""
    part = path.with_name(f"{path.name}.part")
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(path)


def plugin() -> Path:
    """The path of the dynamic-security plugin.

    Raises:
        MosquittoError: it is in none of the folders that Mosquitto's packages use.
    """
    places = [Path("/usr/lib"), Path("/usr/local/lib"), *Path("/usr/lib").glob("*-linux-*")]
    found = next((place / _PLUGIN for place in places if (place / _PLUGIN).exists()), None)
    if found is None:
        raise MosquittoError(f"{_PLUGIN} is not in /usr/lib: install Mosquitto 2.0 or newer")
    return found
