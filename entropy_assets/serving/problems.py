"""The types of problems (RFC 9457), each with a stable address that explains it."""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

MEDIA_TYPE: Final = "application/problem+json"
UNSTORED: Final = {"Cache-Control": "no-store"}
"""Some caches keep what says nothing about it, and know nothing of API keys."""

PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "`/problems/<code>`, an address that explains it."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


class ProblemType(NamedTuple):
    """A kind of problem: its HTTP status, its short name for people, and what to do about it."""

    status: int
    title: str
    advice: str


PROBLEMS: Final[dict[str, ProblemType]] = {
    "invalid-request": ProblemType(422, "The request is not valid", "See `errors` for the field and its limits."),
    "not-acceptable": ProblemType(406, "No such representation", "Ask for one of the formats with `format`."),
    "body-too-large": ProblemType(413, "The body is too large", "A draw is described in less than 1 KiB."),
    "not-json": ProblemType(415, "The body is not JSON", "Send `Content-Type: application/json`."),
    "foreign-origin": ProblemType(
        403, "A page of another origin", "Ask from a program, from a page that this service serves, or by a link."
    ),
    "host-unknown": ProblemType(
        421,
        "Not a name of this service",
        "Ask by `localhost` or an address in digits; or the operator names this host in `ENTROPY_HTTP_HOSTS`.",
    ),
    "key-missing": ProblemType(
        401, "An API key is needed", "Send one as `X-API-Key`, or as `Authorization: Bearer`; the operator has them."
    ),
    "key-invalid": ProblemType(
        401, "The API key opens nothing", "It is mistyped, unknown, expired or revoked. Send another one, or none."
    ),
    "scope-missing": ProblemType(403, "The API key is not for this", "Ask the operator for one with this scope."),
    "quota-exceeded": ProblemType(429, "The limit is used up", "Ask again after `Retry-After` seconds."),
    "quota-unavailable": ProblemType(
        503, "Limits can't be counted", "Ask again after `Retry-After` seconds, or with an API key."
    ),
    "request-malformed": ProblemType(
        400,
        "The request is not well formed",
        "Nothing was drawn. Spell parameters as `/docs` does, send each at most once, and exactly one `Host`.",
    ),
    "keys-unreadable": ProblemType(
        503, "API keys can't be checked", "Ask again after `Retry-After` seconds; the operator has to look."
    ),
    "unknown-block": ProblemType(404, "No such block", "Only published blocks are known, by their id."),
    "no-thumbnail": ProblemType(
        404, "No such picture", "An image is shown behind a public block that revealed, if a picture of it was kept."
    ),
    "pool-exhausted": ProblemType(
        503, "Not enough bytes are ready", "Nothing was given out. Ask again after `Retry-After` seconds."
    ),
    "pool-unavailable": ProblemType(503, "The pool does not answer", "Ask again after `Retry-After` seconds."),
    "pool-epoch-changed": ProblemType(
        503, "The pool's server was restarted", "It serves again when new blocks are published."
    ),
    "unsafe-pool-server": ProblemType(
        503, "The pool's server is not safe", "The operator has to switch off its persistence and eviction."
    ),
    "rejected-too-often": ProblemType(
        503, "The bytes do not look random", "The operator has to look at the source of the blocks."
    ),
    "too-many-streams": ProblemType(503, "Too many streams are open", "Ask again after `Retry-After` seconds."),
    "not-ready": ProblemType(503, "Not ready to serve", "See `reasons`."),
    "ledger-error": ProblemType(503, "The ledger can't be read", "The operator has to look at it."),
    "ledger-unavailable": ProblemType(503, "The ledger does not answer", "Ask again later."),
    "store-unavailable": ProblemType(503, "The store of the batches does not answer", "Ask again later."),
    "store-denied": ProblemType(503, "The store of the batches can't be read", "The operator has to look at it."),
    "provenance-unavailable": ProblemType(503, "Provenance is not served here", "This service has no ledger."),
}


def problem_schema(*codes: str) -> dict[str, Any]:
    """Return how OpenAPI describes an answer that is a problem of one of these types."""
    titles = "; ".join(f"`{code}`: {PROBLEMS[code].title}" for code in codes)
    types = {**PROBLEM_SCHEMA["properties"]["type"], "enum": [f"/problems/{code}" for code in codes]}
    schema = {**PROBLEM_SCHEMA, "properties": {**PROBLEM_SCHEMA["properties"], "type": types}}
    return {"description": titles, "content": {MEDIA_TYPE: {"schema": schema}}, "headers": _headers_of(codes)}


def problem_codes(answer: Mapping[str, Any]) -> list[str]:
    """Return the types that an answer made by `problem_schema` may have."""
    types = answer["content"][MEDIA_TYPE]["schema"]["properties"]["type"]["enum"]
    return [kind.rpartition("/")[2] for kind in types]


def _headers_of(codes: Collection[str]) -> dict[str, Any]:
    statuses = {PROBLEMS[code].status for code in codes}
    if HTTPStatus.UNAUTHORIZED in statuses:
        return {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}}
    if statuses.isdisjoint((HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)) or "not-ready" in codes:
        return {}
    description = "Seconds after which it is worth asking again."
    return {"Retry-After": {"schema": {"type": "integer", "minimum": 0}, "required": True, "description": description}}
