"""`yabam token`: an access token, signed with the installation's keys."""

from __future__ import annotations

import re
import time
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from typing import Final

from client_sdk.command_line.output import say
from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import ChannelError, UsageError
from client_sdk.contract.text import MAX_SUBJECT, is_subject, shown
from core_api.access.callers import EVERY_STORE, Caller, Role
from core_api.access.tokens import TokenKeys
from core_api.commands.local_keys import signing_settings

_LONG: Final = "30d"
_VISIT: Final = "6h"
"""A guest's token is for one visit, even where nobody records that the party has left."""
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def token(options: Namespace) -> None:
    """Print a token.

    Raises:
        UsageError: the holder or the lifetime is invalid.
        SettingsError: there are no keys to sign with.
    """
    usual = _VISIT if options.table else _LONG
    caller, lifetime_s = _holder(options), lifetime_of(options.lifetime or usual)
    settings = signing_settings()
    keys = {kid: key.encode() for kid, key in settings.token_keys.items()}
    made = TokenKeys(keys, settings.token_kid, time.time).sign(caller, lifetime_s)
    until = datetime.now(UTC) + timedelta(seconds=lifetime_s)
    say(
        options,
        made,
        {"token": made, "subject": caller.subject, "role": caller.role, "until": until},
    )


def _holder(options: Namespace) -> Caller:
    caller = _named(options)
    if not is_subject(caller.subject):
        raise UsageError(
            f"{shown(caller.subject)} cannot be a subject: use 1 to {MAX_SUBJECT} characters, none "
            "of them a control character; give one with --subject"
        )
    return caller


def _named(options: Namespace) -> Caller:
    try:
        if options.brand is not None:
            parse_channel(f"brand:{options.brand}")
        if options.table:
            table = parse_channel(f"table:{options.table}")
            return Caller(options.subject or str(table), "table", table=table, brand=options.brand)
        if options.device:
            device = parse_channel(f"device:{options.device}")
            return Caller(
                options.subject or str(device), "device", brand=options.brand, device=device
            )
        if options.ops:
            return Caller(options.subject or "ops", "ops")
        stores = options.owner or options.producer
        if not stores:
            return _keeper(options)
        for store in stores:
            if store != EVERY_STORE:
                parse_channel(f"store:{store}")
    except ChannelError as error:
        raise UsageError(str(error)) from error
    role: Role = "owner" if options.owner else "producer"
    subject = options.subject or f"{role}-{'-'.join(stores)}"
    return Caller(subject, role, frozenset(stores), brand=options.brand)


def _keeper(options: Namespace) -> Caller:
    """Who keeps a brand's documents."""
    if options.brand is None:
        raise UsageError(
            "give the token's holder: --owner, --producer, --table, --device, --ops or --brand"
        )
    return Caller(options.subject or f"brand-{options.brand}", "brand", brand=options.brand)


def lifetime_of(text: str) -> int:
    """Seconds, of text such as 15m.

    Raises:
        UsageError: it is not of that form.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", text)
    if match is None:
        raise UsageError(f"{text!r} is not a lifetime: write such as 15m, 12h or 30d")
    return int(match[1]) * _SECONDS[match[2]]
