"""The page for people, and the newest batches that it shows.

The page is a few files without a build step. They load nothing from elsewhere, and the browser is told to refuse it
if they tried, or if text from an image's name became anything but text.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse

from entropy_assets.errors import ProvenanceUnavailable
from entropy_assets.serving.gate import admitted
from entropy_assets.serving.problems import problem_schema
from entropy_assets.serving.service import FIND_BLOCK, ProvenanceReader, RandomService

PAGE: Final = Path(__file__).parent / "page"
USUAL_BATCHES: Final = 10
MOST_BATCHES: Final = 50
FRESH_S: Final = 1.0
"""How long an answer of ``/batches`` is given again, seconds: reading them costs files, and every open page asks."""

_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_TO_BLOCK: Final = {
    "operationId": FIND_BLOCK,
    "parameters": {"block_id": "$response.body#/batches/0/block_ids/0"},
    "description": "Where a block of the newest batch comes from.",
}
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


class RecentBatches:
    """The newest batches, read at most twice in `FRESH_S` however many ask: the usual number, and the most.

    Parameters
    ----------
    provenance
        Who is asked, if anybody knows.
    clock
        Seconds that never step back.
    """

    def __init__(self, provenance: ProvenanceReader | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._provenance = provenance
        self._clock = clock
        self._reading = asyncio.Lock()
        self._known: list[dict[str, Any]] = []
        self._read_for = 0
        self._read_at = 0.0

    async def newest(self, limit: int) -> list[dict[str, Any]]:
        """Return up to `limit` batches, newest first.

        Raises
        ------
        ProvenanceUnavailable
            If the service has no ledger.
        LedgerError
            If it can't be read.
        """
        if self._provenance is None:
            raise ProvenanceUnavailable("this service was started without a ledger, so it knows no batches")
        async with self._reading:
            if self._read_for < limit or self._clock() - self._read_at > FRESH_S:
                wanted = USUAL_BATCHES if limit <= USUAL_BATCHES else MOST_BATCHES
                self._known = await asyncio.to_thread(self._provenance.recent, wanted)
                self._read_for, self._read_at = wanted, self._clock()
            return self._known[:limit]


def add_page(app: FastAPI, service: RandomService) -> None:
    """Add the page at ``/`` with its files, and ``/batches``."""
    _add_batches(app, RecentBatches(service.provenance), service.config.dagster_url)
    for path in sorted(PAGE.iterdir()):
        if path.suffix in (".js", ".css"):
            app.get(f"/page/{path.name}", include_in_schema=False)(_file(path))
    page = _file(PAGE / "index.html")

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def index(http: Request) -> Response:
        if wants_page(http.headers.get("accept", "")):
            return await page(http)
        return JSONResponse(_INDEX, headers={"Vary": "Accept"})


def _add_batches(app: FastAPI, recent: RecentBatches, dagster_url: str | None) -> None:
    @app.get(
        "/batches",
        summary="The newest batches",
        tags=["provenance"],
        dependencies=[admitted("provenance")],
        responses={
            200: {"links": {"block": _TO_BLOCK}},
            422: problem_schema("invalid-request"),
            503: problem_schema("ledger-error", "provenance-unavailable"),
        },
    )
    async def batches(
        limit: Annotated[int, Query(ge=1, le=MOST_BATCHES, description="Batches wanted.")] = USUAL_BATCHES,
    ) -> JSONResponse:
        """Return the newest batches, newest first: images with their verdicts, blocks in numbers. Never bytes."""
        found = {"batches": await recent.newest(limit), "dagster_url": dagster_url}
        return JSONResponse(found, headers={"Cache-Control": "no-store"})


def wants_page(accept: str) -> bool:
    """Tell whether an Accept header is that of a browser: it names HTML and no JSON."""
    return "text/html" in accept.lower() and "application/json" not in accept.lower()


def _file(path: Path) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler that gives a file of the page, read once."""
    body = path.read_bytes()
    headers = {**PAGE_HEADERS, "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"'}

    async def handler(http: Request) -> Response:
        if http.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=_TYPES[path.suffix])

    return handler
