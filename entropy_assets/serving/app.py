"""The HTTP face: routes, documents and errors by FastAPI, with a short-cut in front for what is in memory.

There is one implementation of an answer, `RandomService.answer`; the short-cut and the FastAPI route both call it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated, Any, Final

import fastapi_offline
from fastapi import FastAPI, Path, Response
from fastapi import Request as HttpRequest
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.routing import Match

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.serving.counts import Board
from entropy_assets.serving.downloads import add_downloads
from entropy_assets.serving.draws import add_draws
from entropy_assets.serving.gate import add_gate, admitted
from entropy_assets.serving.health import HEALTH
from entropy_assets.serving.hot_path import MemoryFirst
from entropy_assets.serving.logs import RequestLog, add_error_log, worker_news
from entropy_assets.serving.long_draws import Seats
from entropy_assets.serving.metrics import add_metrics
from entropy_assets.serving.problems import PROBLEMS, UNSTORED, plain_problem, problem, problem_of, problem_schema
from entropy_assets.serving.recent import add_page
from entropy_assets.serving.service import FIND_BLOCK, ProvenanceReader, RandomService, ServiceConfig
from entropy_assets.serving.streams import add_streams
from entropy_assets.stores.pool.client import PoolClient

DOCS_ASSETS: Final = FilePath(fastapi_offline.__file__).parent / "static"
"""Swagger UI's files: FastAPI's own page loads them from a public network, which a closed one does not have."""

SETTLE_S: Final = 1.0
"""Longest that a worker waits for its first lease before it takes connections, seconds."""
DOCS_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""People type API keys into that page."""

_DESCRIPTION: Final = """
Random bytes from the sensor noise of space images, each handed out once.

* `class=private` (the default): pool bytes XOR fresh bytes of this machine's generator. Unpredictable if either is.
* `class=public`: pool bytes as they are, with the blocks they were cut from. **Anyone can compute them from the
  images: never use them for keys.** `/blocks/{id}` says where a block comes from.

**Integers** come from the formats `uint8`, `uint16` (two bytes, big-endian) and `int` with `min` and `max`, by
rejection: take `max(1, ceil(bits / 8))` bytes, where `bits` is the bit length of `max - min`, as a big-endian number;
keep its lowest `bits` bits; if that is at most `max - min`, the next integer is `min` plus it, else drop it. The blocks
named are exactly the bytes that this reads, in order. Integers beyond 2^53 are written in full, which JavaScript's
numbers do not hold.

**`WebSocket /stream?class=private|public`** sends as many bytes as its client gave credit for. The client sends texts
`{"credit": N}` (bytes; they add up, to 16 MiB), the service binary messages of at most 64 KiB. In the public class a
text `{"n": ..., "blocks": "<id>:<start>-<end>,...", "simulated": ...}` names the ranges of blocks that the next `n`
bytes, 1 MiB at most, are in this order; they come in one or several messages. In the private class a text
`{"simulated": true|false}` comes when that changes; it is false at first. It is closed with 1013 when the pool is dry,
1008 when a quota is used up or a message is no credit, 1003 after a binary message, 1001 after a minute without credit
or without reading. Keys are sent with the handshake, as with every request. Pages of another origin are refused.
"""


def create_app(
    config: ServiceConfig,
    *,
    pool: PoolClient | None = None,
    provenance: ProvenanceReader | None = None,
    board: Board | None = None,
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
    board
        Where the workers of one service count; without it this process is the only one.
    """
    service = RandomService(config, pool, provenance, board)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        with worker_news():
            service.reservoir.start()
            service.gate.start()
            await service.reservoir.settle(SETTLE_S)
            try:
                yield
            finally:
                await service.gate.stop()
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
        redirect_slashes=False,  # behind a proxy it would lead out of TLS, and it repeats any Host
    )
    add_draws(app, service)
    seats = Seats(config.streams.most)
    add_downloads(app, service, seats)
    add_streams(app, service, seats)
    _add_reports(app, service)
    add_metrics(app, service)
    _add_provenance(app, service)
    _add_documents(app)
    add_page(app, service)
    _add_problems(app, service)
    add_gate(app, service.gate)
    add_error_log(app)
    if config.access_log:
        app.add_middleware(RequestLog)
    return MemoryFirst(app, service)


def _add_reports(app: FastAPI, service: RandomService) -> None:
    @app.get("/stats", summary="What was leased, served and lost", tags=["service"], dependencies=[admitted("stats")])
    async def stats() -> JSONResponse:
        """Return what was leased, served, burned and held here, and what the pool counts."""
        return JSONResponse(await service.stats(), headers=UNSTORED)

    @app.get(
        "/health",
        summary="Whether bytes can be had, and every reason why not",
        tags=["service"],
        responses={200: {"content": HEALTH}, 503: {"description": "Failing: no bytes can be had.", "content": HEALTH}},
    )
    async def health() -> JSONResponse:
        """Return whether bytes can be had, how fresh they are, and every reason for a doubt."""
        report = await service.health()
        return JSONResponse(report, 503 if report["status"] == "failing" else 200, UNSTORED)

    @app.get("/livez", summary="The process answers", tags=["service"])
    async def livez() -> JSONResponse:
        """Return at once if the process runs; asks nobody."""
        return JSONResponse({"status": "alive"}, headers=UNSTORED)

    @app.get(
        "/readyz",
        summary="The next request can be answered",
        tags=["service"],
        responses={503: problem_schema("not-ready")},
    )
    async def readyz() -> Response:
        """Return whether the next request can be served."""
        report = await service.health()
        if report["status"] == "failing":
            return problem("not-ready", "no bytes can be had at the moment", reasons=report["reasons"])
        return JSONResponse({"status": "ready"}, headers=UNSTORED)


def _add_provenance(app: FastAPI, service: RandomService) -> None:
    responses: dict[int | str, dict[str, Any]] = {
        404: problem_schema("unknown-block"),
        422: problem_schema("invalid-request"),
        503: problem_schema("ledger-error", "provenance-unavailable"),
    }

    @app.get(
        "/blocks/{block_id}",
        operation_id=FIND_BLOCK,
        summary="Where a block comes from",
        tags=["provenance"],
        responses=responses,
        dependencies=[admitted("provenance")],
    )
    async def block(block_id: Annotated[str, Path(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]) -> Any:
        """Return where a published block comes from: batch, images, link, verdict, run. Never its bytes."""
        found = await service.find_block(block_id)
        if found is None:
            return problem("unknown-block", f"no block {block_id} was published", block_id=block_id)
        return JSONResponse(found, headers=UNSTORED)


def _add_documents(app: FastAPI) -> None:
    app.mount("/docs-assets", StaticFiles(directory=DOCS_ASSETS), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="entropy_assets",
            swagger_js_url="/docs-assets/swagger-ui-bundle.js",
            swagger_css_url="/docs-assets/swagger-ui.css",
            swagger_favicon_url="/docs-assets/favicon.png",
        )
        page.headers.update(DOCS_HEADERS)
        return page

    @app.get("/problems/{code}", include_in_schema=False)
    async def explain(code: str) -> dict[str, Any]:
        if code not in PROBLEMS:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such type of problem")
        return {"type": f"/problems/{code}", **PROBLEMS[code]._asdict()}


def _told(message: str) -> str:
    """Return what is wrong without pydantic's word for who noticed."""
    return message.removeprefix("Value error, ")


def _limit(error: dict[str, Any]) -> dict[str, int]:
    """Return the limit that was passed, for programs: a client draws its bytes in parts of that length then."""
    most = error.get("ctx", {}).get("le")
    return {} if most is None else {"most": most}


def _add_problems(app: FastAPI, service: RandomService) -> None:
    @app.exception_handler(EntropyAssetsError)
    async def ours(_: HttpRequest, error: EntropyAssetsError) -> JSONResponse:
        if error.code in PROBLEMS:
            service.counts.add(f"refused_{error.code}")
        return problem_of(error, service.reservoir.retry_after_s(0))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: HttpRequest, error: RequestValidationError) -> JSONResponse:
        service.counts.add("refused_invalid-request")
        errors = [{"loc": list(each["loc"]), "msg": _told(each["msg"]), **_limit(each)} for each in error.errors()]
        return problem("invalid-request", "; ".join(_told(each["msg"]) for each in error.errors()), errors=errors)

    @app.exception_handler(HTTPException)
    async def plain(http: HttpRequest, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(sorted(_methods_at(http)))
        return plain_problem(error.status_code, str(error.detail), headers)


def _methods_at(http: HttpRequest) -> set[str]:
    """Return the methods of every route at this path; a route alone knows its own."""
    routes = [route for route in http.app.routes if route.matches(http.scope)[0] is not Match.NONE]
    return set().union(*(getattr(route, "methods", None) or () for route in routes))
