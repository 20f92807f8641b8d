"""Structured logs: one event name per fact, fields instead of prose, one JSON object per line."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


def get_logger() -> FilteringBoundLogger:
    """A logger, configured with its first event."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def configure(process: str, *first: structlog.typing.Processor) -> None:
    """Log as JSON lines to stderr, including the libraries' own warnings.

    Args:
        process: the process's name, in every line.
        first: processors that see each event before it is written.
    """
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[structlog.typing.Processor] = [
        *first,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(_json),
    ]
    structlog.configure(
        processors=[*processors, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # aiokafka logs each failed attempt as an error; our own events report the consequences.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def _json(event: object, **options: Any) -> str:
    """The line in ASCII, for terminals; nearly all lines are ASCII already."""
    try:
        line = msgspec.json.encode(event)
    except (TypeError, ValueError, OverflowError):
        return json.dumps(event, **options)
    return line.decode() if line.isascii() else json.dumps(event, **options)
