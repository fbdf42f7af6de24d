"""What must hold of an answer before its bytes are used. Anything else is a typed error, and no byte of it is used."""

import json
import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from entropy_assets.client.endpoint import JSON, Endpoint, Reply
from entropy_assets.errors import (
    AnswerMalformed,
    BlockUnknown,
    EndpointDry,
    EndpointFailed,
    EndpointUnreachable,
    RequestRefused,
)

RAW: Final = "application/octet-stream"
BLOCK_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LONGEST_RETRY_S: Final = 3600.0
"""A longer Retry-After is taken for this, seconds: one odd answer must not retire an endpoint for good."""
LONGEST_DOCUMENT: Final = 2**22
LONGEST_ANSWER: Final = 2**26
"""Bytes that are read of one answer at most: an answer without a length must not fill the memory."""
SHOWN_DETAIL: Final = 200
"""Characters of a service's own words that an error repeats."""

_CUT: Final = re.compile(rf"({BLOCK_ID.pattern}):(\d{{1,9}})-(\d{{1,9}})")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Cut(NamedTuple):
    """Bytes `start` to `end`, end not included, of a published block."""

    block_id: str
    start: int
    end: int


class Part(NamedTuple):
    """The bytes of one answer, whether a simulated camera is behind them, and of public ones their blocks.

    ``reveals_at`` says when these blocks will have revealed; empty if the service did not say it.
    """

    data: bytes
    blocks: tuple[Cut, ...]
    simulated: bool
    reveals_at: str = ""

    def __repr__(self) -> str:
        return f"Part({len(self.data)} bytes)"


def random_part(endpoint: Endpoint, n: int, *, public: bool, all_at_once: bool = False) -> Part:
    """Draw up to `n` bytes: as many as the endpoint gives in one answer; with `all_at_once` all of them or none.

    Raises
    ------
    RequestRefused
        If the service understood and refuses, or would not give `all_at_once`.
    EndpointFailed
        If it has no bytes, does not answer, or answers something else.
    """
    wanted = n if all_at_once else min(n, endpoint.longest)
    reply = _random_reply(endpoint, wanted, public)
    limit = _named_limit(reply)
    if limit is not None and limit < wanted and not all_at_once:
        endpoint.longest = wanted = limit
        reply = _random_reply(endpoint, wanted, public)
    _require_success(endpoint, reply)
    return _checked_part(endpoint, reply, wanted, "public" if public else "private")


def _random_reply(endpoint: Endpoint, n: int, public: bool) -> Reply:
    query = f"class={'public' if public else 'private'}&format=raw"
    return endpoint.get(f"/random/{n}?{query}", RAW, max(min(n, LONGEST_ANSWER), SHOWN_DETAIL * 80))


def _checked_part(endpoint: Endpoint, reply: Reply, n: int, answer_class: str) -> Part:
    if (kind := _single(endpoint, reply, "Content-Type")) != RAW:
        raise _malformed(endpoint, f"content of type {_shown(endpoint, kind)} instead of {RAW}")
    if (encoding := reply.headers.get("Content-Encoding", "identity")) != "identity":
        raise _malformed(endpoint, f"content encoded as {_shown(endpoint, encoding)}, which nobody asked for")
    if (given := _single(endpoint, reply, "X-Entropy-Class")) != answer_class:
        raise _malformed(endpoint, f"bytes of class {_shown(endpoint, given)} instead of {answer_class}")
    if len(reply.body) != n:
        raise _malformed(endpoint, f"{'more' if len(reply.body) > n else 'fewer'} than the {n} bytes asked for")
    cuts = _cuts(endpoint, reply, n) if answer_class == "public" else ()
    return Part(reply.body, cuts, reply.headers.get("X-Entropy-Simulated") == "true", _reveals_at(endpoint, reply))


def _reveals_at(endpoint: Endpoint, reply: Reply) -> str:
    moment = reply.headers.get("X-Entropy-Reveals-At", "")
    if moment and _MOMENT.fullmatch(moment) is None:
        raise _malformed(endpoint, f"blocks that reveal at {_shown(endpoint, moment)}, which is no moment")
    return moment


def _cuts(endpoint: Endpoint, reply: Reply, n: int) -> tuple[Cut, ...]:
    cuts = []
    for cut in _single(endpoint, reply, "X-Entropy-Blocks").split(","):
        if (match := _CUT.fullmatch(cut)) is None:
            raise _malformed(endpoint, "public bytes without a list of their blocks")
        cuts.append(Cut(match[1], int(match[2]), int(match[3])))
    if any(cut.start >= cut.end for cut in cuts) or sum(cut.end - cut.start for cut in cuts) != n:
        raise _malformed(endpoint, f"a list of blocks that does not add up to the {n} bytes that it names")
    return tuple(cuts)


def provenance_of(endpoint: Endpoint, block_id: str) -> dict[str, Any]:
    """Return what the service knows of a block.

    Raises
    ------
    BlockUnknown
        If it published none of that name.
    RequestRefused, EndpointFailed
        As `random_part`.
    """
    reply = endpoint.get(f"/blocks/{block_id}", JSON, LONGEST_DOCUMENT)
    if reply.status == 404 and (facts := _problem_facts(endpoint, reply)):
        raise BlockUnknown(f"{endpoint.address} published no block {block_id}", block_id=block_id, **facts)
    document = _document(endpoint, reply, "provenance")
    if document.get("block_id") != block_id:
        raise _malformed(endpoint, "the provenance of another block, or none")
    return document


def stats_of(endpoint: Endpoint) -> dict[str, Any]:
    """Return what the service and its pool hold and have given out; errors as `random_part`."""
    return _document(endpoint, endpoint.get("/stats", JSON, LONGEST_DOCUMENT), "statistics")


def _document(endpoint: Endpoint, reply: Reply, kind: str) -> dict[str, Any]:
    _require_success(endpoint, reply)
    is_json = _single(endpoint, reply, "Content-Type").partition(";")[0] == JSON
    document = _object(reply.body) if is_json and len(reply.body) <= LONGEST_DOCUMENT else {}
    if not document:
        raise _malformed(endpoint, f"something else than a {kind} document")
    return document


def _require_success(endpoint: Endpoint, reply: Reply) -> None:
    """Raise what the status says.

    401, 403 and 422 are raised rather than asked elsewhere: a key that one service does not know, or a wish that can't
    be granted, is a mistake to be seen and no outage.
    """
    if reply.status == 200:
        return
    facts: dict[str, Any] = {"endpoint": str(endpoint.address), "status": reply.status}
    problem = _problem_facts(endpoint, reply)
    if reply.status in (401, 403, 422):
        refusal = {"type": "about:blank", "detail": "no reason given", **problem}
        raise RequestRefused(
            f"{endpoint.address} refuses with status {reply.status}: {refusal['detail']}", **refusal, **facts
        )
    raise _failure(endpoint, reply, {**facts, **problem})


def _failure(endpoint: Endpoint, reply: Reply, facts: dict[str, Any]) -> EndpointFailed:
    reason = f"status {reply.status}"
    if reply.status in (429, 503):
        reason += ", quota spent" if reply.status == 429 else ", not ready"
        facts["retry_after_s"] = _retry_after_s(reply)
        return EndpointDry(f"{endpoint.address}: {reason}", reason=reason, **facts)
    if reply.status >= 500:
        return EndpointUnreachable(f"{endpoint.address} answers {reason}", reason=reason, **facts)
    return AnswerMalformed(f"{endpoint.address} answers {reason} instead of what was asked for", reason=reason, **facts)


def _malformed(endpoint: Endpoint, reason: str) -> AnswerMalformed:
    return AnswerMalformed(f"{endpoint.address} answers {reason}", endpoint=str(endpoint.address), reason=reason)


def _single(endpoint: Endpoint, reply: Reply, name: str) -> str:
    values = reply.headers.get_all(name, [])
    if len(values) != 1:
        raise _malformed(endpoint, f"{len(values)} headers {name} instead of one")
    return str(values[0])


def _retry_after_s(reply: Reply) -> float | None:
    value = str(reply.headers.get("Retry-After", "")).strip()
    if value.isascii() and value.isdigit():
        return min(LONGEST_RETRY_S, float(value))
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the second of a day or year with many digits
        return None
    left = (when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.now(UTC)
    return min(LONGEST_RETRY_S, max(0.0, math.ceil(left.total_seconds())))


def _named_limit(reply: Reply) -> int | None:
    """Return the most bytes of one request, if this refusal names it."""
    errors = _problem(reply).get("errors") if reply.status == 422 else None
    for error in errors if isinstance(errors, list) else ():
        most = error.get("most") if isinstance(error, dict) and error.get("loc") == ["path", "n"] else None
        if type(most) is int and most > 0:
            return most
    return None


def _problem(reply: Reply) -> dict[str, Any]:
    kind = str(reply.headers.get("Content-Type", ""))
    return _object(reply.body) if kind.partition(";")[0] == "application/problem+json" else {}


def _problem_facts(endpoint: Endpoint, reply: Reply) -> dict[str, str]:
    """Return what a problem document says of itself, as it may be shown; empty if the answer is none."""
    problem = _problem(reply)
    return {name: _shown(endpoint, problem[name]) for name in ("type", "title", "detail") if name in problem}


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _shown(endpoint: Endpoint, said: object) -> str:
    """Return what a service said, short and printable, and without the key should it repeat that."""
    text = endpoint.without_key(str(said))[:SHOWN_DETAIL]
    return "".join(character if character.isprintable() else "?" for character in text)
