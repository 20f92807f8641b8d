"""The public keys of an OpenID provider, read from its key set (RFC 7517). Pure.

A key is good for one algorithm only, and is found by that and its `kid` together. So no token can
choose how a key is used: there is no `none`, and no public key ever serves as a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import jwt
import msgspec

from client_sdk.contract.json_decoding import decode
from core_api.errors import ProviderError
from server_common.limits import PROVIDER_KEYS

Algorithm = Literal["RS256", "ES256", "EdDSA"]

_MAX_KID_CHARS: Final = 512
_MODULUS_CHARS: Final = (342, 1366)
"""From 2048 to 8192 bits in base64: a shorter one can be broken, a longer one takes too long."""
_MAX_EXPONENT_CHARS: Final = 8


class KeyName(NamedTuple):
    """What a token's header says of its key."""

    kid: str
    algorithm: str


PublicKeys: TypeAlias = Mapping[KeyName, Any]
"""The keys as PyJWT takes them."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """What a key set has for us."""

    keys: PublicKeys
    left_out: Sequence[str]
    """Why each of the others is of no use, in a few words."""


def read_key_set(body: bytes) -> KeySet:
    """Read a key set.

    Raises:
        ProviderError: it is no key set, has too many keys, or none that is of use.
    """
    try:
        found = decode(_document, body)["keys"]
        if not isinstance(found, list):
            raise TypeError("its `keys` are no list")  # noqa: TRY301
    except (msgspec.DecodeError, UnicodeError, KeyError, TypeError) as error:
        raise ProviderError(f"this is no key set: {error!r}") from error
    if len(found) > PROVIDER_KEYS:
        raise ProviderError(f"the key set has {len(found)} keys, more than {PROVIDER_KEYS}")
    keys: dict[KeyName, Any] = {}
    left_out = []
    for number, one in enumerate(found):
        try:
            name, key = _public_key(one)
        except (KeyError, TypeError, ValueError, jwt.PyJWTError) as error:
            left_out.append(f"key {number}: {error}")
        else:
            keys.setdefault(name, key)
    if not keys:
        raise ProviderError(f"the key set has no key for signatures that we take: {left_out[:3]}")
    return KeySet(keys, left_out)


def _public_key(jwk: Any) -> tuple[KeyName, Any]:
    if not isinstance(jwk, dict):
        raise TypeError("it is no object")
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MAX_KID_CHARS:
        raise ValueError("it has no `kid`")
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        raise ValueError("it is not for signatures")
    algorithm, public = _public_part(jwk)
    if jwk.get("alg", algorithm) != algorithm:
        raise ValueError(f"its algorithm is not {algorithm}")
    return KeyName(kid, algorithm), jwt.PyJWK(dict(public), algorithm).key


def _public_part(jwk: Mapping[str, Any]) -> tuple[Algorithm, Mapping[str, Any]]:
    """The only algorithm that the key is for, and what of it is public."""
    match jwk:
        case {"kty": "RSA", "n": str(n), "e": str(e)}:
            if not _MODULUS_CHARS[0] <= len(n) <= _MODULUS_CHARS[1]:
                raise ValueError("an RSA key has 2048 to 8192 bits")
            if len(e) > _MAX_EXPONENT_CHARS:
                raise ValueError("its exponent is too long")
            return "RS256", {"kty": "RSA", "n": n, "e": e}
        case {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y)}:
            return "ES256", {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        case {"kty": "OKP", "crv": "Ed25519", "x": str(x)}:
            return "EdDSA", {"kty": "OKP", "crv": "Ed25519", "x": x}
        case _:
            raise ValueError("it is of no kind that we take: RSA, EC P-256, OKP Ed25519")


_document: Final = msgspec.json.Decoder(dict[str, Any])
