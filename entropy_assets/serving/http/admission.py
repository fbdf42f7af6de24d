"""The gate before the routes of FastAPI: it lets in or refuses, and answers and description say so."""

from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.scopes import Scope
from entropy_assets.serving.access.gate import ADMISSION, Gate
from entropy_assets.serving.access.origins import require_own
from entropy_assets.serving.http.problem_answers import problem_of
from entropy_assets.serving.problems import problem_codes, problem_schema
from entropy_assets.serving.service import RandomService

_API_KEY: Final = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key of this service.")
_AUTHORIZATION: Final = HTTPBearer(auto_error=False, description="The same key as a bearer token.")
_REFUSALS: Final[dict[str, dict[str, Any]]] = {
    "400": problem_schema("request-malformed"),
    "401": problem_schema("key-missing", "key-invalid"),
    "403": problem_schema("scope-missing", "foreign-origin"),
    "421": problem_schema("host-unknown"),
    "429": problem_schema("quota-exceeded"),
    "503": problem_schema("quota-unavailable", "keys-unreadable"),
}


class _Admitted:
    """The dependency of a route that needs a scope: admits one request and leaves the admission with it."""

    def __init__(self, scope: Scope) -> None:
        self.scope: Final = scope

    async def __call__(
        self,
        request: Request,
        _key: Annotated[str | None, Security(_API_KEY)],
        _bearer: Annotated[object, Security(_AUTHORIZATION)],
    ) -> None:
        require_own(request.scope["headers"])
        gate: Gate = request.app.state.gate
        if not gate.admits_everybody:
            address = request.client.host if request.client else ""
            request.scope[ADMISSION] = await gate.admit(request.scope["headers"], address, self.scope, 0)


def admitted(scope: Scope) -> Any:
    """Return the dependency, for ``dependencies=[...]`` of a route, that lets in who has `scope`.

    It spends one request; what the answer takes in bytes is spent by the route.
    """
    return Depends(_Admitted(scope))


def scope_of(route: object) -> Scope | None:
    """Return the scope that `route` needs, None if it needs none."""
    if not isinstance(route, APIRoute):
        return None
    return next((each.call.scope for each in route.dependant.dependencies if isinstance(each.call, _Admitted)), None)


def add_gate(app: FastAPI, gate: Gate) -> None:
    """Put `gate` before the routes of `app`: their limits into the answers, their refusals into the description."""
    app.state.gate = gate
    app.add_middleware(_LimitHeaders)
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        described = app.openapi_schema is not None
        document = describe()
        if not described:
            for route in app.routes:
                scope = scope_of(route)
                if scope is not None and isinstance(route, APIRoute) and route.include_in_schema:
                    for method in route.methods or ():
                        operation = document["paths"][route.path_format][method.lower()]
                        _describe(operation, body=method != "HEAD", optional=scope in gate.anonymous)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _describe(operation: dict[str, Any], *, body: bool, optional: bool) -> None:
    answers = operation["responses"]
    for status, answer in _REFUSALS.items():
        own = answers.get(status)
        whole = problem_schema(*problem_codes(own), *problem_codes(answer)) if own and body else answer
        answers[status] = whole if body else {name: whole[name] for name in ("description", "headers")}
    if optional:
        operation["security"].append({})


def add_host_check(app: FastAPI, service: RandomService) -> None:
    """Refuse what is asked of another host than this service is, before anything else is looked at."""
    app.add_middleware(_OwnHost, service=service)


class _OwnHost:
    """Lets pass what is asked of this service by a name that it goes by (ASGI)."""

    def __init__(self, app: Any, service: RandomService) -> None:
        self._app = app
        self._service = service

    async def __call__(self, connection: Any, receive: Any, send: Any) -> None:
        if connection["type"] in ("http", "websocket"):
            try:
                self._service.hosts.require(connection["headers"], connection["http_version"])
            except EntropyAssetsError as error:
                await problem_of(error, 0, connection)(connection, receive, send)
                return
        await self._app(connection, receive, send)


class _LimitHeaders:
    """Adds the ``RateLimit`` fields to the answers of admitted requests (ASGI)."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, connection: Any, receive: Any, send: Any) -> None:
        async def send_with_limits(message: Any) -> None:
            admission = connection.get(ADMISSION)
            if admission is not None and message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(pair for pair in admission.headers if pair[0] not in present),
                ]
            await send(message)

        await self._app(connection, receive, send_with_limits if connection["type"] == "http" else send)
