"""What the log tells of requests, and what an answer tells when nobody foresaw what went wrong."""

import json
from collections.abc import Callable
from typing import Any

import httpx
from fastapi import FastAPI

from entropy_assets.serving.http.request_log import RequestLog, add_error_log

MARKER = "MARKER-3f9c1d7e55"


async def test_what_nobody_foresaw_is_a_plain_500_with_a_number_that_is_in_the_log(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    app = FastAPI()
    add_error_log(app)
    app.add_middleware(RequestLog)

    @app.get("/broken/{what}")
    async def broken(what: str) -> None:
        try:
            int(what)
        except ValueError as error:
            raise LookupError(what) from error

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get(f"/broken/{MARKER}?key={MARKER}")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    by_event = {line["event"]: line for line in lines()}
    line = by_event["unhandled-error"]
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert line["request_id"] in answer.json()["detail"]
    assert (line["error"], [cause["error"] for cause in line["causes"]]) == ("LookupError", ["ValueError"])
    assert line["at"][-1].startswith("test_request_log.py:")
    assert by_event["request"]["route"] == "/broken/{what}"
    assert MARKER not in json.dumps(lines()) + answer.text
