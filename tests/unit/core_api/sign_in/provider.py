"""Makes a provider's keys and tokens."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from core_api.access.provider.claims import ClaimRules
from core_api.access.provider.key_set import read_key_set
from core_api.access.provider.known_keys import KnownKeys
from core_api.access.provider.tokens import ProviderRules, ProviderTokens

ISSUER: Final = "https://sign-in.example"
AUDIENCE: Final = "yabam-orders"
NOW: Final = 1_000_000.0
RULES: Final = ProviderRules(
    ISSUER,
    AUDIENCE,
    ClaimRules({"platform": "ops", "shop-owner": "owner", "till": "producer", "hq": "brand"}),
)
CLAIMS: Final[dict[str, Any]] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "ann",
    "exp": int(NOW) + 600,
    "iat": int(NOW) - 10,
    "roles": ["shop-owner"],
    "stores": ["12"],
}
PRIVATE: Final[dict[str, Any]] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
_TO_JWK: Final[dict[str, Any]] = {
    "RS256": RSAAlgorithm.to_jwk,
    "ES256": ECAlgorithm.to_jwk,
    "EdDSA": OKPAlgorithm.to_jwk,
}


def kid_of(algorithm: str) -> str:
    return f"key-{algorithm}"


def jwk(algorithm: str, key: Any = None, **more: Any) -> dict[str, Any]:
    """A public key of this algorithm as in a key set."""
    public = (key or PRIVATE[algorithm]).public_key()
    described = dict(json.loads(_TO_JWK[algorithm](public)))
    described.pop("key_ops", None)
    return {**described, "kid": kid_of(algorithm), **more}


def key_set(*keys: Any) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


ALL_KEYS: Final = key_set(*map(jwk, PRIVATE))


def signed(claims: dict[str, Any], algorithm: str = "RS256", key: Any = None, **head: Any) -> str:
    headers = {"kid": kid_of(algorithm), **head}
    payload = json.dumps(claims).encode()
    return jwt.PyJWS().encode(payload, key or PRIVATE[algorithm], algorithm, headers)


def by_hand(header: dict[str, Any], claims: Any, signature: bytes) -> str:
    """A token with any header, also one that no library would make."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class Clock:
    """Both clocks."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class AProvider:
    """A provider as Core knows it, with the keys that were read at the start."""

    def __init__(self, keys: bytes | None = ALL_KEYS) -> None:
        self.clock = Clock()
        self.wanted = 0
        self.known = KnownKeys(self.clock, self._want)
        if keys is not None:
            self.publish(keys)
        self.tokens = ProviderTokens(RULES, self.known, self.clock)

    def publish(self, keys: bytes) -> None:
        """Let Core read these keys."""
        self.known.replace(read_key_set(keys).keys, self.clock.now)

    def _want(self) -> None:
        self.wanted += 1
