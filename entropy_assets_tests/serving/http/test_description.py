"""What ``/openapi.json`` says of refusals and limits, held against the service; `test_schemathesis` tries the rest."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from entropy_assets.serving.config import ServiceConfig, StreamLimits
from entropy_assets.serving.http.orders import ALL_FORMATS
from entropy_assets.serving.problems import PROBLEMS, problem_codes
from entropy_assets_tests.pool_blocks import pool_block
from entropy_assets_tests.serving.keyed import Start
from entropy_assets_tests.serving.running import RunningService

Document = dict[str, Any]
THUMBNAIL = "/blocks/{block_id}/thumbnails/{image_sha256}"


@pytest.fixture
def dry(valkey_url: str, pool_prefix: str) -> Iterator[RunningService]:
    """Run a service that has neither bytes nor a ledger."""
    streams = StreamLimits(patience_s=0.2)
    with RunningService(ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, streams=streams)) as running:
        yield running


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def _described(service: RunningService) -> Document:
    return service.client.get("/openapi.json").json()


def _require_described(answer: httpx.Response, operation: Document) -> str:
    """Return the type of a problem that came, after looking it up with its headers."""
    described = operation["responses"][str(answer.status_code)]
    code = answer.json()["type"].rpartition("/")[2]
    assert code in problem_codes(described)
    assert all(name in answer.headers for name, header in described["headers"].items() if header["required"])
    return code


def test_each_type_of_problem_stands_with_an_operation(dry: RunningService) -> None:
    described = {
        code
        for _, _, operation in _operations(_described(dry))
        for answer in operation["responses"].values()
        if "application/problem+json" in answer.get("content", {})
        for code in problem_codes(answer)
    }
    assert described == PROBLEMS.keys()


def test_what_may_need_a_key_says_how_it_is_refused(dry: RunningService) -> None:
    gated = {
        "401": ["key-missing", "key-invalid"],
        "403": ["scope-missing", "foreign-origin"],
        "429": ["quota-exceeded"],
    }
    secured = [each for each in _operations(_described(dry)) if "security" in each[2]]
    assert {path for _, path, _ in secured} == {
        "/random/{n}", "/random", "/download/{n}", "/stats", "/metrics", "/batches", "/blocks/{block_id}",
        THUMBNAIL,
    }  # fmt: skip
    for method, _, operation in secured:
        if method == "head":
            assert gated.keys() | {"503"} <= operation["responses"].keys()
            continue
        for status, codes in gated.items():
            assert problem_codes(operation["responses"][status]) == codes
        assert "quota-unavailable" in problem_codes(operation["responses"]["503"])


@pytest.mark.parametrize(
    "method, path, route, code",
    [
        ("GET", "/random/1", "/random/{n}", "pool-exhausted"),
        ("POST", "/random", "/random", "pool-exhausted"),
        ("GET", "/download/1", "/download/{n}", "pool-exhausted"),
        ("GET", "/readyz", "/readyz", "not-ready"),
        ("GET", "/batches", "/batches", "provenance-unavailable"),
        ("GET", f"/blocks/{pool_block(0).block_id}", "/blocks/{block_id}", "provenance-unavailable"),
        ("GET", f"/blocks/{pool_block(0).block_id}/thumbnails/{'ab' * 32}", THUMBNAIL, "provenance-unavailable"),
    ],
)
def test_a_service_without_anything_refuses_as_described(
    method: str, path: str, route: str, code: str, dry: RunningService
) -> None:
    answer = dry.client.request(method, path, json={"n": 1} if method == "POST" else None)
    assert _require_described(answer, _described(dry)["paths"][route][method.lower()]) == code


def test_keys_and_limits_refuse_as_described(start: Start) -> None:
    service = start(anonymous_scopes=("draw",), limit_requests=0.1)
    paths = _described(service)["paths"]
    assert _require_described(service.client.get("/stats"), paths["/stats"]["get"]) == "key-missing"
    assert service.client.get("/random/1").status_code == 200
    refused = service.client.get("/random/1")
    assert _require_described(refused, paths["/random/{n}"]["get"]) == "quota-exceeded"
    assert int(refused.headers["Retry-After"]) > 0


def test_the_limits_of_integers_are_exact(dry: RunningService) -> None:
    """A limit that is written as a float is another one: 2^63 - 1 would read as 2^63."""
    body = _described(dry)["paths"]["/random"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    [limit] = [each for each in body["properties"]["max"]["anyOf"] if each["type"] == "integer"]
    assert (limit["minimum"], limit["maximum"]) == (-(2**63), 2**63 - 1)
    assert "e+" not in json.dumps(_described(dry)["paths"])
    assert body["properties"]["n"]["maximum"] == 65_536


def test_there_is_an_example_of_each_format(dry: RunningService) -> None:
    """They are what is surely tried with each format: of the rest, chance decides."""
    body = _described(dry)["paths"]["/random"]["post"]["requestBody"]["content"]["application/json"]
    shown = {example["value"].get("format", "raw") for example in body["examples"].values()}
    assert shown == set(ALL_FORMATS)


def test_a_link_leads_from_the_newest_batch_to_a_block(dry: RunningService) -> None:
    document = _described(dry)
    link = document["paths"]["/batches"]["get"]["responses"]["200"]["links"]["block"]
    assert link["operationId"] == document["paths"]["/blocks/{block_id}"]["get"]["operationId"]


def test_the_description_lists_every_route(dry: RunningService) -> None:
    assert sorted(_described(dry)["paths"]) == [
        "/batches", "/blocks/{block_id}", THUMBNAIL, "/download/{n}", "/health", "/livez", "/metrics", "/random",
        "/random/{n}", "/readyz", "/stats",
    ]  # fmt: skip
    assert dry.client.get("/").json()["docs"] == "/docs"
