"""Input and output of planning: the rows to write and the answers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from client_sdk.contract.channel import Channel
from client_sdk.contract.state.edit import EditOutcome
from core_api.documents.definitions import Definitions
from core_api.documents.kept_versions import History
from core_api.edits.rows import PlanRows
from core_api.edits.what_was_read import DocumentName, KeptAnswer, KnownState
from core_api.errors import CoreError


@dataclass(frozen=True, slots=True)
class EditAnswer:
    """The answer to one request."""

    settled: int
    """The client's last settled number."""
    outcomes: Sequence[EditOutcome]
    """One for each edit of the request, in their order."""


@dataclass(slots=True)
class Plan:
    """The rows to write, and the answers to give once they are written."""

    answers: list[EditAnswer | CoreError]
    """One for each request."""
    components: list[int]
    """The component of each request."""
    rows: PlanRows
    new_names: list[DocumentName]
    """Documents that have no row yet."""
    new_clients: list[tuple[str, str]]
    """Clients that have no row yet, with their subjects."""
    channels: frozenset[str]
    """The channels that get an event."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was read from the database."""

    state: KnownState
    answers: Mapping[tuple[str, int], KeptAnswer]
    histories: Mapping[DocumentName, History]


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that apply to all edits."""

    definitions: Definitions
    partitions: int
    obeyed_by_orders: Callable[[Channel, str], bool]
    """Whether orders of the channel's store obey this document."""
