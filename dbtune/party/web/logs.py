"""Logs: one JSON object a line on stderr."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from dbtune.party.web.settings import LogLevel

_logger = logging.getLogger("party")


def open_log(level: LogLevel) -> None:
    """Write this process's log from ``level`` on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    _logger.handlers[:] = [handler]
    _logger.propagate = False
    _logger.setLevel(level.upper())


def is_debug() -> bool:
    """Return whether each request is logged, and the pool as it finds it."""
    return _logger.isEnabledFor(logging.DEBUG)


def debug(event: str, **fields: Any) -> None:
    """Log what only a close look needs."""
    _logger.debug(event, extra={"fields": fields})


def info(event: str, **fields: Any) -> None:
    """Log what happens in good order."""
    _logger.info(event, extra={"fields": fields})


def warning(event: str, **fields: Any) -> None:
    """Log what the service refuses because it must."""
    _logger.warning(event, extra={"fields": fields})


def failure(event: str, error: BaseException, **fields: Any) -> None:
    """Log an error with its traceback."""
    _logger.error(event, exc_info=error, extra={"fields": fields})


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"
        line: dict[str, Any] = {"at": at, "level": record.levelname.lower(), "pid": record.process}
        line["event"] = record.getMessage()
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
