"""Creates a certificate authority, and certificates that it signs, with openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from client_sdk.contract.errors import YabamError

_DAYS: Final = "3650"
_CURVE: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class CertificateError(YabamError):
    """openssl is missing, or failed; the text has its message."""


def ensure_certificates(folder: Path, names: tuple[str, ...] = ("localhost", "127.0.0.1")) -> Path:
    """Create `ca.crt`, `server.crt` and `server.key` in the folder unless they exist.

    Args:
        folder: created if missing.
        names: the host names and addresses that the certificate is for.

    Returns:
        The file with the authority's certificate, with which clients verify the server's.

    Raises:
        CertificateError: they cannot be created.
    """
    authority = folder / "ca.crt"
    if not (folder / "server.crt").exists():
        make_authority(folder)
        sign(folder, "server", names)
    return authority


def make_authority(folder: Path) -> None:
    """Create `ca.crt` and `ca.key` in the folder, which is created if missing.

    Raises:
        CertificateError: they cannot be created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / "ca.crt.new"
    _openssl(
        "req", "-x509", *_CURVE, "-days", _DAYS, "-subj", "/CN=yabam local authority",
        "-addext", "basicConstraints=critical,CA:TRUE",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout", str(folder / "ca.key"), "-out", str(made),
    )  # fmt: skip
    made.rename(folder / "ca.crt")


def sign(folder: Path, name: str, names: tuple[str, ...]) -> None:
    """Create `<name>.crt` and `<name>.key` in the folder of an authority of `make_authority`.

    Args:
        folder: the folder of the authority.
        name: the name of the two files.
        names: the host names and addresses that the certificate is for.

    Raises:
        CertificateError: they cannot be created.
    """
    kinds = [f"{'IP' if one[0].isdigit() else 'DNS'}:{one}" for one in names]
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName={','.join(kinds)}\nbasicConstraints=CA:FALSE\n")
    key, request, made = (folder / f"{name}.{end}" for end in ("key", "csr", "crt.new"))
    _openssl(
        "req", *_CURVE, "-subj", f"/CN=yabam {name}", "-keyout", str(key), "-out", str(request)
    )
    _openssl(
        "x509", "-req", "-in", str(request), "-CA", str(folder / "ca.crt"),
        "-CAkey", str(folder / "ca.key"), "-CAcreateserial", "-days", _DAYS,
        "-extfile", str(extensions), "-out", str(made),
    )  # fmt: skip
    made.rename(folder / f"{name}.crt")


def _openssl(*arguments: str) -> None:
    try:
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CertificateError("openssl is needed; on Debian: apt-get install openssl") from error
    if done.returncode != 0:
        raise CertificateError(f"openssl {arguments[0]} failed:\n{done.stderr[-1000:]}")
