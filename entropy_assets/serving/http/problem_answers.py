"""Errors as answers: problem documents (RFC 9457) of the types in `problems`, and what nobody foresaw.

Nothing here may raise: whoever asked would get no answer, and whoever reads the log no reason.
"""

import logging
import math
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.serving.logs import error_facts, log_event
from entropy_assets.serving.problems import MEDIA_TYPE, PROBLEMS, UNSTORED
from entropy_assets.serving.service import RandomService
from entropy_assets.stores.file_names import printable

_CHALLENGES: Final = {
    "key-missing": 'Bearer realm="entropy_assets"',
    "key-invalid": 'Bearer realm="entropy_assets", error="invalid_token"',
}
"""What a 401 has to say (RFC 9110, section 11.6.1; RFC 6750, section 3)."""


class JsonAnswer(JSONResponse):
    """A JSON answer that can always be sent: what JSON has no words for is written as an escape, or as null."""

    def render(self, content: Any) -> bytes:
        """Return `content` as JSON."""
        try:
            return super().render(content)
        except ValueError:  # a number that is none, or text that no encoder takes
            return super().render(_sendable(content))


class ProblemAnswer(JsonAnswer):
    """The problem document of one type, which counts itself when it is sent (ASGI).

    Parameters
    ----------
    code
        Its type.
    body, headers
        As they are sent.
    """

    def __init__(self, code: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(body, PROBLEMS[code].status, headers, MEDIA_TYPE)
        self._code = code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the refusal in the service that gives it, and send it."""
        scope["app"].state.counts.add(f"refused_{self._code}")
        await super().__call__(scope, receive, send)


def _sendable(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(name)): _sendable(item) for name, item in value.items()}
    return [_sendable(item) for item in value] if isinstance(value, list | tuple) else value


class Unforeseen:
    """Lets nothing that nobody foresaw out of the ``with`` statement, and logs it under a number.

    Attributes
    ----------
    number
        The number that the answer has to name; None if nothing went wrong.
    """

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._scope = scope
        self.number: str | None = None

    def __enter__(self) -> "Unforeseen":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.number = log_unforeseen(self._scope, error)
        return True


def log_unforeseen(scope: Mapping[str, Any], error: BaseException) -> str:
    """Log what nobody foresaw, with its causes, and return the number that stands beside it."""
    number = secrets.token_hex(8)
    log_event("unhandled-error", logging.ERROR, request_id=number, **request_facts(scope), **error_facts(error))
    return number


def request_facts(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return method and route; the route as it is declared, since a path may hold anything."""
    return {"method": scope.get("method"), "route": getattr(scope.get("route"), "path", None)}


def failure(number: str, detail: str = "the service failed", *, close: bool = False) -> JsonAnswer:
    """Return the answer to a request at which something failed that the log has under `number`."""
    headers = {"X-Request-Id": number, **({"Connection": "close"} if close else {})}
    return plain_problem(500, f"{detail}; the log tells why under {number}", headers)


def problem(code: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> JsonAnswer:
    """Return the problem document of type `code`; `more` are members of its own."""
    kind = PROBLEMS[code]
    body = {"type": f"/problems/{code}", "title": kind.title, "status": kind.status, "detail": detail, **more}
    return ProblemAnswer(code, body, {**UNSTORED, **(headers or {})})


def plain_problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JsonAnswer:
    """Return a problem that says no more than its HTTP status."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JsonAnswer(body, status, {**UNSTORED, **(headers or {})}, MEDIA_TYPE)


def problem_of(error: EntropyAssetsError, retry_after_s: int, scope: Mapping[str, Any]) -> JsonAnswer:
    """Return the problem document of one of our errors; what has no type of its own is a plain 500, and logged.

    Parameters
    ----------
    error
        What went wrong.
    retry_after_s
        When it is worth asking again if the error does not know, seconds.
    scope
        The request, as ASGI has it.
    """
    kind = PROBLEMS.get(error.code)
    if kind is None:
        return failure(log_unforeseen(scope, error), error.public_message)
    if kind.status == HTTPStatus.UNAUTHORIZED:
        return problem(error.code, error.public_message, headers={"WWW-Authenticate": _CHALLENGES[error.code]})
    if kind.status not in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        return problem(error.code, error.public_message)
    wait = _whole_seconds(error.data.get("retry_after_s"), retry_after_s)
    headers = {"Retry-After": str(wait)}
    headers |= {name: error.data[name] for name in ("ratelimit-policy", "ratelimit") if name in error.data}
    more = {name.replace("_", "-"): error.data[name] for name in ("violated_policies",) if name in error.data}
    return problem(error.code, error.public_message, headers=headers, retry_after_s=wait, **more)


def _whole_seconds(wait_s: Any, otherwise: int) -> int:
    """Return `wait_s` as ``Retry-After`` has it: whole seconds, not negative."""
    try:
        return max(0, math.ceil(float(wait_s)))
    except (TypeError, ValueError, OverflowError):
        return otherwise


def add_problems(app: FastAPI, service: RandomService) -> None:
    """Answer our errors, invalid requests and unknown routes with problem documents, and count all that have a type."""
    app.state.counts = service.counts

    @app.exception_handler(EntropyAssetsError)
    async def ours(request: Request, error: EntropyAssetsError) -> JsonAnswer:
        return problem_of(error, service.reservoirs.retry_after_s(), request.scope)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JsonAnswer:
        errors = [
            {"loc": _place(each["loc"]), "msg": _without_preface(each["msg"]), **_limit(each)}
            for each in error.errors()
            if each.get("type") != "none_required"  # a parameter may be left out, which nobody meant who gave one
        ]
        return problem("invalid-request", "; ".join(map(_told, errors)), errors=errors)

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> JsonAnswer:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(sorted(_methods_at(request)))
        return plain_problem(error.status_code, str(error.detail), headers)


def _without_preface(message: str) -> str:
    """Return what is wrong without pydantic's word for who noticed."""
    return message.removeprefix("Value error, ")


def _place(loc: Sequence[str | int]) -> list[str | int]:
    """Return where a fault is; of a parameter without the framework's words for what it may be."""
    return list(loc[:2] if loc and loc[0] in ("path", "query") else loc)


def _told(error: Mapping[str, Any]) -> str:
    """Return what is wrong after the name of the parameter, if it is about one."""
    names = [place for place in error["loc"] if isinstance(place, str)]
    return f"{names[-1]}: {error['msg']}" if names else str(error["msg"])


def _limit(error: dict[str, Any]) -> dict[str, int]:
    """Return the limit that was passed, for programs: a client draws its bytes in parts of that length then."""
    most = error.get("ctx", {}).get("le")
    return {} if most is None else {"most": most}


def _methods_at(request: Request) -> set[str]:
    """Return the methods of all routes at this path; a route knows only its own."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return set().union(*(getattr(route, "methods", None) or () for route in routes))
