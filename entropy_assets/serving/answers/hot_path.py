"""``GET /random/{n}`` from memory: what is written the usual way and can be answered at once, without an await.

Both front ends ask it: `http.app.MemoryFirst` under any ASGI server, and `server.fast_lane.FastLane` inside uvicorn's
protocol.
What it leaves, every odd spelling and every refusal, FastAPI answers.
"""

from typing import Final, NamedTuple

from entropy_assets.serving.access.allowances import Admission, Headers
from entropy_assets.serving.access.gate import Gate
from entropy_assets.serving.access.hosts import Hosts
from entropy_assets.serving.access.origins import OWN_SITES, SITE_HEADER
from entropy_assets.serving.answers.formats import AnswerKind, Format, encode, headers_of, known_queries
from entropy_assets.serving.answers.mixing import mixed
from entropy_assets.serving.reservoir.reservoir import Reservoir, Reservoirs
from entropy_assets.serving.reservoir.stock import NOTHING

_PREFIX: Final = "/random/"
_MOST_PLANS: Final = 4096
_SIMULATED: Final = (b"x-entropy-simulated", b"true")
HotAnswer = tuple[Headers, bytes, Headers, bytes]
"""What its plan knew of its head, as ASGI wants it and as it is sent; the rest of its head; its body."""


class Plan(NamedTuple):
    """What a target asks for, and all of a raw answer's head that is known beforehand.

    Attributes
    ----------
    n
        Bytes.
    kind
        Class and format.
    headers, lines
        Of a raw answer: as ASGI wants them, and as they are sent.
    """

    n: int
    kind: AnswerKind
    headers: Headers
    lines: bytes


class HotPath:
    """Answers from what the reservoir holds.

    Parameters
    ----------
    reservoirs
        Where the bytes are.
    gate
        Who is let in.
    longest
        Longest answer, bytes.
    hosts
        The names that the service goes by; None if it answers to any.
    """

    def __init__(self, reservoirs: Reservoirs, gate: Gate, longest: int, hosts: Hosts | None = None) -> None:
        self._public, self._private = reservoirs.public, reservoirs.private
        self._gate = gate
        self._hosts = hosts
        self._queries = known_queries()
        self._longest = longest
        self._plans: dict[bytes, Plan] = {}

    def answer(self, target: bytes, headers: Headers, address: str) -> HotAnswer | None:
        """Return the answer; None, with nothing consumed or counted, if it can't be given at once.

        Parameters
        ----------
        target
            Path and query of a GET, as they came.
        headers
            Names in lower case, and values.
        address
            The client's network address; empty if unknown.
        """
        plan = self._plans.get(target) or self._new_plan(target)
        if plan is None:
            return None
        n, kind, fixed, lines = plan
        asked = kind.format
        if not self._are_usual(headers, asked):
            return None
        more: Headers = []
        public = kind.public
        reservoir = self._public if public else self._private
        if not self._gate.admits_everybody:
            admission = self._admission(reservoir, n, headers, address)
            if admission is None:
                return None
            more = [*admission.headers]
        chosen = asked or "raw"
        if chosen == "raw" and (piece := reservoir.take_piece(n)) is not None:
            data, cut, simulated, reveals_at = piece
            if simulated:
                more.append(_SIMULATED)
            if not public:
                return fixed, lines, more, mixed(data)
            more.append((b"x-entropy-blocks", cut))
            more.append((b"x-entropy-reveals-at", reveals_at.encode()))
            return fixed, lines, more, data
        draw = reservoir.take(n)
        if draw is None:
            return None
        answer = encode(draw, kind, chosen)
        return answer.headers, lines_of(answer.headers), more, answer.body

    def _are_usual(self, headers: Headers, asked: Format | None) -> bool:
        """Tell whether `headers` name this service, once, and nothing in them decides about the answer."""
        hosts, named = self._hosts, 0
        for name, value in headers:
            if name == b"host" and hosts is not None:
                if value not in hosts.known and not hosts.has(value):
                    return False
                named += 1
            elif (name == b"accept" and value != b"*/*" and asked is None) or (
                name == SITE_HEADER and value not in OWN_SITES
            ):
                return False
        return named == 1 or hosts is None

    def _admission(self, reservoir: Reservoir, n: int, headers: Headers, address: str) -> Admission | None:
        # first whether there is anything to be had: what the gate has taken it does not give back
        return self._gate.admit_at_once(headers, address, "draw", n) if reservoir.holds(n) else None

    async def more_for(self, target: bytes, headers: Headers, address: str) -> bool:
        """Wait a little for bytes if `answer` had too few; tell whether it may have enough now.

        Nothing is leased for who was never let in, or for another site's page.
        """
        plan = self._plans.get(target)
        if any(name == SITE_HEADER and value not in OWN_SITES for name, value in headers):
            return False
        if plan is None:
            return False
        reservoir = self._public if plan.kind.public else self._private
        if reservoir.buffered_bytes >= plan.n or not self._gate.knows(headers, address, "draw"):
            return False
        return await reservoir.more(plan.n)

    def _new_plan(self, target: bytes) -> Plan | None:
        """Return what a GET of `target` asks for, and remember it; None if it is not for memory."""
        plan = self._plan_of(target)
        if plan is not None:
            if len(self._plans) >= _MOST_PLANS:  # somebody asks for every length there is
                self._plans.clear()
            self._plans[target] = plan
        return plan

    def _plan_of(self, target: bytes) -> Plan | None:
        path, _, query = target.decode("latin-1").partition("?")
        kind = self._queries.get(query.encode("latin-1"))
        digits = path.removeprefix(_PREFIX)
        if kind is None or digits == path or not (digits.isascii() and digits.isdigit() and len(digits) < 8):
            return None
        n = int(digits)
        if not 0 < n <= self._longest:
            return None
        headers = headers_of("raw", n, NOTHING, kind)
        return Plan(n, kind, headers, lines_of(headers))


def lines_of(headers: Headers) -> bytes:
    """Return `headers` as they are sent."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])
