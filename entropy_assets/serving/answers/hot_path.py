"""``GET /random/{n}`` from memory: what is written the usual way and can be answered at once, without an await.

Both front ends ask it: `http.app.MemoryFirst` under any ASGI server, and `server.fast_lane.FastLane` inside uvicorn's
protocol.
What it leaves, every odd spelling and every refusal, FastAPI answers.
"""

from hashlib import blake2b
from typing import Final, NamedTuple

from entropy_assets.serving.access.allowances import Admission, Headers, lines_of
from entropy_assets.serving.access.gate import Gate, caller_in
from entropy_assets.serving.access.hosts import Hosts
from entropy_assets.serving.access.origins import OWN_SITES, SITE_HEADER
from entropy_assets.serving.answers.formats import AnswerKind, Format, encode, headers_of, known_queries
from entropy_assets.serving.answers.mixing import mixed
from entropy_assets.serving.reservoir.reservoir import Reservoir, Reservoirs
from entropy_assets.serving.reservoir.stock import NOTHING, Piece

_PREFIX: Final = "/random/"
_MOST_PLANS: Final = 4096
_MOST_REQUESTS: Final = 1024
_LONGEST_REQUEST: Final = 1024
_SIMULATED: Final = (b"x-entropy-simulated", b"true")
_NO_SECRETS: Final = frozenset(
    (b"host", b"accept", b"accept-encoding", b"accept-language", b"connection", b"user-agent", SITE_HEADER)
)
"""Headers that may lie in memory after their request."""


class Plan(NamedTuple):
    """What a target asks for, and all of a raw answer's head that is known beforehand.

    Attributes
    ----------
    n
        Bytes.
    kind
        Class and format.
    reservoir
        Where they come from.
    is_raw
        Whether they are sent as they are, if nothing is said of the format but by the target.
    headers, lines
        Of a raw answer: as ASGI wants them, and as they are sent.
    """

    n: int
    kind: AnswerKind
    reservoir: Reservoir
    is_raw: bool
    headers: Headers
    lines: bytes


HotRequest = tuple[Plan, bytes | None]
"""All of a request that decides about its answer, but for the client's address: a plan, and `gate.caller_in`."""
Taken = tuple[Headers, bytes, Admission | None, Piece | None, bytes]
"""An answer before it is written: what its plan knew of its head, as ASGI wants it and as it is sent; leave to have it,
None if none is needed; what was cut for it, None if that head says it all; and its body."""


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
        self._reservoirs = reservoirs
        self._gate = gate
        self._hosts = hosts
        self._queries = known_queries()
        self._longest = longest
        self._plans: dict[bytes, Plan] = {}
        self._requests: dict[bytes, HotRequest] = {}
        self._digests: dict[bytes, HotRequest] = {}

    def answer(self, target: bytes, headers: Headers, address: str) -> tuple[Headers, bytes] | None:
        """Return headers and body of the answer; None, with nothing consumed or counted, if it can't be given at once.

        Parameters
        ----------
        target
            Path and query of a GET, as they came.
        headers
            Names in lower case, and values.
        address
            The client's network address; empty if unknown.
        """
        asked = self.asked(target, headers)
        taken = None if asked is None else self.take(asked, address)
        return None if taken is None else (_headers_of(taken), taken[4])

    def asked(self, target: bytes, headers: Headers) -> HotRequest | None:
        """Return what a GET asks for; None if it is not written the usual way, and so not for memory."""
        plan = self._plans.get(target) or self._new_plan(target)
        if plan is None or not self._are_usual(headers, plan.kind.format):
            return None
        return plan, None if self._gate.admits_everybody else caller_in(headers)

    def take(self, asked: HotRequest, address: str) -> Taken | None:
        """Return the answer to what was asked from `address`; None, with nothing consumed or counted, as `answer`."""
        plan, caller = asked
        n, kind, reservoir, is_raw, headers, lines = plan
        admission = None
        if not self._gate.admits_everybody:
            admission = self._gate.admit_at_once(caller, address, "draw", n)
            if admission is None:
                return None
        if is_raw and (piece := reservoir.take_piece(n)) is not None:
            data = piece[0]
            return headers, lines, admission, piece, data if kind.public else mixed(data)
        draw = reservoir.take(n)
        if draw is None:
            if admission is not None and admission.account is not None:
                admission.account.undo(1, n)
            return None
        headers, body = encode(draw, kind, kind.format or "raw")
        return headers, lines_of(headers), admission, None, body

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

    async def more_for(self, target: bytes, headers: Headers, address: str) -> bool:
        """Wait a little for bytes if `answer` had too few; tell whether it may have enough now.

        Nothing is leased for who was never let in, or for another site's page.
        """
        plan = self._plans.get(target)
        if any(name == SITE_HEADER and value not in OWN_SITES for name, value in headers):
            return False
        if plan is None:
            return False
        reservoir = plan.reservoir
        if reservoir.buffered_bytes >= plan.n or not self._gate.knows(caller_in(headers), address, "draw"):
            return False
        return await reservoir.more(plan.n)

    # --- requests that come again, byte for byte -----------------------------------------------------------------

    def known(self, request: bytes) -> HotRequest | None:
        """Return what these bytes ask for where a parser awaits a request, None if that was not remembered.

        What stands in a request is decided by its bytes alone, so what was read out of them once is in them again.
        """
        asked = self._requests.get(request)
        if asked is None and self._digests and len(request) <= _LONGEST_REQUEST:
            asked = self._digests.get(blake2b(request).digest())
        return asked

    def remember(self, request: bytes, headers: Headers, asked: HotRequest) -> None:
        """Remember what `request` asks for: one whole request, with these headers, and nothing else.

        By its digest if it has headers that may be secret: no key lies in memory for longer than its request.
        """
        if len(request) > _LONGEST_REQUEST:
            return
        has_no_secrets = all(name in _NO_SECRETS for name, _ in headers)
        kept = self._requests if has_no_secrets else self._digests
        if len(kept) >= _MOST_REQUESTS:  # somebody writes each one in another way
            kept.clear()
        # the gate may have been open to everybody when it was asked, and closed since
        kept[request if has_no_secrets else blake2b(request).digest()] = asked[0], caller_in(headers)

    # --- plans ---------------------------------------------------------------------------------------------------

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
        reservoir = self._reservoirs.of(public=kind.public)
        return Plan(n, kind, reservoir, kind.format in (None, "raw"), headers, lines_of(headers))


def _headers_of(taken: Taken) -> Headers:
    """Return all headers of an answer, in a list of its own."""
    headers, _, admission, piece, _ = taken
    headers = [*headers] if admission is None else headers + admission.headers
    if piece is not None:
        _, block_id, start, end, simulated, reveals_at = piece
        if simulated:
            headers.append(_SIMULATED)
        if reveals_at:  # a private one never does, and names no block
            origin = (b"x-entropy-blocks", f"{block_id}:{start}-{end}".encode())
            headers += (origin, (b"x-entropy-reveals-at", reveals_at.encode()))
    return headers


def lines_beside(taken: Taken) -> bytes:
    """Return what `HotPath.answer` adds to the headers of the plan, as it is sent, with the end of the head."""
    _, _, admission, piece, _ = taken
    lines = b"\r\n" if admission is None else admission.lines + b"\r\n"
    if piece is None:
        return lines
    _, block_id, start, end, simulated, reveals_at = piece
    if simulated:
        return lines_of(_headers_of(taken)[len(taken[0]) :]) + b"\r\n"
    if reveals_at:
        origin = f"x-entropy-blocks: {block_id}:{start}-{end}\r\nx-entropy-reveals-at: {reveals_at}\r\n\r\n".encode()
        return origin if admission is None else admission.lines + origin
    return lines
