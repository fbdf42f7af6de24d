"""What the children answer over HTTP: whether they are there, and what Dagster knows of its daemon and runs."""

import json
from contextlib import closing
from typing import Any, Final

from entropy_assets.client.endpoint import JSON, Address, Endpoint
from entropy_assets.errors import AnswerMalformed, EndpointFailed
from entropy_assets.stores.lanes import Lane

PROBE_SECONDS: Final = 2.0
QUERY_SECONDS: Final = 10.0
LONGEST_ANSWER: Final = 2**20
"""Bytes of an answer that are read at most."""


def answers(service: str, path: str) -> bool:
    """Tell whether GET `path` of the `service` at this address succeeds."""
    try:
        with closing(_endpoint(service, PROBE_SECONDS)) as endpoint:
            return endpoint.get(path, "*/*", LONGEST_ANSWER).status == 200
    except EndpointFailed:
        return False


def holds_bytes(service: str, lane: Lane) -> bool:
    """Tell whether the HTTP `service` at this address can answer the next draw of a class."""
    try:
        with closing(_endpoint(service, PROBE_SECONDS)) as endpoint:
            health = json.loads(endpoint.get("/health", JSON, LONGEST_ANSWER).body)
        held = health["reservoir"]["lanes"][lane]["buffered_bytes"]
        return bool(held or health["pool"]["lanes"][lane]["ready_bytes"])
    except (EndpointFailed, ValueError, LookupError, TypeError):
        return False


def queried(dagster_url: str, query: str) -> dict[str, Any]:
    """Return what Dagster's GraphQL answers to `query`.

    Raises
    ------
    EndpointFailed
        If the webserver does not answer, or answers something else.
    """
    with closing(_endpoint(dagster_url, QUERY_SECONDS)) as endpoint:
        reply = endpoint.post("/graphql", {"query": query}, JSON, LONGEST_ANSWER)
    try:
        data = json.loads(reply.body)["data"] if reply.status == 200 else None
    except (ValueError, LookupError, TypeError):
        data = None
    if not isinstance(data, dict):
        raise AnswerMalformed(f"{dagster_url} answers something else than GraphQL", endpoint=dagster_url)
    return data


def _endpoint(url: str, timeout_s: float) -> Endpoint:
    return Endpoint(Address.parse(url), key=None, tls=None, timeout_s=timeout_s)
