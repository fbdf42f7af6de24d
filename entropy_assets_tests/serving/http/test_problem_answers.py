"""Refusals over real HTTP: a problem document with an address that explains it, and until when to wait."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from entropy_assets.errors import BatchError, EntropyAssetsError
from entropy_assets.serving.answers.hot_path import HotPath
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.http.problem_answers import problem, problem_of
from entropy_assets.serving.problems import PROBLEMS
from entropy_assets.serving.reservoir.reservoir import Reservoir
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both
from entropy_assets_tests.serving.http.test_foreign_hosts import UPGRADE
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.serving.supplies import KNOWN_BLOCK, OneBlock

UNKNOWN_BLOCK = "00000000-0000-8000-8000-000000000000"


@pytest.fixture(params=[True, False], ids=["lane", "asgi"])
def config(request: pytest.FixtureRequest, config: ServiceConfig) -> ServiceConfig:
    """Give the configuration once with the fast lane and once without."""
    return replace(config, fast_lane=request.param)


@pytest.fixture
def service(config: ServiceConfig, pool: PoolClient) -> Iterator[RunningService]:
    pool.push(blocks_for_both(10))
    with RunningService(config, OneBlock()) as running:
        yield running


@pytest.mark.parametrize(
    "path, status, kind",
    [
        ("/random/0", 422, "/problems/invalid-request"),
        ("/random/-1", 422, "/problems/invalid-request"),
        ("/random/65537", 422, "/problems/invalid-request"),
        ("/random/99999999999999999999", 422, "/problems/invalid-request"),
        ("/random/ten", 422, "/problems/invalid-request"),
        ("/random/\u0663", 422, "/problems/invalid-request"),
        ("/random/8?class=secret", 422, "/problems/invalid-request"),
        ("/random/8?format=xml", 422, "/problems/invalid-request"),
        ("/blocks/nothing", 422, "/problems/invalid-request"),
        (f"/blocks/{UNKNOWN_BLOCK}", 404, "/problems/unknown-block"),
        ("/nowhere", 404, "about:blank"),
    ],
)
def test_what_is_wrong_is_a_problem_document(path: str, status: int, kind: str, service: RunningService) -> None:
    answer = service.client.get(path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["type"], body["status"]) == (kind, status)
    assert body["title"]
    assert body["detail"]
    if kind != "about:blank":
        assert service.client.get(kind).json()["advice"]


def test_an_empty_pool_is_a_503_with_retry_after_in_bounded_time(config: ServiceConfig) -> None:
    with RunningService(config) as service:
        answer = service.client.get("/random/1", timeout=10)
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/pool-exhausted")
        assert int(answer.headers["Retry-After"]) == answer.json()["retry_after_s"] >= 1
        assert service.client.get("/stats").json()["service"]["refused"] == {"pool-exhausted": 1}
        assert service.client.get("/readyz").status_code == 503


def _kinds() -> Iterator[type[EntropyAssetsError]]:
    kinds = [EntropyAssetsError]
    for kind in kinds:
        kinds += kind.__subclasses__()
        yield kind


_odd_text = st.text(st.characters(exclude_categories=()), max_size=20)
_odd_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _odd_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_odd_text, inner, max_size=3),
    max_leaves=6,
)
CODES = {kind.code: kind for kind in _kinds()}


def _raised(code: str, message: str, data: dict[str, Any]) -> EntropyAssetsError:
    error = CODES[code].__new__(CODES[code])
    EntropyAssetsError.__init__(error, message, **data)
    return error


@given(st.sampled_from(sorted(CODES)), _odd_text, st.integers(0, 60), _odd_values, _odd_values)
@example("pool-exhausted", "dry", 5, float("inf"), None)
@example("quota-exceeded", "\udcff", 5, 10**400, ["\udcff"])
@example("quota-exceeded", "x", 5, float("nan"), float("nan"))
def test_every_error_of_ours_is_an_answer_whatever_it_carries(
    code: str, message: str, otherwise: int, wait_s: Any, policies: Any
) -> None:
    """It can be sent, is JSON, and a wait is whole seconds that are not negative."""
    data = {"path": message, "retry_after_s": wait_s, "violated_policies": policies}
    answer = problem_of(_raised(code, message, data), otherwise, {"type": "http", "method": "GET"})
    body = json.loads(answer.body.decode("utf-8", "strict"))
    assert body["status"] == answer.status_code == (PROBLEMS[code].status if code in PROBLEMS else 500)
    assert body["detail"].encode("utf-8") is not None
    wait = answer.headers.get("Retry-After")
    assert (wait is not None) == (answer.status_code in (429, 503))
    assert wait is None or (wait.isdecimal() and int(wait) == body["retry_after_s"])
    assert answer.status_code != 500 or answer.headers["X-Request-Id"] in body["detail"]


@given(st.sampled_from(sorted(PROBLEMS)), _odd_text, _odd_values)
def test_every_problem_can_be_sent_whatever_it_tells(code: str, detail: str, more: Any) -> None:
    assert json.loads(problem(code, detail, reasons=more).body)["type"] == f"/problems/{code}"


def _broken(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError


@pytest.mark.parametrize("path", ["/random/8", "/random/8?format=hex", f"/blocks/{KNOWN_BLOCK}", "/batches"])
def test_what_nobody_foresaw_is_a_500_whose_number_leads_to_its_cause(
    path: str,
    service: RunningService,
    monkeypatch: pytest.MonkeyPatch,
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """Also where the lane answers, and where FastAPI has not begun; the connection is closed or good for more."""
    for where, name in ((HotPath, "take"), (OneBlock, "tell"), (OneBlock, "recent")):
        monkeypatch.setattr(where, name, _broken, raising=False)
    answers = [service.client.get(path) for _ in range(2)]
    monkeypatch.undo()
    for answer in answers:
        assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/problem+json")
        assert answer.json()["type"] == "about:blank"
        [line] = [line for line in lines() if line.get("request_id") == answer.headers["X-Request-Id"]]
        assert (line["event"], line["error"]) == ("unhandled-error", "ZeroDivisionError")
        assert line["at"][-1].startswith("test_problem_answers.py:")
        assert line["request_id"] in answer.json()["detail"]
    assert service.client.get("/random/8").status_code == 200


def test_an_error_of_ours_that_has_no_problem_of_its_own_is_logged_under_its_number(
    service: RunningService, monkeypatch: pytest.MonkeyPatch, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    def damaged(*_: Any) -> Any:
        raise BatchError("noise.json of batch b is damaged") from LookupError("secret")

    monkeypatch.setattr(OneBlock, "tell", damaged)
    answer = service.client.get(f"/blocks/{KNOWN_BLOCK}")
    assert answer.status_code == 500
    [line] = [line for line in lines() if line.get("request_id") == answer.headers["X-Request-Id"]]
    assert (line["error"], line["detail"]) == ("BatchError", "noise.json of batch b is damaged")
    assert [cause["error"] for cause in line["causes"]] == ["LookupError"]
    assert line["route"] == "/blocks/{block_id}"
    assert "secret" not in json.dumps(lines()) + answer.text


def test_a_wait_that_fails_is_a_500_with_a_number_too(
    service: RunningService, monkeypatch: pytest.MonkeyPatch, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """The reservoir says when to ask again in every refusal, of keys and quotas too."""
    monkeypatch.setattr(Reservoir, "retry_after_s", _broken)
    monkeypatch.setattr(OneBlock, "failing", True)
    answer = service.client.get(f"/blocks/{KNOWN_BLOCK}")
    assert answer.status_code == 500
    assert [line["error"] for line in lines() if line.get("request_id") == answer.headers["X-Request-Id"]] == [
        "ZeroDivisionError"
    ]


_odd_paths = st.binary(max_size=30).map(lambda raw: "/random/" + "".join(f"%{byte:02X}" for byte in raw)) | st.text(
    st.characters(exclude_categories=(), exclude_characters="#"), max_size=20
).map(lambda text: "/" + quote(text, safe="/?=&", errors="surrogatepass"))
_odd_bodies = st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | _odd_text,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["n", "class", "format", "min", "max"]) | _odd_text, inner, max_size=5)
    ),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=_odd_paths, body=_odd_bodies)
@example(path="/blocks/%ED%B3%BF", body=b'{"n": 8, "\\udcff": 1}')
@example(path="/random/8?format=%ED%B3%BF", body=b'{"n": "\\ud800", "format": NaN}')
@example(path="/problems/%00%1B%FF", body=b'{"n": 1e999, "min": -1e999, "format": "int"}')
@example(path="/random/8?class=%FF&%FF=%FF", body=b"[" * 900)
def test_no_request_makes_the_service_fail(path: str, body: bytes, service: RunningService) -> None:
    """Whatever stands in its address or its body, and whatever of it the refusal repeats."""
    asked = [
        service.client.get(path),
        service.client.post("/random", content=body, headers={"Content-Type": "application/json"}),
        service.client.post(path, content=body),
    ]
    for answer in asked:
        assert answer.status_code < 500 or answer.json()["type"].startswith("/problems/"), answer.text
        if answer.status_code >= 400:
            answer.json()
            answer.content.decode("utf-8", "strict")


@pytest.mark.parametrize(
    "code, method, path, more",
    [
        ("not-acceptable", "GET", "/random/8", {"headers": {"Accept": "image/png"}}),
        ("not-acceptable", "HEAD", "/random/8", {"headers": {"Accept": "image/png"}}),
        ("not-json", "POST", "/random", {"content": "n=8"}),
        ("body-too-large", "POST", "/random", {"content": " " * 2000, "headers": {"Content-Type": "application/json"}}),
        ("unknown-block", "GET", f"/blocks/{UNKNOWN_BLOCK}", {}),
        ("no-thumbnail", "GET", f"/blocks/{UNKNOWN_BLOCK}/thumbnails/{'0' * 64}", {}),
        ("invalid-request", "GET", "/random/0", {}),
        ("request-malformed", "GET", "/random/8?odd=1", {}),
        ("host-unknown", "GET", "/random/8", {"headers": {"Host": "attacker.example"}}),
        ("foreign-origin", "GET", "/random/8", {"headers": {"Sec-Fetch-Site": "cross-site"}}),
        ("foreign-origin", "GET", "/stream", {"headers": UPGRADE | {"Origin": "null"}}),
        ("invalid-request", "GET", "/stream?class=secret", {"headers": UPGRADE}),
        ("request-malformed", "GET", "/stream?odd=1", {"headers": UPGRADE}),
    ],
)
def test_each_refusal_is_counted_once_by_its_type(
    code: str, method: str, path: str, more: dict[str, Any], service: RunningService
) -> None:
    answer = service.client.request(method, path, **more)
    assert answer.status_code == PROBLEMS[code].status
    assert service.client.get("/stats").json()["service"]["refused"] == {code: 1}


@pytest.mark.parametrize("path", ["/nowhere", "/random/8", "/stream/"])
def test_a_handshake_where_no_stream_is_gets_a_problem(path: str, service: RunningService) -> None:
    answer = service.client.get(path, headers=UPGRADE)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert "/stream" in answer.json()["detail"]
