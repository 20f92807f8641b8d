"""A real Mosquitto with the rules that it gets from compose and Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from deploy.mqtt.server import plugin
from deploy.processes.ports import LOOPBACK
from deploy.processes.process import Process
from tests.deploy.tools import installed

RULES: Final = Path("deploy/mqtt/mosquitto.conf")


def ruled_mosquitto(folder: Path, port: int, certificate: Path, key: Path, rights: str) -> Process:
    """The broker, not started yet.

    Args:
        folder: for its data.
        port: the port where it listens, with TLS.
        certificate: the file of its certificate.
        key: the file of the certificate's key.
        rights: the rights that it starts with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dynamic-security.json").write_text(rights)
    text = RULES.read_text()
    for there, here in [
        ("/usr/lib/mosquitto_dynamic_security.so", str(plugin())),
        ("/mosquitto/data/", f"{folder}/"),
        ("/run/secrets/mqtt_certificate", str(certificate)),
        ("/run/secrets/mqtt_key", str(key)),
        ("listener 8883", f"listener {port} {LOOPBACK}\nuser root"),
    ]:
        assert there in text
        text = text.replace(there, here)
    (folder / "mosquitto.conf").write_text(text)
    program = installed("mosquitto", "mosquitto")
    return Process(
        "Mosquitto", [program, "-c", str(folder / "mosquitto.conf")], {}, folder / "log", None
    )
