"""Sets up the logs of a process, those of libraries too."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

from app.logs.escaping import escape_controls, write_traceback
from app.logs.sampling import SamplingFilter

_SECRET_WORDS = ("secret", "password", "authorization", "cookie", "turnpassword")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of one module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def configure_logs(log_format: Literal["console", "json"], *, quiet: bool = False) -> None:
    """Send all logs, those of libraries too, to standard error in one format; `quiet`: errors only."""
    from jwt.warnings import InsecureKeyLengthWarning  # noqa: PLC0415 - not every command that logs signs tokens

    # LiveKit's own development secret is shorter than PyJWT likes; the README says so once, instead of each webhook.
    warnings.filterwarnings("ignore", category=InsecureKeyLengthWarning)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask_secrets,
    ]
    renderer: Any
    if log_format == "json":
        # Without local variables: they hold webhooks, settings and keys.
        transform = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        shared.append(structlog.processors.ExceptionRenderer(transform))
        renderer = structlog.processors.JSONRenderer()
    else:
        shared.append(escape_controls)
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=write_traceback)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR if quiet else logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.ERROR if quiet else logging.INFO)
    # The access log would repeat every line of ours, with query strings.
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("uvicorn.access").propagate = False
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It raises what fails, and warns that what is left of a pipeline fails as well.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    # One warning for each request that is not HTTP: anybody could fill the disk with them.
    library = logging.getLogger("uvicorn.error")
    library.filters = [SamplingFilter()]


def _mask_secrets(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in fields:
        if any(word in name.lower() for word in _SECRET_WORDS):
            fields[name] = "…"
    return fields
