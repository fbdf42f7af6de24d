"""Parameters that a route does not have, or has twice, are refused and draw nothing: overlooked, they gave other bytes.

`test_hot_path` has what memory leaves to this.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from entropy_assets.serving.config import ServiceConfig
from entropy_assets_tests.conftest import empty_pool, new_prefix
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.http.test_foreign_hosts import UPGRADE
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.serving.supplies import KNOWN_BLOCK, Supply


@pytest.fixture(scope="module", params=[True, False], ids=["lane", "asgi"])
def service(request: pytest.FixtureRequest, valkey_url: str) -> Iterator[RunningService]:
    """Run one service for all tests of this file, which draw little: to start it takes longer than they do."""
    prefix = new_prefix()
    with empty_pool(valkey_url, prefix) as pool:
        pool.push(blocks_for_both(20))
        config = ServiceConfig(pool_url=valkey_url, pool_prefix=prefix, fast_lane=request.param)
        with RunningService(config, Supply()) as running:
            yield running


def _refused(service: RunningService, path: str, **headers: str) -> tuple[int, str]:
    counts = service.application.service.counts
    before = counts["served_private_bytes"] + counts["served_public_bytes"]
    answer = service.client.get(path, headers=headers)
    assert counts["served_private_bytes"] + counts["served_public_bytes"] == before
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


@pytest.mark.parametrize(
    "path",
    [
        "/random/16?fmt=hex", "/random/16?odd=1", "/random/16?format=hex&odd", "/random/16?Format=hex",
        "/random/16?class=public&clas=public", "/random/16?format=hex&=", "/random/16?n=4", "/random/16?limit=3",
        "/random/16?format=int&min=1&max=6&seed=4", "/download/16?odd=1", "/download/16?min=1", "/batches?odd=1",
        "/batches?limit=3&class=public", f"/blocks/{KNOWN_BLOCK}?format=hex",
    ],
)  # fmt: skip
def test_an_unknown_parameter_is_refused(service: RunningService, path: str) -> None:
    assert _refused(service, path) == (400, "request-malformed")
    assert service.client.head(path).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/random/16?format=hex&format=hex", "/random/16?format=hex&format=raw", "/random/16?class=public&class=private",
        "/random/16?format=hex&%66ormat=raw", "/random/16?format=int&min=1&max=6&max=9", "/download/16?class=a&class=b",
        "/batches?limit=3&limit=3",
    ],
)  # fmt: skip
def test_a_repeated_parameter_is_refused(service: RunningService, path: str) -> None:
    assert _refused(service, path) == (400, "request-malformed")


@pytest.mark.parametrize("query", ["odd=1", "class=public&class=public", "class=public&odd"])
def test_a_stream_is_as_strict(service: RunningService, query: str) -> None:
    assert _refused(service, f"/stream?{query}", **UPGRADE) == (400, "request-malformed")
    assert _refused(service, "/stream?class", **UPGRADE) == (422, "invalid-request")


def test_a_post_takes_no_query(service: RunningService) -> None:
    """What it wants stands in its body."""
    answer = service.client.post("/random?format=hex", json={"n": 16})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/request-malformed")


@pytest.mark.parametrize("query", ["", "?", "?&", "?format=hex&", "?&class=public", "?%63lass=public&format=%68ex"])
def test_nothing_is_not_a_parameter(service: RunningService, query: str) -> None:
    assert service.client.get(f"/random/16{query}").status_code == 200


def test_every_parameter_that_is_described_is_known(service: RunningService) -> None:
    """A route that gets one more has to name it in two places."""
    described: dict[str, Any] = service.client.get("/openapi.json").json()["paths"]
    for path, methods in described.items():
        names = [each["name"] for each in methods.get("get", {}).get("parameters", ()) if each["in"] == "query"]
        for name in names:
            target = path.replace("{n}", "16").replace("{block_id}", KNOWN_BLOCK)
            assert service.client.get(f"{target}?{name}=").status_code == 422, (path, name)


@pytest.mark.parametrize(
    "path, loc, takes",
    [
        ("/random/16?format=", ["query", "format"], "'raw', 'hex', 'base64', 'json', 'uint8', 'uint16', 'int' or"),
        ("/download/16?format=hex", ["query", "format"], "'raw' or 'ndjson'"),
        ("/random/16?format=int&max=5&min=--", ["query", "min"], "an integer is written in the digits 0 to 9"),
        (f"/random/16?format=int&min=1&max={2**63}", ["query", "max"], f"less than or equal to {2**63 - 1}"),
        ("/random/16?class=odd", ["query", "class"], "'private' or 'public'"),
        ("/random/0", ["path", "n"], "greater than or equal to 1"),
    ],
)
def test_a_wrong_value_is_refused_once_by_the_name_of_its_parameter(
    service: RunningService, path: str, loc: list[str], takes: str
) -> None:
    """And by what it takes, not by what the framework made of its type."""
    document = service.client.get(path).json()
    [error] = document["errors"]
    assert (error["loc"], document["detail"]) == (loc, f"{loc[1]}: {error['msg']}")
    assert takes in error["msg"]
    assert not {"literal", "constrained", "None"} & {*re.findall(r"\w+", document["detail"])}
