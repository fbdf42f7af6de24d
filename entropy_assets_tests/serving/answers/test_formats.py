"""From pool bytes to an answer."""

import base64
import json
import os

import pytest

from entropy_assets.serving.answers import formats, mixing
from entropy_assets.serving.answers.formats import AnswerKind, Format, encode, known_queries, negotiated
from entropy_assets.serving.reservoir.stock import Cut, Draw

DRAW = Draw(bytes(range(20)), (Cut("one", 4090, 4096), Cut("two", 0, 14)), False)


def test_public_bytes_are_the_pools() -> None:
    answer = encode(DRAW, AnswerKind(public=True), "raw")
    assert answer.body == DRAW.data
    assert dict(answer.headers)[b"x-entropy-blocks"] == b"one:4090-4096,two:0-14"
    assert dict(answer.headers)[b"x-entropy-class"] == b"public"


def test_private_bytes_are_mixed_with_the_operating_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """XOR, so the answer is unpredictable if either of the two is."""
    pad = os.urandom(20)
    monkeypatch.setattr(mixing.os, "urandom", lambda n: pad[:n])
    answer = encode(DRAW, AnswerKind(), "raw")
    assert answer.body == bytes(one ^ other for one, other in zip(DRAW.data, pad, strict=True))
    assert dict(answer.headers)[b"x-entropy-class"] == b"private"


@pytest.mark.parametrize("chosen", formats.FORMATS)
def test_private_answers_name_no_block(chosen: Format) -> None:
    answer = encode(DRAW, AnswerKind(), chosen)
    assert b"x-entropy-blocks" not in dict(answer.headers)
    assert b"one" not in answer.body


@pytest.mark.parametrize(
    "chosen, decode",
    [
        ("raw", bytes),
        ("hex", lambda body: bytes.fromhex(body.decode())),
        ("base64", base64.b64decode),
        ("json", lambda body: base64.b64decode(json.loads(body)["data"])),
    ],
)
def test_every_format_carries_the_same_bytes(chosen: Format, decode: object) -> None:
    answer = encode(DRAW, AnswerKind(public=True), chosen)
    assert decode(answer.body) == DRAW.data  # type: ignore[operator]
    assert dict(answer.headers)[b"content-length"] == str(len(answer.body)).encode()
    assert dict(answer.headers)[b"cache-control"] == b"no-store"


def test_json_names_the_blocks_of_a_public_answer() -> None:
    body = json.loads(encode(DRAW, AnswerKind(public=True), "json").body)
    assert body["blocks"] == [
        {"block_id": "one", "start": 4090, "end": 4096},
        {"block_id": "two", "start": 0, "end": 14},
    ]
    assert (body["n"], body["class"], body["simulated"]) == (20, "public", False)


def test_simulated_bytes_are_labelled_in_every_class() -> None:
    draw = DRAW._replace(simulated=True)
    for kind in (AnswerKind(), AnswerKind(public=True)):
        assert dict(encode(draw, kind, "raw").headers)[b"x-entropy-simulated"] == b"true"
        assert json.loads(encode(draw, kind, "json").body)["simulated"] is True


@pytest.mark.parametrize(
    "accept, expected",
    [
        (None, "raw"),
        ("", "raw"),
        ("*/*", "raw"),
        ("application/json", "json"),
        ("application/json;q=0.2, text/plain", "hex"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "hex"),
        ("image/png, application/octet-stream;q=0.1", "raw"),
        ("image/png", None),
        ("*/*;q=0", None),
        ("application/json;q=x", None),
        ("application/json;q=7", None),
        ("application/octet-stream;q=0, */*", "json"),
        ("application/octet-stream;q=0.1, text/plain;q=0.9, */*;q=0.5", "hex"),
        ("application/json, text/plain, */*", "json"),
        ("application/*, text/plain", "hex"),
        ("text/*", "hex"),
    ],
)
def test_the_accept_header_decides_when_nothing_else_does(accept: str | None, expected: str | None) -> None:
    assert negotiated(accept) == expected


def test_the_short_cut_knows_the_usual_spellings_only() -> None:
    queries = known_queries()
    assert queries[b""] == AnswerKind()
    assert queries[b"class=public&format=hex"] == queries[b"format=hex&class=public"] == AnswerKind(True, "hex")
    assert b"class=Public" not in queries
    assert b"format=raw&format=hex" not in queries
