"""Logging: one line for each outcome, with bound context, as text for people or one JSON object a line.

`with bound(source="blog", via="push"): log.info("stored", new=2)`. Secrets never reach a line: values under
a name that says it is one are masked, and tokens in our own addresses are cut short.
"""

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Literal, cast

import structlog
from structlog.typing import FilteringBoundLogger

SECRET_NAMES = re.compile(r"(secret|password|token|authorization|cookie|signature)", re.IGNORECASE)
TOKEN_PATHS = re.compile(r"(/push/|[?&](?:token|sk|k|password)=)([^/?&\s]{4})[^/?&\s]+")
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def get_logger(name: str) -> FilteringBoundLogger:
    return cast(FilteringBoundLogger, structlog.get_logger(name))


@contextmanager
def bound(**context: object) -> Iterator[None]:
    """Every line logged inside carries `context`."""
    with structlog.contextvars.bound_contextvars(**context):
        yield


def configure(form: Literal["text", "json"] = "text", *, level: int = logging.INFO) -> None:
    """Sends our own lines, and those of the libraries, to stderr in one form."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask_secrets,
    ]
    if form == "json":
        last: Any = structlog.processors.JSONRenderer()
    else:
        shared.append(show_controls)
        last = structlog.processors.LogfmtRenderer(
            key_order=["timestamp", "level", "event"], drop_missing=True, sort_keys=True
        )
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_unmeta, last]))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def mask_secrets(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in line.items():
        if SECRET_NAMES.search(name):
            line[name] = "***"
        elif isinstance(value, str):
            line[name] = TOKEN_PATHS.sub(r"\1\2***", value)
    return line


def show_controls(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What somebody sent moves no cursor and begins no line; the renderer sees to \\n itself, JSON to all of them."""
    for name, value in line.items():
        if isinstance(value, str):
            line[name] = CONTROLS.sub(lambda found: ascii(found[0])[1:-1], value)
    return line


def _unmeta(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in ("_record", "_from_structlog"):
        line.pop(name, None)
    return line
