"""The documents of printing: a store's `printing`, and the job `print.{id}` of a printer. Pure."""

from __future__ import annotations

from typing import Final, get_args

from client_sdk.printer_media.lines import LEAST_COLUMNS, MAX_COLUMNS, MAX_LINES, LineStyle
from core_api.documents.definitions import Definition
from core_api.documents.schemas import DAY_S, NAME, by_id, closed_object, whole_object
from core_api.printing.jobs import MAX_DETAIL, JobState
from core_api.printing.routing import (
    MAX_COPIES,
    MAX_PRINTERS,
    PRINTED_STATUSES,
    PRINTING,
    Language,
    Media,
    TicketKind,
)

_ID: Final = {"type": "string", "pattern": r"^[A-Za-z0-9_.\-]{1,64}$"}
_TEXT: Final = {"type": "string", "maxLength": 300}
_COLUMNS: Final = {"type": "integer", "minimum": LEAST_COLUMNS, "maximum": MAX_COLUMNS}
_COUNT: Final = {"type": "integer", "minimum": 0}
_AGE: Final = {"type": "integer", "minimum": 30, "maximum": DAY_S}
_COPIES: Final = {"type": "integer", "minimum": 1, "maximum": MAX_COPIES}


_PRINTER: Final = closed_object(
    {
        "statuses": {
            "type": "array",
            "items": {"enum": list(PRINTED_STATUSES)},
            "minItems": 1,
            "uniqueItems": True,
        },
        "stations": {"type": "array", "items": _ID, "minItems": 1, "maxItems": 50},
        "copies": _COPIES,
        "language": {"enum": list(get_args(Language))},
        "columns": _COLUMNS,
        "max_age_s": _AGE,
        "media": {"enum": list(get_args(Media))},
    },
    "statuses",
)

PRINTING_DEFINITION: Final = Definition(
    key=PRINTING,
    scopes=frozenset({"team"}),
    strategy="merge",
    writers=frozenset({"owner"}),
    schema=closed_object(
        {
            "printers": by_id(_PRINTER, MAX_PRINTERS, _ID),
            "stations": by_id({"type": "array", "items": NAME, "maxItems": 500}, 50, _ID),
            "time_zone": {"type": "string", "pattern": "^[A-Za-z0-9_+/-]{1,64}$"},
        },
        "printers",
    ),
    history_s=365 * DAY_S,
    max_age_s=7 * DAY_S,
)
"""Which printer prints what of which status."""

PRINT_DEFINITION: Final = Definition(
    key="print",
    is_family=True,
    lifetime="each",
    scopes=frozenset({"device"}),
    strategy="last",
    writers=frozenset(),
    schema=whole_object(
        {
            "order": _ID,
            "version": _COUNT,
            "kind": {"enum": list(get_args(TicketKind))},
            "copy": _COPIES,
            "copies": _COPIES,
            "seq": _COUNT,
            "made_at": _TEXT,
            "expires_at": _TEXT,
            "max_age_s": _AGE,
            "language": {"enum": list(get_args(Language))},
            "columns": _COLUMNS,
            "media": {"enum": list(get_args(Media))},
            "lines": {
                "type": "array",
                "items": whole_object(
                    {
                        "text": {"type": "string", "maxLength": MAX_COLUMNS},
                        "style": {"enum": list(get_args(LineStyle))},
                    },
                    "text",
                    "style",
                ),
                "maxItems": MAX_LINES,
            },
            "state": {"enum": list(get_args(JobState))},
            "attempts": _COUNT,
            "repeat": {"type": "boolean"},
            "waits": {"type": "boolean"},
            "agent": _TEXT,
            "detail": {"type": "string", "maxLength": MAX_DETAIL},
        }
    ),
    history_s=7 * DAY_S,
    max_age_s=DAY_S,
)
"""`print.{id}`: one ticket, and what became of it."""

PRINTING_DEFINITIONS: Final = (PRINTING_DEFINITION, PRINT_DEFINITION)
"""What holds whatever definitions the operator wants: orders on paper rest on them."""
