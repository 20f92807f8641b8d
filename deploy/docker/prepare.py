"""Creates the secrets and certificates of an installation with Docker Compose.

`python -m deploy.docker.prepare` creates these files if they are missing, and never changes
existing ones:

    deploy/.env                     keys and passwords, from the system's random source
    deploy/secrets/ops-token        Prometheus's access token for Core
    deploy/secrets/ops-nodes-token  its access token for the other servers, signed with another key
    deploy/secrets/tls.crt,key      a self-signed certificate; replace it by your own
    deploy/secrets/mqtt-rights.json the MQTT broker's first rights: its admin's
    deploy/secrets/mqtt/            a certificate authority, and the broker's certificate
    deploy/secrets/postgres/,kafka/ an authority and a certificate each, for compose.secure.yaml
    deploy/secrets/http/            an authority, and a certificate for each of our processes
"""

from __future__ import annotations

import argparse
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from client_sdk.contract.errors import YabamError
from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.mqtt.certificates import CertificateError, ensure_certificates, make_authority, sign
from deploy.mqtt.rights import first_state

FOLDER: Final = Path("deploy")
PUBLIC: Final = "https://localhost:8443"
_KID: Final = "k1"
_NODES_KID: Final = "n1"
_OPS_TOKEN_S: Final = 365 * 86_400
_CERTIFICATE_DAYS: Final = 365
_KAFKA_ACCOUNTS: Final = ("broker", "admin", "relay", "ingest", "events", "gateway")
_PROCESSES: Final = ("core", "relay", "ingest", "events", "mqtt", "mqtt-admin", "webhooks")

_SERVICES: Final = {
    "core": ("core-pods", "core-of-gateway"),
    "relay": ("relay-pods",),
    "ingest": ("ingest-pods",),
    "events": ("events-pods",),
}
"""The host names that processes also have on Kubernetes."""


class PrepareError(YabamError):
    """A file could not be created; the text says what to do."""


def main() -> int:
    """Create what is missing. Returns 0, or 1 after one line with the error."""
    parser = argparse.ArgumentParser(prog="python -m deploy.docker.prepare")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where compose.yaml is")
    parser.add_argument(
        "--public", default=PUBLIC, help=f"the address that clients use (default {PUBLIC})"
    )
    options = parser.parse_args()
    try:
        for path in prepare(options.folder, options.public, lambda: secrets.token_urlsafe(32)):
            print(f"made {path}", file=sys.stderr)
    except YabamError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def prepare(folder: Path, public: str, secret: Callable[[], str]) -> list[Path]:
    """Create what is missing. Returns the files that were created.

    Args:
        folder: where compose.yaml is.
        public: the address that clients use, such as https://orders.example.
        secret: returns 32 new random bytes, as text that is safe in a URL.

    Raises:
        PrepareError: the address is malformed, or openssl is not installed.
    """
    address = urlsplit(public)
    if address.scheme != "https" or not address.hostname or address.path not in ("", "/"):
        raise PrepareError(f"--public must be an address such as {PUBLIC}, not {public!r}")
    environment, closed = folder / ".env", folder / "secrets"
    made = []
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not environment.exists():
        _write(environment, _environment(address.netloc, address.port or 443, secret), 0o600)
        made.append(environment)
    elif added := _missing(read(environment), secret):
        with environment.open("a") as file:
            file.write("\n" + _lines(added))
        made.append(environment)
    # The containers' users must be able to read the files; other users of this machine are kept
    # out by the folder.
    closed.mkdir(mode=0o700, exist_ok=True)
    for name, ring in (("ops-token", "YABAM_TOKEN"), ("ops-nodes-token", "YABAM_NODE_TOKEN")):
        if not (token := closed / name).exists():
            _write(token, _ops_token(read(environment), ring), 0o644)
            made.append(token)
    if not (certificate := closed / "tls.crt").exists():
        _certify(certificate, closed / "tls.key", address.hostname)
        made.append(certificate)
    made += _broker(closed, read(environment)["YABAM_MQTT_ADMIN_PASSWORD"])
    made += [
        made_now
        for name in ("postgres", "kafka")
        if (made_now := _server_certificate(closed / name, name)) is not None
    ]
    return made + _processes_certificates(closed / "http")


def read(path: Path) -> dict[str, str]:
    """The variables in an environment file."""
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    pairs = (line.partition("=") for line in lines)
    return {name: value for name, _, value in pairs}


def _environment(host: str, port: int, secret: Callable[[], str]) -> str:
    values: dict[str, str] = {
        "PUBLIC_URL": f"https://{host}",
        "PUBLIC_PORT": str(port),
        "POSTGRES_PASSWORD": secret(),
        "GRAFANA_PASSWORD": secret(),
        "YABAM_TOKEN_KEYS": _ring(_KID, secret()),
        "YABAM_TOKEN_KID": _KID,
        "YABAM_TICKET_KEYS": _ring(_KID, secret()),
        "YABAM_TICKET_KID": _KID,
    }
    values |= _missing(values, secret)
    head = "# Secrets of this installation. Keep a copy where you keep secrets, never in git.\n"
    return head + _lines(values)


def _missing(known: Mapping[str, str], secret: Callable[[], str]) -> dict[str, str]:
    """The keys, passwords and tokens that are missing; in a new installation, all."""
    added: dict[str, str] = {}
    if "YABAM_NODE_TOKEN_KEYS" not in known:
        # A key ring of its own: event servers, relay and ingest verify tokens with it, so they must
        # not be able to sign tokens for Core.
        ring = _ring(_NODES_KID, secret())
        added["YABAM_NODE_TOKEN_KEYS"] = added["YABAM_OPS_NODES_KEY"] = ring
        added["YABAM_NODE_TOKEN_KID"] = _NODES_KID
    for derived_with in ("YABAM_DEVICES_KEYS", "YABAM_WEBHOOKS_KEYS"):
        if derived_with not in known:
            added[derived_with] = _ring(_KID, secret())
    if "YABAM_PUSH_KEY" not in known:
        added["YABAM_PUSH_KEY"] = secret()
    if "YABAM_MQTT_PASSWORD" not in known:
        added["YABAM_MQTT_PASSWORD"] = secret()
        added["YABAM_MQTT_ADMIN_PASSWORD"] = secret()
        # The gateway's token for Core's documents, valid for a year.
        added["YABAM_GATEWAY_TOKEN"] = _ops_token(known, "YABAM_TOKEN", "mqtt-gateway")
    names = [f"KAFKA_{account.upper()}_PASSWORD" for account in _KAFKA_ACCOUNTS]
    return added | {name: secret() for name in names if name not in known}


def _ring(kid: str, secret: str) -> str:
    # Without spaces, and without quotes around it: compose, `docker run --env-file` and
    # `kubectl create secret --from-env-file` then read the same value.
    return json.dumps({kid: secret}, separators=(",", ":"))


def _lines(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _ops_token(environment: Mapping[str, str], ring: str, subject: str = "prometheus") -> str:
    keys = token_keys(json.loads(environment[f"{ring}_KEYS"]), environment[f"{ring}_KID"])
    return keys.sign(Caller(subject, "ops"), _OPS_TOKEN_S)


def _broker(closed: Path, admin_password: str) -> list[Path]:
    """Create the MQTT broker's first files. Returns those that were created."""
    made = []
    if not (rights := closed / "mqtt-rights.json").exists():
        _write(rights, first_state(admin_password), 0o644)
        made.append(rights)
    certificate = _server_certificate(closed / "mqtt", "mosquitto")
    return made if certificate is None else [*made, certificate]


def _server_certificate(folder: Path, host: str) -> Path | None:
    """Create an authority, and a server's certificate and key, also both in one file.

    That file is written last: if it exists, all do. Returns the file to report as created; None:
    all files exist.
    """
    certificate, key, both = (folder / f"server.{end}" for end in ("crt", "key", "pem"))
    if both.exists():
        return None
    is_new = not certificate.exists()
    try:
        ensure_certificates(folder, (host, "localhost", "127.0.0.1"))
    except CertificateError as error:
        raise PrepareError(str(error)) from error
    key.chmod(0o644)
    unfinished = folder / "server.pem.new"
    _write(unfinished, key.read_text() + certificate.read_text(), 0o644)
    unfinished.rename(both)
    return certificate if is_new else both


def _processes_certificates(folder: Path) -> list[Path]:
    """Create an authority, and a certificate for each process. Returns the new certificates."""
    made = []
    try:
        if not (folder / "ca.crt").exists():
            make_authority(folder)
        for name in _PROCESSES:
            certificate = folder / f"{name}.crt"
            if certificate.exists():
                continue
            sign(folder, name, (name, *_SERVICES.get(name, ()), "localhost", "127.0.0.1"))
            made.append(certificate)
    except CertificateError as error:
        raise PrepareError(str(error)) from error
    for name in _PROCESSES:
        (folder / f"{name}.key").chmod(0o644)
    return made


def _certify(certificate: Path, key: Path, host: str) -> None:
    command = [
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
        *("-days", str(_CERTIFICATE_DAYS), "-subj", f"/CN={host}"),
        *("-addext", f"subjectAltName=DNS:{host},DNS:localhost,IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(certificate)),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise PrepareError(
            "openssl is needed to create a certificate: install it, or put your own into "
            f"{certificate} and {key}"
        ) from error
    except subprocess.CalledProcessError as error:
        raise PrepareError(f"openssl created no certificate: {error.stderr.strip()}") from error
    key.chmod(0o644)


def _write(path: Path, text: str, mode: int) -> None:
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
