"""An authority of our own and a certificate for a broker, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from client_sdk.contract.errors import YabamError

_DAYS: Final = "3650"
_CURVE: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class CertificateError(YabamError):
    """openssl is missing, or fails; the text has what it says."""


def ensure_certificates(folder: Path, names: tuple[str, ...] = ("localhost", "127.0.0.1")) -> Path:
    """Make `ca.crt`, `server.crt` and `server.key` in the folder unless they are there.

    Args:
        folder: made if it is missing.
        names: the host names and addresses that the certificate is for.

    Returns:
        The file with the authority's certificate, by which clients know the broker.

    Raises:
        CertificateError: they cannot be made.
    """
    authority = folder / "ca.crt"
    if (folder / "server.crt").exists():
        return authority
    folder.mkdir(parents=True, exist_ok=True)
    kinds = [f"{'IP' if name[0].isdigit() else 'DNS'}:{name}" for name in names]
    extensions = folder / "server.ext"
    extensions.write_text(f"subjectAltName={','.join(kinds)}\nbasicConstraints=CA:FALSE\n")
    ca_key, key, request = folder / "ca.key", folder / "server.key", folder / "server.csr"
    _openssl(
        "req", "-x509", *_CURVE, "-days", _DAYS, "-subj", "/CN=yabam local authority",
        "-addext", "basicConstraints=critical,CA:TRUE",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout", str(ca_key), "-out", str(authority),
    )  # fmt: skip
    _openssl("req", *_CURVE, "-subj", "/CN=yabam broker", "-keyout", str(key), "-out", str(request))
    made = folder / "server.crt.new"
    _openssl(
        "x509", "-req", "-in", str(request), "-CA", str(authority), "-CAkey", str(ca_key),
        "-CAcreateserial", "-days", _DAYS, "-extfile", str(extensions), "-out", str(made),
    )  # fmt: skip
    made.rename(folder / "server.crt")
    return authority


def _openssl(*arguments: str) -> None:
    try:
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CertificateError("openssl is needed; on Debian: apt-get install openssl") from error
    if done.returncode != 0:
        raise CertificateError(f"openssl {arguments[0]} failed:\n{done.stderr[-1000:]}")
