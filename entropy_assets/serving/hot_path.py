"""``GET /random/{n}`` from memory: what is written the usual way and can be answered at once, without an await.

Both front ends ask it first: `MemoryFirst` under any ASGI server, and `fast_lane.FastLane` inside uvicorn's protocol.
What it leaves, every odd spelling and every refusal, FastAPI answers.
"""

from typing import Any

from entropy_assets.serving.formats import Answer, Format, known_queries
from entropy_assets.serving.service import RandomService

PREFIX = "/random/"
Headers = list[tuple[bytes, bytes]]


class HotPath:
    """Answers from what the reservoir holds.

    Parameters
    ----------
    service
        Where the bytes and the counts are.
    """

    def __init__(self, service: RandomService) -> None:
        self._service = service
        self._reservoir = service.reservoir
        self._gate = service.gate
        self._queries = known_queries()
        self._longest = service.config.max_request_bytes
        self._numbers = {str(n): n for n in range(1, 1025)}  # dictionary look-up is the fastest way to read a number

    def answer(self, path: str, query: bytes, headers: Headers, address: str) -> Answer | None:
        """Return the answer to a GET; None, with nothing consumed or counted, if it is not one for memory.

        Parameters
        ----------
        path
            Path, percent-decoded.
        query
            Query string as it came.
        headers
            Names in lower case, and values.
        address
            The client's network address; empty if unknown.
        """
        request = self._queries.get(query)
        if request is None or path[:8] != PREFIX:
            return None
        digits = path[8:]
        n = self._numbers.get(digits) or _number(digits)
        if not 0 < n <= self._longest:
            return None
        chosen = request.format or _raw_if_anything_will_do(headers)
        if chosen is None or not self._reservoir.holds(n):
            return None
        if self._gate.is_open:
            return self._service.answer_at_once(n, request, chosen)
        admission = self._gate.admit_at_once(headers, address, "draw", n)
        if admission is None:
            return None
        answer = self._service.answer_at_once(n, request, chosen)
        return answer and answer._replace(headers=[*answer.headers, *admission.headers])


class MemoryFirst:
    """The ASGI application: memory first, FastAPI for all else.

    Parameters
    ----------
    app
        The FastAPI application.
    service
        Where the bytes are.
    """

    def __init__(self, app: Any, service: RandomService) -> None:
        self.app = app
        self.service = service
        self.hot_path = HotPath(service)
        self._answer = self.hot_path.answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http" and scope["method"] == "GET":
            client = scope["client"]
            address = client[0] if client else ""
            answer = self._answer(scope["path"], scope["query_string"], scope["headers"], address)
            if answer is not None:
                await send({"type": "http.response.start", "status": 200, "headers": answer.headers})
                await send({"type": "http.response.body", "body": answer.body})
                return
        await self.app(scope, receive, send)


def _number(digits: str) -> int:
    """Return the number that is written the usual way, 0 for every other spelling."""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 8 else 0


def _raw_if_anything_will_do(headers: Headers) -> Format | None:
    for name, value in headers:
        if name == b"accept":
            return "raw" if value == b"*/*" else None
    return "raw"
