"""The caller: what an access token says about its holder. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from client_sdk.contract.channel import Channel
from server_common.revocations.holders import Holder

Role = Literal["owner", "table", "producer", "ops", "brand", "device"]
EVERY_STORE = "*"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller, as the access token describes it."""

    subject: str
    role: Role
    stores: frozenset[str] = frozenset()
    """The stores of an owner or a producer; `*` stands for all."""
    table: Channel | None = None
    """The orders' channel of a table."""
    brand: str | None = None
    """The brand that it belongs to, whatever its role."""
    device: Channel | None = None
    """The channel of a device."""
    issued_at: int = field(default=0, compare=False)
    """When its token was made, in seconds since 1970; 0: the token does not say."""
    expires_at: int = field(default=0, compare=False)
    """When its token expires, likewise; 0: Core has not signed the token."""
    signed_in_at: int = field(default=0, compare=False)
    """When its user signed in, likewise; 0: the token was never renewed."""
    token: str = field(default="", compare=False)
    """The key by which its token can be revoked; empty: it sent no token."""
    session: str = field(default="", compare=False)
    """The key by which its session can be revoked; empty: it has none."""
    sid: str = field(default="", compare=False)
    """The name of its session, if Core has given it: the renewed token has the same."""

    def has_store(self, store_id: str) -> bool:
        """Whether an owner's or a producer's token names the store."""
        return store_id in self.stores or EVERY_STORE in self.stores

    @property
    def holder(self) -> Holder:
        """The caller, as revocations name it: a token that is renewed counts from its sign-in."""
        made_at = self.signed_in_at or self.issued_at
        return Holder(self.token, self.session, self.subject, made_at)

    @property
    def sees_owner_fields(self) -> bool:
        """Whether the caller sees orders in full; if not, it sees what a table may see."""
        return self.role != "table"
