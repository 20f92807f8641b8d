"""Starts the provider, and requests tokens as an operator's program does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from deploy.local.stack import free_ports

AUDIENCE: Final = "yabam-orders"
ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
_HERE: Final = Path(__file__).parent


class OpenIdProvider:
    """One provider, which has the same address after a restart.

    Args:
        claims: the claims of each client's tokens, by the client's id.
    """

    def __init__(self, claims: dict[str, dict[str, Any]]) -> None:
        self.port = free_ports().core
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._claims = claims
        self._process: subprocess.Popen[str] | None = None

    def start(self, generation: str) -> None:
        """Start it; each generation has its own keys."""
        settings = {
            "issuer": self.issuer,
            "port": self.port,
            "keys": _keys(generation),
            "claims": self._claims,
        }
        self._process = subprocess.Popen(
            ["node", _HERE / "provider.mjs", json.dumps(settings)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "listening" in line:
                return
        raise AssertionError("the provider has not started: `make node-packages` installs it")

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    async def token(self, client: str, algorithm: str = "RS256") -> str:
        """An access token for a client."""
        async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
            response = await http.post(
                f"{self.issuer}/token",
                auth=(client, "secret-of-a-test"),
                data={"grant_type": "client_credentials", "resource": f"urn:orders:{algorithm}"},
            )
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])


def _keys(generation: str) -> list[dict[str, Any]]:
    made: tuple[tuple[Any, Any, str], ...] = (
        (RSAAlgorithm.to_jwk, rsa.generate_private_key(65537, 2048), "RS256"),
        (ECAlgorithm.to_jwk, ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (OKPAlgorithm.to_jwk, ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    )
    keys = []
    for to_jwk, key, algorithm in made:
        jwk = dict(json.loads(to_jwk(key)))
        jwk.pop("key_ops", None)
        keys.append({**jwk, "kid": f"{generation}-{algorithm}", "alg": algorithm, "use": "sig"})
    return keys
