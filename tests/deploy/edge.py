"""A real nginx with the product's own configuration, before whatever servers a test has."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from deploy.processes.ports import LOOPBACK, answers, free_port
from deploy.processes.process import Process

CONFIGURATION: Final = Path("deploy/nginx")
_READY_WITHIN_S: Final = 10.0


def nginx_program() -> str:
    """Where nginx is; a machine without it fails the test and is told what to install."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    found = shutil.which("nginx", path=path)
    if found is None:
        pytest.fail("this test needs nginx: on Debian, apt-get install nginx-light", pytrace=False)
    return found


class Nginx:
    """nginx on a free port, with the rules of deploy/nginx and those of compose's upstreams.

    Args:
        folder: its configuration, logs and temporary files.
        core: ports of the servers that stand for Core.
        events: ports of those that stand for event servers.
        authority: that has signed their certificates, as compose.secure.yaml has it; None: they
            speak plain HTTP.
    """

    def __init__(
        self,
        folder: Path,
        core: Sequence[int],
        events: Sequence[int],
        authority: Path | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"https://{LOOPBACK}:{self.port}"
        self._folder = folder
        self._access_log = folder / "access.log"
        self.certificate = folder / "chain.pem"
        _lay_out(folder, self.port, core, events, self.certificate)
        kind = "compose" if authority is None else "secure"
        servers = (CONFIGURATION / kind / "servers.conf").read_text()
        servers = servers.replace("/run/secrets/http_ca", str(authority))
        (folder / "place/servers.conf").write_text(servers)
        as_root = "user root; " if os.geteuid() == 0 else ""
        self._command = [
            nginx_program(),
            "-p",
            f"{folder}/",
            "-c",
            str(folder / "nginx.conf"),
            "-g",
        ]
        self._process = Process(
            "nginx",
            [*self._command, f"{as_root}daemon off;"],
            {},
            folder / "nginx.log",
            None,
            stop_signal=signal.SIGTERM,
        )

    @property
    def trust(self) -> ssl.SSLContext:
        """What trusts its certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def check(self) -> str:
        """What `nginx -t` says; it raises if the configuration is wrong."""
        command = [*self._command, "daemon off;", "-t"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stderr

    def start(self) -> None:
        """Start it, and return once it listens."""
        self._process.start()
        deadline = time.monotonic() + _READY_WITHIN_S
        while not answers(self.port):
            assert self._process.exit_status is None, self._process.log_tail()
            assert time.monotonic() < deadline, self._process.log_tail()
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it at once."""
        self._process.stop()

    def reload(self) -> None:
        """SIGHUP, and return once new workers have taken over."""
        master = psutil.Process(self._process.pid)
        before = {worker.pid for worker in master.children()}
        self._process.signal(signal.SIGHUP)
        deadline = time.monotonic() + _READY_WITHIN_S
        while not any(worker.pid not in before for worker in master.children()):
            assert time.monotonic() < deadline, self._process.log_tail()
            time.sleep(0.02)

    def requests(self) -> list[dict[str, Any]]:
        """What the access log has by now."""
        if not self._access_log.exists():
            return []
        return [json.loads(line) for line in self._access_log.read_text().splitlines()]

    def logs(self) -> str:
        """All that it has written: access log and error log."""
        return self._access_log.read_text() + (self._folder / "nginx.log").read_text()


def _lay_out(
    folder: Path, port: int, core: Sequence[int], events: Sequence[int], certificate: Path
) -> None:
    place = folder / "place"
    place.mkdir(parents=True)
    shutil.copy(CONFIGURATION / "nginx.conf", folder / "nginx.conf")
    key = folder / "key.pem"
    _certify(certificate, key)
    text = (CONFIGURATION / "compose/http.conf").read_text()
    text = re.sub(r"^resolver .*$", "", text, flags=re.MULTILINE)
    for name, ports in (("core", core), ("events", events)):
        server = re.compile(rf"^ *server {name}:\d+ resolve (.*);$", re.MULTILINE)
        (options,) = server.findall(text)
        servers = "\n".join(f"    server {LOOPBACK}:{number} {options};" for number in ports)
        text = server.sub(servers, text)
    text = text.replace("/dev/stdout", str(folder / "access.log"))
    text = text.replace("/run/secrets/tls_certificate", str(certificate))
    text = text.replace("/run/secrets/tls_key", str(key))
    (place / "http.conf").write_text(text)
    (place / "listen.conf").write_text(f"listen {LOOPBACK}:{port} ssl http2;\n")


def _certify(certificate: Path, key: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", f"/CN={LOOPBACK}", "-addext", f"subjectAltName=IP:{LOOPBACK}",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
