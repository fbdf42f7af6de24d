"""Compiled loops and arrays take the same counts, and nothing is compiled or loaded where nobody asks."""

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_22 import packed
from entropy_assets.core.sp800_22.arrays import linear as linear_arrays
from entropy_assets.core.sp800_22.kernels import ARRAYS, Counting, compiled
from entropy_assets.core.sp800_22.packed import PackedBits
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets_tests.core.sp800_22.conftest import by_arrays
from entropy_assets_tests.core.sp800_22.sequences import bit_arrays

COUNTS: dict[str, Callable[[Counting, PackedBits, int], Any]] = {
    "walk": lambda way, bits, k: way.walks.walk(bits),
    "block_windows": lambda way, bits, k: way.histograms.block_windows(bits, k % 12 + 1, k, bits.n // k),
    "cyclic_windows": lambda way, bits, k: way.histograms.cyclic_windows(bits, k),
    "distances": lambda way, bits, k: way.histograms.distances(
        bits, k % 6 + 1, min(3 * k, bits.n // (k % 6 + 1)), max(0, bits.n // (k % 6 + 1) - 3 * k)
    ),
    "patterns": lambda way, bits, k: way.spectra.patterns(bits, 1 << k % 7),
    "ranks": lambda way, bits, k: way.linear.ranks(bits, bits.n // 1024),
    "complexities": lambda way, bits, k: way.linear.complexities(bits, bits.n // (5 * k), 5 * k),
}
# Which packages are loaded after the suite is imported, and after one test by arrays.
LOADED = """
import json, sys
sys.modules["numba"] = None
from entropy_assets.core.sp800_22 import kernels, suite
before = sorted({"scipy.special", "scipy.fft"} & set(sys.modules))
found = suite.run_suite(bytes(range(256)) * 40, sizes=False)
print(json.dumps([before, kernels.compiled() is None, [row["p"] for row in found.rows()]]))
"""
UNASKED = """
import json, sys
import entropy_assets.core.sp800_22.suite
print(json.dumps(sorted({"numba", "llvmlite"} & set(sys.modules))))
"""


def told_by(script: str) -> Any:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def flat(found: Any) -> list[np.ndarray]:
    return list(found) if isinstance(found, tuple) else [found]


@pytest.mark.parametrize("name", COUNTS)
def test_both_ways_take_the_same_counts(name: str) -> None:
    """For any length, also none, and however much is looked at at once."""
    pytest.importorskip("numba")
    loops = compiled()
    assert loops is not None

    @given(bit_arrays(least=0, most=3000), st.integers(1, 20), st.sampled_from([1, 3, 1 << 12]))
    @settings(max_examples=80, deadline=None)
    def agree(bits: np.ndarray, k: int, words: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packed, "WORDS_AT_ONCE", words)
            patch.setattr(linear_arrays, "BLOCKS_AT_ONCE", 64 * words)
            sequence = PackedBits.of(bits)
            one, other = (flat(COUNTS[name](way, sequence, k)) for way in (ARRAYS, loops))
            assert [array.tolist() for array in one] == [array.tolist() for array in other]

    agree()


@pytest.mark.parametrize("compat", ["strict", "sts"])
def test_the_same_digits_come_out(compat: Any) -> None:
    """What follows from the counts is computed in one place, so not one bit of a float differs."""
    pytest.importorskip("numba")
    data = np.random.default_rng(5).integers(0, 256, 60_001).astype(np.uint8)
    rows = [row["p"] for row in run_suite(data, 480_003, compat=compat, sizes=False).rows()]
    with by_arrays():
        assert [row["p"] for row in run_suite(data, 480_003, compat=compat, sizes=False).rows()] == rows
    assert len(rows) == 188


def test_nothing_is_loaded_before_somebody_counts() -> None:
    assert told_by(UNASKED) == []


def test_without_numba_the_arrays_do_it() -> None:
    """The same P-values, and neither SciPy's special functions nor its FFT before they are needed."""
    expected = [row["p"] for row in run_suite(bytes(range(256)) * 40, sizes=False).rows()]
    assert told_by(LOADED) == [[], True, expected]


def test_arrays_stay_small(way: str) -> None:
    """No byte a bit: a sequence of four million takes some megabytes, whichever way."""
    data = np.random.default_rng(1).integers(0, 256, 500_000).astype(np.uint8)
    run_suite(data, 1_000_000)
    tracemalloc.start()
    try:
        run_suite(data)
        assert tracemalloc.get_traced_memory()[1] < 40e6
    finally:
        tracemalloc.stop()
