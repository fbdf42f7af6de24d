"""What the log tells of requests: failures that nobody foresaw, and if wanted each one that memory does not answer."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI, Request

from entropy_assets.serving.http.problem_answers import JsonAnswer, failure, log_unforeseen, request_facts
from entropy_assets.serving.logs import log_event

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def add_error_log(app: FastAPI) -> None:
    """Answer what nobody foresaw with a plain 500, and log it under a number that the answer names."""

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JsonAnswer:
        # Starlette raises it again behind the answer, and uvicorn closes the connection: the answer says so.
        return failure(log_unforeseen(request.scope, error), close=True)


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
            log_event("request", **request_facts(scope), status=status, took_ms=took_ms)
