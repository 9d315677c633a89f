"""The log: events as JSON or for people's eyes, on standard error; what modules say by `logging` among them.

One event a request, by structlog itself, since `logging` takes several times as long; and where it is JSON, in one
step instead of structlog's chain, which takes three times as long as that.
"""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

from peoplegraph.observe.lines import Lines, LinesHandler
from peoplegraph.settings import LogFormat, LogSettings, nowhere

_EXTRAS = ("system", "endpoint", "outcome", "request")
"""What modules add to what they say."""


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Log to standard error. Without this an application that embeds the gateway decides by its own `logging`."""
    stream = stream or sys.stderr or nowhere()
    is_pretty = settings.format is LogFormat.PRETTY or (settings.format is LogFormat.AUTO and stream.isatty())
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    lines = Lines(stream)
    ours: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    renderer: Processor = _pretty(colors=stream.isatty()) if is_pretty else _json
    structlog.configure(
        processors=[*ours, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level) if is_pretty else _events(level),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    handler = LinesHandler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                *ours,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(_EXTRAS),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([] if is_pretty else [structlog.processors.format_exc_info]),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells URLs, and there may be a secret in one
    logging.getLogger("uvicorn.error").addFilter(_is_worth_telling)
    audit = logging.getLogger("peoplegraph.audit")
    audit.setLevel(logging.INFO)
    audit.propagate = False
    audit.handlers = [LinesHandler(lines, logging.INFO)]  # a line of JSON each, and nothing else in it


def _pretty(*, colors: bool) -> Processor:
    """Render events for people; a traceback without what the variables in it are: there are secrets among them."""
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _events(level: int) -> type[structlog.BoundLoggerBase]:
    """Return what renders an event as `_json` does, with level and time."""

    class Events(structlog.BoundLoggerBase):
        def is_enabled_for(self, asked: int) -> bool:
            return asked >= level

        def info(self, event: str, **what: Any) -> None:
            told = {"event": event, **what, "level": "info", "at": datetime.now(UTC)}
            self._logger.put(orjson.dumps(told, default=str, option=orjson.OPT_UTC_Z).decode())

    return Events


def _json(_: Any, __: str, event: EventDict) -> str:
    """Render an event as a line of JSON, with what happened first."""
    return orjson.dumps({"event": event.pop("event"), **event}, default=str).decode()


def _is_worth_telling(record: logging.LogRecord) -> bool:
    return not (_is_cancellation(record) or _tells_a_url(record))


def _is_cancellation(record: logging.LogRecord) -> bool:
    """Whether uvicorn tells of a request that it has itself cut short, at the end of its time."""
    return record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)


def _tells_a_url(record: logging.LogRecord) -> bool:
    """Whether uvicorn tells of a WebSocket with all that its URL has in it."""
    return "WebSocket" in str(record.msg)
