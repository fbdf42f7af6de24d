"""``GET /random/{n}`` from memory: what is written the usual way and can be answered at once, without an await.

Both front ends ask it: `MemoryFirst` under any ASGI server, and `fast_lane.FastLane` inside uvicorn's protocol.
What it leaves, every odd spelling and every refusal, FastAPI answers.
"""

from typing import Any, Final, NamedTuple

from entropy_assets.serving.draws import NOTHING
from entropy_assets.serving.formats import Format, Request, headers_of, known_queries, mixed
from entropy_assets.serving.origins import OWN, SITE
from entropy_assets.serving.service import RandomService

PREFIX: Final = "/random/"
MOST_PLANS: Final = 4096
SIMULATED: Final = (b"x-entropy-simulated", b"true")
Headers = list[tuple[bytes, bytes]]


class Plan(NamedTuple):
    """What a target asks for, and all of a raw answer's head that is known beforehand.

    Attributes
    ----------
    n
        Bytes.
    request
        Class and format.
    headers, lines
        Of a raw answer: as ASGI wants them, and as they are sent.
    """

    n: int
    request: Request
    headers: Headers
    lines: bytes


class Hot(NamedTuple):
    """An answer: what its plan knew of its head, the rest of its head, and its body."""

    headers: Headers
    lines: bytes
    more: Headers
    body: bytes


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
        self._plans: dict[bytes, Plan] = {}

    def plan(self, target: bytes) -> Plan | None:
        """Return what a GET of `target`, path and query as they came, asks for; None if it is not for memory."""
        plan = self._plans.get(target)
        if plan is None:
            plan = self._plan_of(target)
            if plan is not None:
                if len(self._plans) >= MOST_PLANS:  # somebody asks for every length there is
                    self._plans.clear()
                self._plans[target] = plan
        return plan

    def _plan_of(self, target: bytes) -> Plan | None:
        path, _, query = target.decode("latin-1").partition("?")
        request = self._queries.get(query.encode("latin-1"))
        digits = path.removeprefix(PREFIX)
        if request is None or digits == path or not (digits.isascii() and digits.isdigit() and len(digits) < 8):
            return None
        n = int(digits)
        if not 0 < n <= self._longest:
            return None
        headers = headers_of("raw", n, NOTHING, request)
        return Plan(n, request, headers, lines_of(headers))

    def answer(self, plan: Plan, headers: Headers, address: str) -> Hot | None:
        """Return the answer; None, with nothing consumed or counted, if it can't be given at once.

        Parameters
        ----------
        plan
            What is asked for.
        headers
            Names in lower case, and values.
        address
            The client's network address; empty if unknown.
        """
        n, request, fixed, lines = plan
        chosen = _format_at_once(headers, request.format)
        if chosen is None:
            return None
        more: Headers = []
        if not self._gate.is_open:
            # first whether there is anything to be had: what the gate has taken it does not give back
            if not self._reservoir.holds(n) or not (admission := self._gate.admit_at_once(headers, address, "draw", n)):
                return None
            more = [*admission.headers]
        if chosen == "raw" and (piece := self._reservoir.take_piece(n, request.public)) is not None:
            data, cut, simulated = piece
            if request.public:
                more.append((b"x-entropy-blocks", cut))
            if simulated:
                more.append(SIMULATED)
            return Hot(fixed, lines, more, data if request.public else mixed(data))
        answer = self._service.answer_at_once(n, request, chosen)
        return answer and Hot(answer.headers, lines_of(answer.headers), more, answer.body)


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

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http" and scope["method"] == "GET":
            answer = self._from_memory(scope)
            if answer is not None:
                headers = answer.headers + answer.more
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": answer.body})
                return
        await self.app(scope, receive, send)

    def _from_memory(self, scope: Any) -> Hot | None:
        query = scope["query_string"]
        path: bytes = scope["raw_path"]
        plan = self.hot_path.plan(b"%b?%b" % (path, query) if query else path)
        client = scope["client"]
        return plan and self.hot_path.answer(plan, scope["headers"], client[0] if client else "")


def lines_of(headers: Headers) -> bytes:
    """Return `headers` as they are sent."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def _format_at_once(headers: Headers, chosen: Format | None) -> Format | None:
    """Return the format that was chosen, or raw if anything will do; None if that takes a closer look."""
    anything = True
    for name, value in headers:
        if name == b"accept":
            anything = value == b"*/*"
        elif name == SITE and value not in OWN:
            return None
    return chosen or ("raw" if anything else None)
