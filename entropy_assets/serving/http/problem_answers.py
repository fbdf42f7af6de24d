"""Errors as answers: problem documents (RFC 9457) of the types in `problems`."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.serving.problems import MEDIA_TYPE, PROBLEMS, UNSTORED
from entropy_assets.serving.service import RandomService

_CHALLENGES: Final = {
    "key-missing": 'Bearer realm="entropy_assets"',
    "key-invalid": 'Bearer realm="entropy_assets", error="invalid_token"',
}
"""What a 401 has to say (RFC 9110, section 11.6.1; RFC 6750, section 3)."""


def problem(code: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """Return the problem document of type `code`; `more` are members of its own."""
    kind = PROBLEMS[code]
    body = {"type": f"/problems/{code}", "title": kind.title, "status": kind.status, "detail": detail, **more}
    return JSONResponse(body, kind.status, {**UNSTORED, **(headers or {})}, MEDIA_TYPE)


def plain_problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a problem that says no more than its HTTP status."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, {**UNSTORED, **(headers or {})}, MEDIA_TYPE)


def problem_of(error: EntropyAssetsError, retry_after_s: int) -> JSONResponse:
    """Return the problem document of one of our errors; what has no type of its own is a plain 500."""
    kind = PROBLEMS.get(error.code)
    if kind is None:
        return plain_problem(500, error.public_message)
    if kind.status == HTTPStatus.UNAUTHORIZED:
        return problem(error.code, error.public_message, headers={"WWW-Authenticate": _CHALLENGES[error.code]})
    if kind.status not in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        return problem(error.code, error.public_message)
    wait = error.data.get("retry_after_s", retry_after_s)
    headers = {"Retry-After": str(wait)}
    headers |= {name: error.data[name] for name in ("ratelimit-policy", "ratelimit") if name in error.data}
    more = {name.replace("_", "-"): error.data[name] for name in ("violated_policies",) if name in error.data}
    return problem(error.code, error.public_message, headers=headers, retry_after_s=wait, **more)


def add_problems(app: FastAPI, service: RandomService) -> None:
    """Answer our errors, invalid requests and unknown routes with problem documents."""

    @app.exception_handler(EntropyAssetsError)
    async def ours(_: Request, error: EntropyAssetsError) -> JSONResponse:
        if error.code in PROBLEMS:
            service.counts.add(f"refused_{error.code}")
        return problem_of(error, service.reservoir.retry_after_s(0))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        service.counts.add("refused_invalid-request")
        errors = [
            {"loc": list(each["loc"]), "msg": _without_preface(each["msg"]), **_limit(each)} for each in error.errors()
        ]
        return problem(
            "invalid-request", "; ".join(_without_preface(each["msg"]) for each in error.errors()), errors=errors
        )

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(sorted(_methods_at(request)))
        return plain_problem(error.status_code, str(error.detail), headers)


def _without_preface(message: str) -> str:
    """Return what is wrong without pydantic's word for who noticed."""
    return message.removeprefix("Value error, ")


def _limit(error: dict[str, Any]) -> dict[str, int]:
    """Return the limit that was passed, for programs: a client draws its bytes in parts of that length then."""
    most = error.get("ctx", {}).get("le")
    return {} if most is None else {"most": most}


def _methods_at(request: Request) -> set[str]:
    """Return the methods of all routes at this path; a route knows only its own."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return set().union(*(getattr(route, "methods", None) or () for route in routes))
