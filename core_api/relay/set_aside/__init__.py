"""Events that could not be published: kept for a person, listed and tried again by command."""

from core_api.relay.set_aside.command import list_all, retry

__all__ = ["list_all", "retry"]
