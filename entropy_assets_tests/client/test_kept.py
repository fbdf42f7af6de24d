"""A public answer that was kept, against the block that it names. What the audit does with one is in cli/."""

import base64
import json
from pathlib import Path

import pytest

from entropy_assets.client.kept import KeptAnswer
from entropy_assets.errors import ChainBroken, InputRefused


def answer(**other: object) -> str:
    """Return what the service answers in JSON to a public draw of the first 16 bytes of a block of zeros."""
    blocks = [{"block_id": "another", "start": 0, "end": 16}]
    kept = {"n": 16, "encoding": "base64", "data": base64.b64encode(bytes(16)).decode(), "class": "public"}
    return json.dumps({**kept, "simulated": False, "blocks": blocks, **other})


@pytest.mark.parametrize(
    "text, why",
    [
        (answer(**{"class": "private"}), "no bytes of the class public"),
        (answer(encoding="int", data=[1, 2]), "format=json"),
        (answer(data="AAAA"), "it has 3 bytes, and its blocks are said to give 16"),
        (answer(blocks=[{"block_id": "a", "start": 4, "end": 4}]), "no range"),
        (answer(blocks=[{"block_id": "a", "start": False, "end": 16}]), "no range"),
        (answer(blocks=7), "no public answer"),
        ("[" * 99_999, "no public answer"),
        ("raw bytes", "no public answer"),
    ],
)
def test_what_is_no_public_answer_is_refused_with_how_to_keep_one(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "answer").write_text(text)
    with pytest.raises(InputRefused, match=why) as refused:
        KeptAnswer.read(tmp_path / "answer")
    assert "--class public --json" in str(refused.value)


def test_an_answer_says_nothing_of_a_block_that_it_does_not_name(tmp_path: Path) -> None:
    (tmp_path / "answer").write_text(answer())
    kept = KeptAnswer.read(tmp_path / "answer")
    assert [str(each) for each in kept.require_bytes_of("another", bytes(4096))] == [
        "bytes 0 to 15 of the answer are its bytes 0 to 15"
    ]
    with pytest.raises(InputRefused, match="it names another"):
        kept.require_bytes_of("the block", bytes(4096))
    for block in (bytes(12), bytes(12) + b"x" * 9):
        with pytest.raises(ChainBroken, match="byte 12 of the answer is not byte 12"):
            kept.require_bytes_of("another", block)


def test_an_answer_that_has_bytes_of_a_block_twice_is_found(tmp_path: Path) -> None:
    """They are the block's, and yet no service may give them twice."""
    block = bytes(range(64))
    cuts = [(0, 16), (32, 48), (40, 64)]
    data = base64.b64encode(b"".join(block[start:end] for start, end in cuts)).decode()
    blocks = [{"block_id": "a", "start": start, "end": end} for start, end in cuts]
    kept = tmp_path / "answer"
    kept.write_text(json.dumps({"class": "public", "encoding": "base64", "data": data, "blocks": blocks}))
    with pytest.raises(ChainBroken, match="bytes 40 to 47 of block a are in the answer twice"):
        KeptAnswer.read(kept).require_bytes_of("a", block)
