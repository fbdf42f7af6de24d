"""What the service writes to standard error: one JSON object a line for each thing that an operator may ask about.

No line holds bytes of a block, a key, a password or a query. Requests that are answered are counted, not logged.
"""

import json
import logging
import logging.config
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from entropy_assets.errors import EntropyAssetsError

LOGGER: Final = "entropy_assets.serving"
FRAMES: Final = 8
"""Innermost frames of a traceback that a line tells."""
CAUSES: Final = 8
"""Errors behind an error that a line tells."""
_LONGEST: Final = 500
_TRACEBACK: Final = "Traceback (most recent call last):\n"
_FRAME: Final = re.compile(r'^  File "(.+)", line (\d+), in (.+)$', re.MULTILINE)
_KIND: Final = re.compile(r"^[A-Za-z_][\w.]*(?=:|$)", re.MULTILINE)
_QUERY: Final = re.compile(r"\?\S+")
_PASSWORD: Final = re.compile(r"(?<=://)[^/@\s]+@")


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of `record`; of what another library wrote a line is told, or what kind of error where."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "pid": record.process,
        }
        if record.name == LOGGER:
            line |= {"event": record.msg, **record.__dict__.get("facts", {})}
        else:
            line |= {"event": record.name, **_told(record.getMessage())}
        if record.exc_info and record.exc_info[1]:
            line |= error_facts(record.exc_info[1])
        return json.dumps(line, default=repr)


class UvicornNews(logging.Filter):
    """Lets uvicorn's warnings through, and what its supervisor says of workers that come and go."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether `record` is news."""
        return record.levelno >= logging.WARNING or record.module == "multiprocess"


def log_config() -> dict[str, Any]:
    """Return the configuration of logging, for `logging.config.dictConfig` and for uvicorn in every worker."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}},
        "filters": {"news": {"()": UvicornNews}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"},
            "news": {
                "class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr", "filters": ["news"]
            },
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            LOGGER: {"level": "INFO"},
            "uvicorn": {"handlers": ["news"], "level": "INFO", "propagate": False},
        },
    }  # fmt: skip


def configure_logging() -> None:
    """Log as `log_config` says, in a process in which uvicorn has not begun."""
    logging.config.dictConfig(log_config())


def log_event(event: str, level: int = logging.INFO, **facts: Any) -> None:
    """Write one line.

    Parameters
    ----------
    event
        What happened, in words with dashes.
    level
        As in `logging`.
    **facts
        More members of the line. Never bytes, keys or queries.
    """
    logging.getLogger(LOGGER).log(level, event, extra={"facts": facts})


def error_facts(error: BaseException) -> dict[str, Any]:
    """Return what may be told of `error`: its kind, its place, and the same of what caused it, the nearest first.

    Its text only if it is one of ours, which quote no values; others may quote the value that they choked on.
    """
    first, *causes = islice(_chain(error), 1 + CAUSES)
    return {**_facts_of(first), "causes": [_facts_of(cause) for cause in causes]} if causes else _facts_of(first)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _facts_of(error: BaseException) -> dict[str, Any]:
    facts: dict[str, Any] = {"error": type(error).__name__, "at": _places(error)}
    return {**facts, "detail": cleaned(error.message)} if isinstance(error, EntropyAssetsError) else facts


@contextmanager
def worker_news(**facts: Any) -> Iterator[None]:
    """Say that a worker has begun, and that it has ended in good order. A killed one says no more."""
    log_event("worker-started", **facts)
    yield
    log_event("worker-stopped")


@contextmanager
def service_news(**facts: Any) -> Iterator[None]:
    """Say that a service begins and ends; if it refuses to begin, why."""
    configure_logging()
    log_event("service-starting", **facts)
    try:
        yield
    except EntropyAssetsError as error:
        log_event("start-refused", logging.ERROR, code=error.code, detail=cleaned(error.message))
        raise
    finally:
        log_event("service-stopped")


def cleaned(text: str) -> str:
    """Return the first line of `text`, cut, without queries and passwords."""
    first = text.splitlines()[0] if text else ""
    return _PASSWORD.sub("...@", _QUERY.sub("?...", first))[:_LONGEST]


def _told(message: str) -> dict[str, Any]:
    """Return what another library says; of a traceback, as Starlette's of a failed start, what `error_facts` does."""
    if not message.startswith(_TRACEBACK):
        return {"detail": cleaned(message)}
    outermost = message.rpartition(_TRACEBACK)[2]
    places = [f"{Path(file).name}:{line} {name}" for file, line, name in _FRAME.findall(outermost)]
    kind = _KIND.search(outermost)
    return {"error": kind[0].rpartition(".")[2] if kind else None, "at": places[-FRAMES:]}


def _places(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
