"""The grammar of every text from outside.

A query, a body, a header, a token's claim and a Kafka record are read by these rules. Invalid text
is refused where it enters, so the other code never gets a NUL, a lone surrogate, the digits of
another script, or a text of unlimited length.

    id         a store, a table                       1 to 64 of A-Z a-z 0-9 _ . -
    epoch      a lifetime of the log                  1 to 64 of A-Z a-z 0-9
    order id   a UUID in its canonical form           36 of 0-9 a-f -
    device     a device's name                        1 to 64, a token of RFC 9651
    key        an idempotency key                     1 to 255 of visible ASCII
    token      an access token                        visible ASCII
    time       when a version was made                as Core writes it: 2026-11-22T09:30:00.123456Z
    subject    whom a token names                     1 to 255, no control character
    text       a name, a note, a reason               any, as it is, but NUL
    digits     a number                               0-9, at most 19 of them
    seconds    how long to wait                       1 to 9 of 0-9, one of them may be a point
    MAC        a printer's address in a network       as 00:11:62:1d:9a:b7
    media      a media type that a printer takes      visible ASCII with a slash
    base64url  a key, a secret                        of a fixed length

Each field defines the length of its text. The patterns are also published in OpenAPI, so they must
be valid in JavaScript. Decoding UTF-8 and JSON from bytes refuses surrogates; the library that
reads a token's claims does not.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final


def id_pattern(max_length: int) -> str:
    """The pattern of an id of at most so many characters."""
    return rf"[A-Za-z0-9_.\-]{{1,{max_length}}}"


def base64url_pattern(characters: int, padding: int) -> str:
    """The pattern of base64url of so many characters, to which so many `=` may be added."""
    return rf"[A-Za-z0-9_\-]{{{characters}}}(?:={{{padding}}})?"


ID_PATTERN: Final = id_pattern(64)
EPOCH_PATTERN: Final = r"[0-9A-Za-z]{1,64}"
ORDER_ID_PATTERN: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
DEVICE_PATTERN: Final = r"[A-Za-z*][A-Za-z0-9._~:/*\-]{0,63}"
KEY_PATTERN: Final = r"[\x21-\x7e]{1,255}"
TIME_PATTERN: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z"
MAX_DIGITS: Final = 19
"""Of a number; 19 of them write every number of 63 bits."""
DIGITS_PATTERN: Final = rf"[0-9]{{1,{MAX_DIGITS}}}"
TEXT_PATTERN: Final = r"[^\x00]*"
MAC_PATTERN: Final = r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}"
MEDIA_PATTERN: Final = r"[\x21-\x7e]+/[\x21-\x7e]+"

MAX_SUBJECT: Final = 255
"""The longest subject of a token, in characters."""
JSON_SUBJECT_PATTERN: Final = rf"[^\x00-\x1f\x7f-\x9f]{{1,{MAX_SUBJECT}}}"
"""Of a subject that msgspec reads: it takes no half of a surrogate pair, and no schema may name
one."""
MAX_SHOWN: Final = 80
"""How much of a text from outside a message may quote, in characters."""

_ID: Final = re.compile(ID_PATTERN)
_EPOCH: Final = re.compile(EPOCH_PATTERN)
_ORDER_ID: Final = re.compile(ORDER_ID_PATTERN)
_KEY: Final = re.compile(KEY_PATTERN)
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_TIME: Final = re.compile(TIME_PATTERN)
_MAC: Final = re.compile(MAC_PATTERN)
_SECONDS: Final = re.compile(r"(?=[0-9.]{1,9}$)(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_TEXT: Final = re.compile(rf"(?!.*[\ud800-\udfff]){TEXT_PATTERN}", re.DOTALL)
_SUBJECT: Final = re.compile(rf"(?!.*[\ud800-\udfff]){JSON_SUBJECT_PATTERN}")


def whole(pattern: str) -> str:
    """The pattern for a whole text; `$` alone would accept a line end after it."""
    return rf"^{pattern}$(?!\n)"


def is_id(text: str) -> bool:
    """Whether the text is a valid id of a store or a table."""
    return _ID.fullmatch(text) is not None


def is_epoch(text: str) -> bool:
    """Whether the text is a valid epoch."""
    return _EPOCH.fullmatch(text) is not None


def is_order_id(text: str) -> bool:
    """Whether it is a UUID as Core writes it: in lower case, with hyphens."""
    return _ORDER_ID.fullmatch(text) is not None


def is_key(text: str) -> bool:
    """Whether it may be an idempotency key."""
    return _KEY.fullmatch(text) is not None


def is_token(text: str) -> bool:
    """Whether it may be an access token: a header can carry it."""
    return _TOKEN.fullmatch(text) is not None


def time_of(text: str) -> datetime | None:
    """Parse a time in Core's format, in UTC; None: it has another format."""
    try:
        return datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        return None


def time_text(at: datetime) -> str:
    """The time in Core's format: in UTC, with microseconds."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def is_subject(text: str) -> bool:
    """Whether the text is a valid subject of a token."""
    return _SUBJECT.fullmatch(text) is not None


def number_of(text: str, limit: int) -> int | None:
    """The number from 0 to `limit` that the text writes in ASCII digits; None: it writes none."""
    # The form of DIGITS_PATTERN, without the cost of a regular expression on hot paths.
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS):
        return None
    number = int(text)
    return number if number <= limit else None


def seconds_of(text: str) -> float | None:
    """The seconds that the text writes, as 25 or 2.5; None: it writes none."""
    return float(text) if _SECONDS.fullmatch(text) else None


def is_mac(text: str) -> bool:
    """Whether it is a MAC address, in lower case."""
    return _MAC.fullmatch(text) is not None


def is_text(text: str) -> bool:
    """Whether Postgres and JSON take the text: it has no NUL, and no half of a surrogate pair."""
    return _TEXT.fullmatch(text) is not None


def shown(text: str) -> str:
    """A text from outside, escaped and shortened to be quoted in a message."""
    return ascii(text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "...")
