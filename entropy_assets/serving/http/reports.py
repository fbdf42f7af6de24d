"""``/stats``, ``/health``, ``/livez`` and ``/readyz``: what the service says of itself."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Response
from fastapi.routing import APIRoute

from entropy_assets.serving.http.admission import admitted
from entropy_assets.serving.http.problem_answers import JsonAnswer, problem
from entropy_assets.serving.problems import UNSTORED, problem_schema
from entropy_assets.serving.service import RandomService

_HEALTH_CONTENT: Final[Mapping[str, Any]] = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["status", "reasons", "pool", "freshness", "reservoir"],
            "properties": {
                "status": {"enum": ["ok", "degraded", "failing"]},
                "reasons": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["code", "detail"],
                        "properties": {"code": {"type": "string"}, "detail": {"type": "string"}},
                    },
                },
                "pool": {"type": "object"},
                "freshness": {"type": "object"},
                "reservoir": {"type": "object"},
            },
        }
    }
}
"""How OpenAPI describes `health_document`."""


def add_reports(app: FastAPI, service: RandomService) -> None:
    """Add ``/stats``, ``/health``, ``/livez`` and ``/readyz``."""

    @app.get("/stats", summary="What was leased, served and lost", tags=["service"], dependencies=[admitted("stats")])
    async def stats() -> JsonAnswer:
        """Return what was leased, served, burned and held here, and what the pool counts."""
        return JsonAnswer(await service.stats(), headers=UNSTORED)

    @app.get(
        "/health",
        summary="Whether bytes can be had, and every reason why not",
        tags=["service"],
        responses={
            200: {"content": _HEALTH_CONTENT},
            503: {"description": "Failing: no bytes can be had.", "content": _HEALTH_CONTENT},
        },
    )
    async def health() -> JsonAnswer:
        """Return whether bytes can be had, how fresh they are, and every reason for a doubt."""
        document = await service.health()
        return JsonAnswer(document, 503 if document["status"] == "failing" else 200, UNSTORED)

    @app.get("/livez", summary="The process answers", tags=["service"])
    async def livez() -> JsonAnswer:
        """Return at once if the process runs; asks nobody."""
        return JsonAnswer({"status": "alive"}, headers=UNSTORED)

    @app.get(
        "/readyz",
        summary="The next request can be answered",
        tags=["service"],
        responses={503: problem_schema("not-ready")},
    )
    async def readyz() -> Response:
        """Return whether the next request can be served."""
        document = await service.health()
        if document["status"] == "failing":
            return problem("not-ready", "no bytes can be had at the moment", reasons=document["reasons"])
        return JsonAnswer({"status": "ready"}, headers=UNSTORED)


def add_heads(app: FastAPI) -> None:
    """Answer HEAD, on the routes so far, as GET but for the body.

    Those that draw have a HEAD of their own, which consumes nothing.
    """
    routes = [(route, route.methods or ()) for route in app.routes if isinstance(route, APIRoute)]
    taken = {route.path for route, methods in routes if "HEAD" in methods}
    for route, methods in routes:
        if "GET" in methods and route.path not in taken:
            app.head(route.path, include_in_schema=False, dependencies=route.dependencies)(route.endpoint)
