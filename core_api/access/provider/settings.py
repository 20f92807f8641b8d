"""The settings of an OpenID provider: whose tokens, and what their claims stand for."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from client_sdk.contract.state.pointer import parse_pointer
from core_api.access.provider.address import Provider, is_safe_url
from core_api.access.provider.claims import ClaimRules, ProviderRole
from core_api.access.provider.tokens import ProviderRules
from server_common.environment import FromEnvironment


class ProviderSettings(FromEnvironment):
    """Whose access tokens Core takes beside its own."""

    oidc_issuer: str = ""
    """The OpenID provider whose access tokens Core takes beside its own: the claim `iss`, as the
    provider writes it; empty: none."""
    oidc_audience: str = ""
    """What the provider's tokens must have among their `aud`."""
    oidc_jwks_url: str = ""
    """Where the provider's public keys are (https); without it, where the provider's
    /.well-known/openid-configuration says."""
    oidc_ca_file: str = ""
    """File of the authorities (PEM) that sign the provider's certificate; without it, the usual
    ones."""
    oidc_roles: dict[str, ProviderRole] = Field({})
    """What the values of the role claim stand for, as JSON such as {"shop-owner": "owner",
    "order-service": "producer", "platform": "ops"}; also "brand". Of several that a token has, the
    first here counts."""
    oidc_role_claim: str = "/roles"
    """Where the role claim stands in the token, as a JSON Pointer such as /realm_access/roles or
    /scope: a text of words, or a list of texts."""
    oidc_stores_claim: str = "/stores"
    """Where the stores of owners and producers stand, likewise; `*` is every store."""
    oidc_brand_claim: str = "/brand"
    """Where the brand stands: a text."""

    @field_validator("oidc_issuer", "oidc_jwks_url")
    @classmethod
    def _safe(cls, url: str) -> str:
        if url and not is_safe_url(url):
            raise ValueError("write https://…: who answers by http could forge every token")
        return url

    @field_validator("oidc_role_claim", "oidc_stores_claim", "oidc_brand_claim")
    @classmethod
    def _pointer(cls, text: str) -> str:
        parse_pointer(text)
        return text

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.oidc_issuer and not (self.oidc_audience and self.oidc_roles):
            raise ValueError("YABAM_OIDC_ISSUER needs YABAM_OIDC_AUDIENCE and YABAM_OIDC_ROLES")
        return self

    @property
    def provider(self) -> Provider:
        """Where the provider's keys are."""
        return Provider(self.oidc_issuer, self.oidc_jwks_url, self.oidc_ca_file)

    @property
    def provider_rules(self) -> ProviderRules | None:
        """Which of the provider's tokens are taken; None: there is no provider."""
        if not self.oidc_issuer:
            return None
        claims = ClaimRules(
            self.oidc_roles,
            parse_pointer(self.oidc_role_claim),
            parse_pointer(self.oidc_stores_claim),
            parse_pointer(self.oidc_brand_claim),
        )
        return ProviderRules(self.oidc_issuer, self.oidc_audience, claims)
