"""The base of all settings."""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict


class FromEnvironment(BaseSettings):
    """What is read from the variables that begin with YABAM_."""

    model_config = SettingsConfigDict(
        env_prefix="YABAM_",
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
    )
