"""The page for people at ``/``, the page of the OpenAPI description, and what explains each type of problem.

The page is a few files without a build step. They load nothing from elsewhere, and the browser is told to refuse it
if they tried, or if text from an image's name became anything but text.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import fastapi_offline
from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from entropy_assets.serving.problems import PROBLEMS

PAGE: Final = Path(__file__).parent / "page"

DOCS_ASSETS: Final = Path(fastapi_offline.__file__).parent / "static"
"""Swagger UI's files: FastAPI's own page loads them from a public network, which a closed one does not have."""
DOCS_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""People type API keys into that page."""
_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
_DOCS_FILES: Final = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
    "Vary": "Accept",
}
_INDEX: Final = {
    "service": "entropy_assets",
    "draw": "/random/32",
    "draw_public": "/random/32?class=public&format=json",
    "stats": "/stats",
    "health": "/health",
    "batches": "/batches",
    "docs": "/docs",
}


def add_page(app: FastAPI) -> None:
    """Add the page at ``/`` with its files."""
    for path in sorted(PAGE.iterdir()):
        if path.suffix in (".js", ".css"):
            app.get(f"/page/{path.name}", include_in_schema=False)(_file(path))
    page = _file(PAGE / "index.html")

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def index(request: Request) -> Response:
        if wants_page(request.headers.get("accept", "")):
            return await page(request)
        return JSONResponse(_INDEX, headers={"Vary": "Accept"})


def wants_page(accept: str) -> bool:
    """Tell whether an Accept header is that of a browser: it names HTML and no JSON."""
    return "text/html" in accept.lower() and "application/json" not in accept.lower()


def _file(path: Path) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler that gives a file of the page, read once."""
    body = path.read_bytes()
    headers = {**PAGE_HEADERS, "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"'}

    async def handler(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=_TYPES[path.suffix])

    return handler


def add_documents(app: FastAPI) -> None:
    """Add ``/openapi.json``, ``/docs`` with its files, and ``/problems/{code}``.

    All is made once and kept: anybody may ask for it, and as often as they like.
    """
    for name in _DOCS_FILES:
        app.get(f"/docs-assets/{name}", include_in_schema=False)(_file(DOCS_ASSETS / name))
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="entropy_assets",
        swagger_js_url="/docs-assets/swagger-ui-bundle.js",
        swagger_css_url="/docs-assets/swagger-ui.css",
        swagger_favicon_url="/docs-assets/favicon.png",
    ).body

    @cache
    def description() -> bytes:
        return bytes(JSONResponse(app.openapi()).body)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return Response(description(), media_type="application/json")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page, headers=DOCS_HEADERS)

    @app.get("/problems/{code}", include_in_schema=False)
    async def explain(code: str) -> dict[str, Any]:
        if code not in PROBLEMS:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such type of problem")
        return {"type": f"/problems/{code}", **PROBLEMS[code]._asdict()}
