"""Hooks of schemathesis: the rules between query parameters, which OpenAPI has no words for.

A request that breaks one of them fits the description and is refused all the same. That refusal, with the status and
type that it has to have, is no failure; everything else about such a request still counts. The rules are written
anew here, so that a fault in the service's own does not hide itself. `test_draws` and `test_downloads` try them.
"""

import json
from collections.abc import Mapping
from typing import Any

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

LONGEST = 4096
"""Bytes of the longest draw of the services under test."""


def breaks_a_rule(path: str, n: int, wanted: Mapping[str, Any]) -> bool:
    """Tell whether a draw can't be, though each of its parameters can."""
    answer_format = wanted.get("format")
    if path == "/download/{n}":
        public = wanted.get("class", "private") == "public"
        return answer_format is not None and answer_format != ("ndjson" if public else "raw")
    limits = [wanted.get("min"), wanted.get("max")]
    if any(isinstance(limit, float) and abs(limit) > 2**53 for limit in limits):
        return True
    if answer_format not in ("int", "bigint"):
        return limits != [None, None] or (answer_format == "uint16" and n > LONGEST // 2)
    if None in limits:
        return True
    low, high = (int(limit) for limit in limits)
    if answer_format == "int" and max(-low, high) > 2**53 - 1:
        return True
    return low > high or n > _most(high - low)


def _most(span: int) -> int:
    bits = span.bit_length()
    return LONGEST * (span + 1) // (max(1, -(-bits // 8)) * 2**bits)


def _draw_of(case: Any) -> tuple[int, Mapping[str, Any]]:
    if case.method == "POST":
        return case.body["n"], case.body
    return int(case.path_parameters["n"]), case.query or {}


@schemathesis.hook
def filter_failure(_: Any, failure: Any, case: Any, response: Any) -> bool:
    """Keep every failure but the refusal of a draw that breaks a rule."""
    draws = case.operation.path in ("/random", "/random/{n}", "/download/{n}")
    if not (isinstance(failure, RejectedPositiveData) and draws and response.status_code == 422):
        return True
    if case.method != "HEAD" and json.loads(response.content)["type"] != "/problems/invalid-request":
        return True
    return not breaks_a_rule(case.operation.path, *_draw_of(case))
