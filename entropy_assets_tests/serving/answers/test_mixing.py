"""Mixing: fresh bytes of the operating system for each answer."""

import os

import pytest

from entropy_assets.serving.answers import mixing
from entropy_assets.serving.answers.mixing import FEW_BYTES, mixed


@pytest.mark.parametrize("length", [64, 1024])
def test_mixing_the_same_bytes_twice_gives_two_answers(length: int) -> None:
    zeros = bytes(length)
    assert mixed(zeros) != mixed(zeros)


@pytest.mark.parametrize("length", [1, 2, 7, FEW_BYTES - 1, FEW_BYTES, 65_536])
def test_mixing_keeps_the_length_and_is_xor(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pad, data = os.urandom(length), os.urandom(length)
    monkeypatch.setattr(mixing.os, "urandom", lambda n: pad[:n])
    assert mixed(data) == bytes(one ^ other for one, other in zip(data, pad, strict=True))
    assert mixed(bytes(length)) == pad
