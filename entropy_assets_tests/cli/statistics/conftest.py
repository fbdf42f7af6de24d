"""Bits to test: good ones, and such that no test would let pass."""

from pathlib import Path

import numpy as np
import pytest

GOOD = np.random.Generator(np.random.PCG64(8)).bytes(60 * 1250)
"""60 sequences of 10,000 bits."""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.bin"
    path.write_bytes(GOOD)
    return path


@pytest.fixture
def alternating(tmp_path: Path) -> Path:
    path = tmp_path / "alternating.bin"
    path.write_bytes(b"\x55" * 12_500)
    return path
