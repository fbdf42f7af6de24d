"""The HTTP face: routes, documents and errors by FastAPI, with a short-cut in front for what is in memory.

There is one implementation of an answer, `RandomService.answer`; the short-cut and the FastAPI route both call it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated, Any, Final

import fastapi_offline
import uvicorn
from fastapi import FastAPI, Path, Query, Response
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.serving.formats import FORMATS, AnswerClass, Format, Request, known_queries, negotiated
from entropy_assets.serving.problems import MEDIA_TYPE, PROBLEMS, plain_problem, problem, problem_of
from entropy_assets.serving.service import ProvenanceReader, RandomService, ServiceConfig
from entropy_assets.stores.pool import PoolClient

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

DOCS_ASSETS: Final = FilePath(fastapi_offline.__file__).parent / "static"
"""Swagger UI's files: FastAPI's own page loads them from a public network, which a closed one does not have."""

_DESCRIPTION: Final = """
Random bytes from the sensor noise of space images, each handed out once.

* `class=private` (the default): pool bytes XOR fresh bytes of this machine's generator. Unpredictable if either is.
* `class=public`: pool bytes as they are, with the blocks they were cut from. **Anyone can compute them from the
  images: never use them for keys.** `/blocks/{id}` says where a block comes from.
"""


def _problem_schema(*codes: str) -> dict[str, Any]:
    titles = "; ".join(f"`{code}`: {PROBLEMS[code].title}" for code in codes)
    return {"description": titles, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


_UNREADY: Final = _problem_schema("pool-exhausted", "pool-unavailable", "pool-epoch-changed", "unsafe-pool-server")
_RANDOM_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Exactly `n` bytes.",
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"schema": {"type": "object"}},
            "text/plain": {"schema": {"type": "string"}},
        },
        "headers": {
            "X-Entropy-Class": {"schema": {"type": "string"}, "description": "`private` or `public`"},
            "X-Entropy-Blocks": {
                "schema": {"type": "string"},
                "description": "Public class: `<block id>:<start>-<end>,...`, end not included, in the order used.",
            },
            "X-Entropy-Simulated": {
                "schema": {"type": "string"},
                "description": "`true` if a simulated camera is behind some of the bytes.",
            },
        },
    },
    406: _problem_schema("not-acceptable"),
    422: _problem_schema("invalid-request"),
    503: _UNREADY,
}


class MemoryFirst:
    """Answers ``GET /random/{n}`` from memory, in front of FastAPI, which gets all else and every odd spelling.

    Parameters
    ----------
    app
        The FastAPI application.
    service
        Where the bytes are.
    """

    def __init__(self, app: FastAPI, service: RandomService) -> None:
        self.app = app
        self.service = service
        self._queries = known_queries()
        self._longest = service.config.max_request_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        answer = self._answer(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        if answer is None:
            await self.app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    def _answer(self, scope: Scope) -> Any:
        path: str = scope["path"]
        digits = path[8:]
        if path[:8] != "/random/" or not (digits.isascii() and digits.isdigit() and len(digits) < 8):
            return None
        request = self._queries.get(scope["query_string"])
        n = int(digits)
        if request is None or not 0 < n <= self._longest:
            return None
        chosen = request.format or _raw_if_anything_will_do(scope["headers"])
        return chosen and self.service.answer_at_once(n, request, chosen)


def _raw_if_anything_will_do(headers: list[tuple[bytes, bytes]]) -> Format | None:
    for name, value in headers:
        if name == b"accept":
            return "raw" if value == b"*/*" else None
    return "raw"


def create_app(
    config: ServiceConfig, *, pool: PoolClient | None = None, provenance: ProvenanceReader | None = None
) -> MemoryFirst:
    """Return the ASGI application of one service; ``.app`` is the FastAPI application behind its short-cut.

    Parameters
    ----------
    config
        Places and limits.
    pool
        The pool to lease from; by default the one at ``config.pool_url``.
    provenance
        Where ``/blocks/{id}`` looks; without it the route answers 503.
    """
    service = RandomService(config, pool, provenance)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        service.reservoir.start()
        try:
            yield
        finally:
            await service.reservoir.stop()
            service.pool.close()

    app = FastAPI(
        title="entropy_assets",
        description=_DESCRIPTION,
        version="1",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    _add_random(app, service)
    _add_reports(app, service)
    _add_provenance(app, service)
    _add_documents(app)
    _add_problems(app, service)
    return MemoryFirst(app, service)


def _add_random(app: FastAPI, service: RandomService) -> None:
    @app.get(
        "/random/{n}", summary="Draw n bytes", tags=["random"], responses=_RANDOM_RESPONSES, response_class=Response
    )
    async def random(
        http: HttpRequest,
        n: Annotated[int, Path(ge=1, le=service.config.max_request_bytes, description="Bytes wanted.")],
        answer_class: Annotated[AnswerClass, Query(alias="class", description="See above.")] = "private",
        answer_format: Annotated[
            Format | None,
            Query(alias="format", description="Without it the Accept header decides, raw if any will do."),
        ] = None,
    ) -> Response:
        """Return exactly `n` random bytes that nobody else gets."""
        chosen = answer_format or negotiated(http.headers.get("accept"))
        if chosen is None:
            return problem("not-acceptable", f"none of the accepted types exists; `format` is one of {FORMATS}")
        answer = await service.answer(n, Request(answer_class == "public", answer_format), chosen)
        response = Response(answer.body)
        response.raw_headers = answer.headers
        return response


def _add_reports(app: FastAPI, service: RandomService) -> None:
    @app.get("/stats", summary="What was leased, served and lost", tags=["service"])
    async def stats() -> dict[str, Any]:
        """Return what was leased, served, burned and held here, and what the pool counts."""
        return await service.stats()

    @app.get(
        "/health",
        summary="Whether bytes can be had, and every reason why not",
        tags=["service"],
        responses={503: {"description": "Failing: no bytes can be had."}},
    )
    async def health() -> JSONResponse:
        """Return whether bytes can be had, how fresh they are, and every reason for a doubt."""
        report = await service.health()
        return JSONResponse(report, 503 if report["status"] == "failing" else 200, {"Cache-Control": "no-store"})

    @app.get("/livez", summary="The process answers", tags=["service"])
    async def livez() -> dict[str, str]:
        """Return at once if the process runs; asks nobody."""
        return {"status": "alive"}

    @app.get(
        "/readyz",
        summary="The next request can be answered",
        tags=["service"],
        responses={503: _problem_schema("not-ready")},
    )
    async def readyz() -> Response:
        """Return whether the next request can be served."""
        report = await service.health()
        if report["status"] == "failing":
            return problem("not-ready", "no bytes can be had at the moment", reasons=report["reasons"])
        return JSONResponse({"status": "ready"})


def _add_provenance(app: FastAPI, service: RandomService) -> None:
    responses: dict[int | str, dict[str, Any]] = {
        404: _problem_schema("unknown-block"),
        422: _problem_schema("invalid-request"),
        503: _problem_schema("ledger-error", "provenance-unavailable"),
    }

    @app.get("/blocks/{block_id}", summary="Where a block comes from", tags=["provenance"], responses=responses)
    async def block(block_id: Annotated[str, Path(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]) -> Any:
        """Return where a published block comes from: batch, images, link, verdict, run. Never its bytes."""
        found = await service.find_block(block_id)
        if found is None:
            return problem("unknown-block", f"no block {block_id} was published", block_id=block_id)
        return found


def _add_documents(app: FastAPI) -> None:
    app.mount("/docs-assets", StaticFiles(directory=DOCS_ASSETS), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="entropy_assets",
            swagger_js_url="/docs-assets/swagger-ui-bundle.js",
            swagger_css_url="/docs-assets/swagger-ui.css",
            swagger_favicon_url="/docs-assets/favicon.png",
        )

    @app.get("/", include_in_schema=False)
    async def index() -> dict[str, str]:
        return {
            "service": "entropy_assets",
            "draw": "/random/32",
            "draw_public": "/random/32?class=public&format=json",
            "stats": "/stats",
            "health": "/health",
            "docs": "/docs",
        }

    @app.get("/problems/{code}", include_in_schema=False)
    async def explain(code: str) -> dict[str, Any]:
        if code not in PROBLEMS:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such type of problem")
        return {"type": f"/problems/{code}", **PROBLEMS[code]._asdict()}


def _add_problems(app: FastAPI, service: RandomService) -> None:
    @app.exception_handler(EntropyAssetsError)
    async def ours(_: HttpRequest, error: EntropyAssetsError) -> JSONResponse:
        service.refused[error.code] += 1
        return problem_of(error, service.reservoir.retry_after_s(0))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: HttpRequest, error: RequestValidationError) -> JSONResponse:
        service.refused["invalid-request"] += 1
        errors = [{"loc": list(each["loc"]), "msg": each["msg"]} for each in error.errors()]
        return problem("invalid-request", "; ".join(each["msg"] for each in error.errors()), errors=errors)

    @app.exception_handler(HTTPException)
    async def plain(_: HttpRequest, error: HTTPException) -> JSONResponse:
        return plain_problem(error.status_code, str(error.detail), dict(error.headers or {}))


def run_service(config: ServiceConfig, *, provenance: ProvenanceReader | None = None) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises
    ------
    UnsafePoolServer
        If the pool's server persists or evicts and that was not allowed.
    PoolUnavailable
        If it does not answer at the start. Later the service waits for it to come back.
    """
    application = create_app(config, provenance=provenance)
    application.service.check_server()
    uvicorn.run(
        application,
        host=config.host,
        port=config.port,
        access_log=False,  # 60 % of the speed
        log_level="warning",
        server_header=False,
        ws_per_message_deflate=False,  # random bytes do not compress; trying costs 40 times the speed
        timeout_graceful_shutdown=5,
    )
