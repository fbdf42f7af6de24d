"""``/random`` beyond bytes: integers, the JSON document, HEAD; over real HTTP, on a real pool."""

import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from entropy_assets.serving.config import ServiceConfig
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import blocks_for_both, pool_blocks
from entropy_assets_tests.serving.running import RunningService


@pytest.fixture
def config(valkey_url: str, pool_prefix: str) -> ServiceConfig:
    """Give the configuration of a service on this test's pool."""
    return ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix)


@pytest.fixture
def service(config: ServiceConfig, pool: PoolClient) -> Iterator[RunningService]:
    """Run a service on a pool of 100 blocks."""
    pool.push(blocks_for_both(100))
    with RunningService(config) as running:
        yield running


def _named_bytes(answer: httpx.Response, blocks: int = 100) -> bytes:
    """Return the bytes that ``X-Entropy-Blocks`` names, from the blocks themselves."""
    data = {block.block_id: block.data for block in pool_blocks(blocks)}
    named = b""
    for part in answer.headers["X-Entropy-Blocks"].split(","):
        block_id, span = part.rsplit(":", 1)
        start, end = map(int, span.split("-"))
        named += data[block_id][start:end]
    return named


def _recomputed(named: bytes, low: int, high: int) -> list[int]:
    bits = (high - low).bit_length()
    width = max(1, -(-bits // 8))
    candidates = [int.from_bytes(named[at : at + width], "big") % 2**bits for at in range(0, len(named), width)]
    return [low + candidate for candidate in candidates if candidate <= high - low]


def _served(service: RunningService) -> dict[str, int]:
    served_bytes: dict[str, int] = service.client.get("/stats").json()["service"]["served_bytes"]
    return served_bytes


LIMITS = [(1, 6), (0, 0), (-3, 3), (0, 255), (0, 256), (-(2**53) + 1, 2**53 - 1), (0, 2**40), (10, 10 + 2**16)]


@pytest.mark.parametrize("n", [1, 500])
@pytest.mark.parametrize("low, high", LIMITS)
def test_public_integers_are_recomputed_from_the_blocks_named_alone(
    low: int, high: int, n: int, service: RunningService
) -> None:
    answer = service.client.get(f"/random/{n}?class=public&format=int&min={low}&max={high}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    body = answer.json()
    assert (body["n"], body["encoding"], body["min"], body["max"]) == (n, "int", low, high)
    assert (body["class"], len(body["data"])) == ("public", n)
    assert body["data"] == _recomputed(_named_bytes(answer), low, high)
    ranges = ",".join(f"{each['block_id']}:{each['start']}-{each['end']}" for each in body["blocks"])
    assert ranges == answer.headers["X-Entropy-Blocks"]


@pytest.mark.parametrize("low, high", [(-(2**63), 2**63 - 1), (2**53, 2**53 + 9), (1, 6)])
def test_integers_beyond_what_readers_of_json_hold_come_as_strings(
    low: int, high: int, service: RunningService
) -> None:
    """JavaScript reads 9007199254740993 as 9007199254740992, without a word."""
    answer = service.client.get(f"/random/50?class=public&format=bigint&min={low}&max={high}")
    body = answer.json()
    assert (body["n"], body["encoding"], body["min"], body["max"]) == (50, "bigint", str(low), str(high))
    assert body["data"] == [str(value) for value in _recomputed(_named_bytes(answer), low, high)]
    order = {"n": 2, "format": "bigint", "min": low, "max": high}
    assert all(low <= int(value) <= high for value in service.client.post("/random", json=order).json()["data"])


def test_a_number_that_many_would_read_as_another_is_refused_with_the_way_out(service: RunningService) -> None:
    answers = [
        service.client.get(f"/random/2?format=int&min=0&max={2**53}"),
        service.client.post("/random", json={"n": 2, "format": "int", "min": 0, "max": 2**53}),
    ]
    for answer in answers:
        assert (answer.status_code, "bigint" in answer.json()["detail"]) == (422, True)
    assert _served(service) == {"public": 0, "private": 0}


@pytest.mark.parametrize("name, width", [("uint8", 1), ("uint16", 2)])
def test_n_counts_integers_not_bytes(name: str, width: int, service: RunningService) -> None:
    answer = service.client.get(f"/random/3000?class=public&format={name}")
    named = _named_bytes(answer)
    assert len(named) == 3000 * width
    assert answer.json()["data"] == _recomputed(named, 0, 256**width - 1)


def test_private_integers_name_no_block_and_are_not_the_pools(service: RunningService) -> None:
    answer = service.client.get("/random/100?format=uint8")
    assert "X-Entropy-Blocks" not in answer.headers
    assert "blocks" not in answer.json()
    assert bytes(answer.json()["data"]) not in b"".join(block.data for block in blocks_for_both(100))


@pytest.mark.parametrize(
    "query",
    [
        "format=int", "format=int&min=1", "format=int&max=1", "format=int&min=2&max=1", "format=int&min=a&max=2",
        "format=int&min=1.0&max=2", "format=int&min=1_0&max=20", "format=int&min=+1&max=20",
        f"format=int&min=0&max={2**53}", f"format=int&min={-(2**53)}&max=0", f"format=bigint&min=0&max={2**63}",
        f"format=bigint&min={-(2**63) - 1}&max=0", "format=bigint", "format=bigint&min=1", "format=bigint&min=2&max=1",
        "min=1&max=2", "min=1", "format=hex&min=1&max=6", "format=uint8&min=1&max=6", "format=json&max=6",
        "format=uint32",
    ],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused_and_cost_nothing(query: str, service: RunningService) -> None:
    answer = service.client.get(f"/random/8?{query}")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert answer.json()["errors"]
    assert _served(service) == {"public": 0, "private": 0}


@pytest.mark.parametrize(
    "query, most",
    [
        ("format=uint8", 65_536),
        ("format=uint16", 32_768),
        ("format=int&min=0&max=255", 65_536),
        ("format=int&min=0&max=128", 65_536 * 129 // 256),
        (f"format=bigint&min=0&max={2**63 - 1}", 65_536 // 8),
    ],
)
def test_the_bytes_behind_integers_are_bounded_like_bytes(query: str, most: int, service: RunningService) -> None:
    assert service.client.get(f"/random/{most}?{query}").status_code == 200
    answer = service.client.get(f"/random/{most + 1}?{query}")
    assert answer.status_code == 422
    assert str(most) in answer.json()["detail"]
    consumed = _served(service)["private"]
    assert consumed <= 2 * 65_536


def test_integers_that_run_dry_in_the_middle_are_a_503_and_the_bytes_are_lost(
    config: ServiceConfig, pool: PoolClient
) -> None:
    """The first round finds 1000 bytes, the second nothing."""
    pool.push(blocks_for_both(1, length=1000))
    with RunningService(config) as service:
        answer = service.client.get("/random/1000?class=public&format=int&min=0&max=128")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/pool-exhausted")
        assert "1000 bytes were consumed" in answer.json()["detail"]
        assert service.application.service.counts["undelivered_bytes"] == 1000
        assert _served(service)["public"] == 1000


def test_no_answer_repeats_bytes_of_another_whatever_the_formats(service: RunningService) -> None:
    spans = []
    for query in ("format=int&min=1&max=6", "format=hex", "format=uint16", "", "format=int&min=0&max=70000"):
        for _ in range(5):
            answer = service.client.get(f"/random/300?class=public&{query}")
            for part in answer.headers["X-Entropy-Blocks"].split(","):
                block_id, span = part.rsplit(":", 1)
                spans.append((block_id, *map(int, span.split("-"))))
    for (block, _, end), (other, start, _) in itertools.pairwise(sorted(spans)):
        assert block != other or end <= start


# --- POST ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [
        {"n": 32},
        {"n": 32, "class": "public"},
        {"n": 7, "class": "public", "format": "hex"},
        {"n": 7, "class": "public", "format": "int", "min": -2, "max": 70_000},
        {"n": 3, "format": None},
    ],
)
def test_post_gives_what_get_gives(order: dict[str, Any], service: RunningService) -> None:
    posted = service.client.post("/random", json=order)
    query = {name: value for name, value in order.items() if name != "n" and value is not None}
    got = service.client.get(f"/random/{order['n']}", params=query)
    assert posted.status_code == got.status_code == 200
    varying = {"x-entropy-blocks", "content-length", "date"}
    assert {k: v for k, v in posted.headers.items() if k not in varying} == {
        k: v for k, v in got.headers.items() if k not in varying
    }
    if "min" in order:
        assert posted.json()["data"] == _recomputed(_named_bytes(posted), order["min"], order["max"])
    elif order.get("class") == "public":
        text = _named_bytes(posted)
        assert posted.content == (text.hex().encode() if order.get("format") == "hex" else text)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"7", b'{"n": 0}', b'{"n": 65537}', b'{"n": "8"}', b'{"n": 8.5}', b'{"n": true}', b'{"n": 8',
        b'{"n": 8, "odd": 1}', b'{"n": 8, "class": "secret"}', b'{"n": 8, "answer_class": "public"}',
        b'{"n": 8, "min": 1, "max": 2}', b'{"n": 8, "format": "int", "min": 2, "max": 1}',
        b'{"n": 8, "format": "int", "min": 0, "max": 1.5}', b'{"n": 40000, "format": "uint16"}', b"\xff\xfe",
        b'{"n": 1e400}', b'{"n": 8, "format": "int", "min": 0, "max": 9007199254740994.0}',
    ],
)  # fmt: skip
def test_a_document_that_is_no_order_is_refused_and_costs_nothing(body: bytes, service: RunningService) -> None:
    answer = service.client.post("/random", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert _served(service) == {"public": 0, "private": 0}


@pytest.mark.parametrize("written", ["-3.0", "-0.3e1", "-3"])
def test_a_whole_number_is_an_integer_however_it_is_written(written: str, service: RunningService) -> None:
    """JSON has no integers of its own; JSON Schema, and so the description, goes by the value."""
    body = b'{"n": 5.0, "format": "int", "min": %b, "max": 1}' % written.encode()
    answer = service.client.post("/random", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    assert (answer.json()["n"], answer.json()["min"]) == (5, -3)


def test_a_body_of_another_type_or_too_long_is_refused(service: RunningService) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = service.client.post("/random", content=b'{"n": 8}', headers={"Content-Type": content_type})
        assert (answer.status_code, answer.json()["type"]) == (415, "/problems/not-json")
    answer = service.client.post(
        "/random", content=b'{"n": 8' + b" " * 2000 + b"}", headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")
    assert _served(service) == {"public": 0, "private": 0}


def test_get_has_no_document_and_post_no_number(service: RunningService) -> None:
    for method, path, allowed in (("GET", "/random", "POST"), ("POST", "/random/8", "GET, HEAD")):
        answer = service.client.request(method, path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


# --- HEAD and headers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "class=public", "format=hex", "format=base64", "format=json", "format=uint8"])
def test_head_gives_the_headers_of_get_and_no_byte(query: str, service: RunningService) -> None:
    """RFC 9110 9.3.2: what depends on the answer's content alone may be left out."""
    head = service.client.head(f"/random/100?{query}")
    assert (head.status_code, head.content) == (200, b"")
    assert _served(service) == {"public": 0, "private": 0}
    assert service.client.get("/stats").json()["service"]["answers"] == {"public": 0, "private": 0}
    got = service.client.get(f"/random/100?{query}")
    known = {"content-type", "cache-control", "x-entropy-class"}
    if query not in ("format=json", "format=uint8"):
        known.add("content-length")
    if "format" in query:
        known.add("x-content-type-options")
    assert {name: head.headers[name] for name in known} == {name: got.headers[name] for name in known}
    assert "X-Entropy-Blocks" not in head.headers


@pytest.mark.parametrize("path, status", [("/random/0", 422), ("/random/8?min=1", 422), ("/random/65537", 422)])
def test_head_refuses_what_get_refuses(path: str, status: int, service: RunningService) -> None:
    assert service.client.head(path).status_code == service.client.get(path).status_code == status


def test_a_part_of_an_answer_can_not_be_asked_for(service: RunningService) -> None:
    answer = service.client.get("/random/100", headers={"Range": "bytes=0-9"})
    assert (answer.status_code, len(answer.content)) == (200, 100)
    assert not [name for name in ("ETag", "Accept-Ranges", "Content-Range") if name in answer.headers]


def test_several_accept_headers_count_as_one(service: RunningService) -> None:
    headers = [("Accept", "image/png"), ("Accept", "application/json")]
    assert service.client.get("/random/8", headers=headers).headers["Content-Type"] == "application/json"


def test_a_refusal_says_what_is_wrong_and_not_who_noticed(service: RunningService) -> None:
    answer = service.client.get("/random/5?format=int&min=6&max=1").json()
    assert answer["detail"] == answer["errors"][0]["msg"] == "min 6 is greater than max 1"


def test_a_refusal_names_the_parameter(service: RunningService) -> None:
    client = service.client
    assert client.get("/random/65537").json()["detail"] == "n: Input should be less than or equal to 65536"
    misspelt = client.post("/random", json={"n": 8, "formt": "hex"}).json()
    assert misspelt["detail"] == "formt: Extra inputs are not permitted"
    assert client.get("/blocks/abc").json()["detail"].startswith("block_id: ")


@pytest.mark.parametrize(
    "accept, content_type",
    [
        ("*/*", "application/octet-stream"),
        ("application/json", "application/json"),
        ("text/html,*/*;q=0.8", "text/plain; charset=us-ascii"),
    ],
)
def test_the_accept_header_chooses_the_format(accept: str, content_type: str, service: RunningService) -> None:
    answer = service.client.get("/random/8", headers={"Accept": accept})
    assert answer.headers["Content-Type"] == content_type


def test_no_representation_that_fits_is_not_acceptable_and_consumes_nothing(service: RunningService) -> None:
    answer = service.client.get("/random/8", headers={"Accept": "image/png"})
    assert (answer.status_code, answer.json()["type"]) == (406, "/problems/not-acceptable")
    assert service.client.get("/stats").json()["service"]["answers"] == {"public": 0, "private": 0}
