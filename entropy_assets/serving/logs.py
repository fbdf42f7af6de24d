"""What the service writes to standard error: one JSON object a line for each thing that an operator may ask about.

No line holds bytes of a block, a key, a password or a query. Requests that are answered are counted, not logged.
"""

import json
import logging
import logging.config
import re
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from entropy_assets.errors import EntropyAssetsError, PoolError
from entropy_assets.serving.problems import plain_problem
from entropy_assets.stores.pool.blocks import SealedLease

LOGGER: Final = "entropy_assets.serving"
FRAMES: Final = 8
"""Innermost frames of a traceback that a line tells."""
_LONGEST: Final = 500
_QUERY: Final = re.compile(r"\?\S+")
_PASSWORD: Final = re.compile(r"(?<=://)[^/@\s]+@")
_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of `record`; what another library wrote is cut to its first line and cleaned."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "pid": record.process,
        }
        if record.name == LOGGER:
            line |= {"event": record.msg, **record.__dict__.get("facts", {})}
        else:
            line |= {"event": record.name, "detail": _cleaned(record.getMessage())}
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
    """Return what may be told of `error`: its kind, its place and what caused it.

    Its text only if it is one of ours, which quote no values; others may quote the value that they choked on.
    """
    facts: dict[str, Any] = {"error": type(error).__name__, "at": _places(error)}
    if isinstance(error, EntropyAssetsError):
        facts["detail"] = _cleaned(error.message)
    cause = error.__cause__ or error.__context__
    return {**facts, "cause": type(cause).__name__} if cause else facts


def telling(lease: Callable[[int], SealedLease]) -> Callable[[int], SealedLease]:
    """Return `lease` such that a line says when the pool is lost and when it is back, once each."""
    lost: tuple[str, float] | None = None

    def told(max_blocks: int) -> SealedLease:
        nonlocal lost
        try:
            leased = lease(max_blocks)
        except PoolError as problem:
            if lost is None or lost[0] != problem.code:
                event = "pool-epoch-changed" if problem.code == "pool-epoch-changed" else "pool-lost"
                log_event(event, logging.WARNING, code=problem.code, detail=_cleaned(problem.message))
                lost = (problem.code, lost[1] if lost else time.monotonic())
            raise
        if lost is not None:
            log_event("pool-back", after_s=round(time.monotonic() - lost[1], 3))
            lost = None
        return leased

    return told


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
        log_event("start-refused", logging.ERROR, code=error.code, detail=_cleaned(error.message))
        raise
    finally:
        log_event("service-stopped")


def add_error_log(app: FastAPI) -> None:
    """Answer what nobody foresaw with a plain 500, and log it under a number that the answer names."""

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        number = secrets.token_hex(8)
        log_event("unhandled-error", logging.ERROR, request_id=number, **_request_facts(request.scope))
        return plain_problem(500, f"the service failed; its log tells why under {number}", {"X-Request-Id": number})


class RequestLog:
    """Logs each request that is not answered from memory: method, route and status, no more (ASGI).

    Parameters
    ----------
    app
        What answers.
    """

    def __init__(self, app: Callable[[_Scope, _Receive, _Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            took_ms = round((time.perf_counter() - began) * 1000, 1)
            log_event("request", **_request_facts(scope), status=status, took_ms=took_ms)


def _request_facts(scope: _Scope) -> dict[str, Any]:
    """Return method and route; the route as it is declared, since a path may hold anything."""
    return {"method": scope.get("method"), "route": getattr(scope.get("route"), "path", None)}


def _cleaned(text: str) -> str:
    first = text.splitlines()[0] if text else ""
    return _PASSWORD.sub("...@", _QUERY.sub("?...", first))[:_LONGEST]


def _places(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
