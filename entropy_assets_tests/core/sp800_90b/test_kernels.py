"""Compiled loops and arrays take the same counts, and nothing is compiled or loaded where nobody asks."""

import json
import subprocess
import sys
from collections.abc import Callable

import array_api_strict
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.arrays import WORD_BITS
from entropy_assets.core.sp800_90b import (
    contexts,
    estimators,
    kernels,
    non_iid,
    predictors,
    scoreboard,
    tuples,
    windows,
)
from entropy_assets.core.sp800_90b.arrays import sorting
from entropy_assets.core.sp800_90b.arrays.sorting import Windows
from entropy_assets_tests.core.sp800_90b.conftest import by_arrays
from entropy_assets_tests.core.sp800_90b.sequences import sequences

Symbols = npt.NDArray[np.uint8]
HITS: dict[str, Callable[[Symbols, int], npt.NDArray[np.bool_]]] = {
    "multi_mcw": predictors.multi_mcw_hits,
    "lag": predictors.lag_hits,
    "multi_mmc": contexts.multi_mmc_hits,
    "lz78y": contexts.lz78y_hits,
}
ESTIMATES = {
    **{name: getattr(predictors, name) for name in HITS},
    "tuples": tuples.tuples_and_repeats,
    "collision": lambda s, k: estimators.collision(s & 1),
    "compression": lambda s, k: estimators.compression(np.tile(s & 1, 50)),
}
ALPHABETS = (2, 3, 16, 256)
# Reports which packages are loaded after the modules that the service and the pipeline need.
LOADED = """
import json, sys
import entropy_assets.core.credit.assessment, entropy_assets.stages.extraction, entropy_assets.serving.service
print(json.dumps(sorted({"numba", "llvmlite"} & set(sys.modules))))
"""
# Estimates where numba can't be imported.
WITHOUT_NUMBA = """
import json, sys
sys.modules["numba"] = None
import numpy as np
from entropy_assets.core.sp800_90b import kernels, predictors
symbols = np.arange(3000, dtype=np.uint8) ** 2 % 11
print(json.dumps([kernels.kernels() is None, predictors.lag(symbols, 11).min_entropy]))
"""


def told_by(script: str) -> object:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", HITS)
def test_the_same_samples_are_predicted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sample by sample, whatever the limits of the dictionaries and how much is looked at at once."""
    pytest.importorskip("numba")

    @given(sequences(alphabets=ALPHABETS), st.sampled_from([1, 60, 10**6]), st.sampled_from([20, 400, 10**6]))
    @settings(max_examples=60, deadline=None)
    def agree(drawn: tuple[Symbols, int], pairs: int, held: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(contexts, "MMC_ENTRIES", pairs)
            patch.setattr(contexts, "LZ78Y_ENTRIES", held)
            patch.setattr(scoreboard, "CELLS_AT_ONCE", 300)
            patch.setattr(windows, "SAMPLES_AT_ONCE", 100)
            compiled = HITS[name](*drawn)
            with by_arrays():
                assert np.array_equal(HITS[name](*drawn), compiled)

    agree()


def test_a_context_predicts_only_if_the_shorter_one_does(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """6.3.9 step 4: with room for one pair a depth, 1 after 0 is known, and what follows 01 is not looked up."""
    monkeypatch.setattr(contexts, "MMC_ENTRIES", 1)
    bits = np.tile(np.array([0, 1, 1], dtype=np.uint8), 50)
    places = np.arange(len(bits))
    assert np.array_equal(contexts.multi_mmc_hits(bits, 2), (places % 3 == 1) & (places > 1))


@pytest.mark.parametrize("name", ESTIMATES)
def test_the_same_digits_come_out(name: str) -> None:
    """What follows from the counts is computed in one place, so not one bit of a float differs."""
    pytest.importorskip("numba")

    @given(sequences(alphabets=ALPHABETS))
    @settings(max_examples=40, deadline=None)
    def agree(drawn: tuple[Symbols, int]) -> None:
        compiled = ESTIMATES[name](*drawn)
        with by_arrays():
            assert ESTIMATES[name](*drawn) == compiled

    agree()


@pytest.mark.parametrize("are_bits", [False, True])
def test_the_same_digits_come_out_wherever_symbols_are_counted(are_bits: bool) -> None:
    """With repeats that are longer than a window, and up to a longest tuple."""

    @given(sequences(alphabets=(2,) if are_bits else ALPHABETS), st.sampled_from([None, 70]))
    @settings(max_examples=25, deadline=None)
    def agree(drawn: tuple[Symbols, int], longest: int | None) -> None:
        symbols, alphabet = np.tile(drawn[0], 40 if are_bits else 1), drawn[1]
        expected = non_iid.counted(symbols, alphabet, longest, are_bits=are_bits)
        elsewhere = array_api_strict.asarray(symbols)
        assert non_iid.counted(elsewhere, alphabet, longest, are_bits=are_bits) == expected
        by_loops = list(tuples.repeated_tuples(symbols, alphabet, longest))
        assert list(tuples.repeated_tuples(elsewhere, alphabet, longest)) == by_loops

    agree()


@pytest.mark.parametrize("alphabet", [2, 37, 256])
def test_the_same_with_tables_that_are_hashed(alphabet: int) -> None:
    """Long enough that contexts have no table of their own, and with a rule, so that long ones are repeated."""
    pytest.importorskip("numba")
    rng = np.random.default_rng(alphabet)
    symbols = rng.integers(0, alphabet, 30_000).astype(np.uint8)
    symbols[9000:12_000] = symbols[2000:5000]
    symbols[20_000:] = np.where(rng.random(10_000) < 0.9, symbols[19_000:29_000], symbols[20_000:])
    compiled = {name: hits(symbols, alphabet) for name, hits in HITS.items()}
    both = tuples.tuples_and_repeats(symbols, alphabet)
    with by_arrays():
        for name, hits in HITS.items():
            assert np.array_equal(hits(symbols, alphabet), compiled[name]), name
        assert tuples.tuples_and_repeats(symbols, alphabet) == both


@pytest.mark.parametrize("bits", [1, 3, 5, 8])
def test_tuples_that_are_few_and_many_are_counted_alike(bits: int) -> None:
    """Windows that are compared as they stand, cells of more of them that are sorted, and what the end cuts off.

    The length of a run says nothing below 35, the least that is estimated from.
    """
    pytest.importorskip("numba")
    rng = np.random.default_rng(bits)
    even, uneven = rng.integers(0, 1 << bits, 4000), np.minimum(rng.geometric(0.6, 4000) - 1, (1 << bits) - 1)
    for symbols in (np.concatenate((even, uneven)), np.concatenate((uneven, even)), even[:300], uneven[:70]):
        windows = Windows(symbols.astype(np.uint8), bits, WORD_BITS // bits)
        loops = kernels.kernels()
        assert loops is not None
        most, pairs = tuples._compiled_runs(windows, loops)
        most_by_arrays, pairs_by_arrays = sorting.runs(windows)
        assert np.array_equal(pairs[1:], pairs_by_arrays[1:])
        least = tuples.LEAST_TUPLE_COUNT - 1
        assert np.array_equal(most[1:] * (most[1:] >= least), most_by_arrays[1:] * (most_by_arrays[1:] >= least))


@pytest.mark.parametrize("share", [0.5, 0.9, 1.0])
def test_long_repeats_are_put_in_order(share: float) -> None:
    """By all that follows, as the end of the sequence cuts it off: bits of which so many are 1, with a copy."""
    bits = (np.random.default_rng(1).random(3000) < share).astype(np.uint8)
    bits[2000:2600] = bits[300:900]
    windows = Windows(bits, 1, WORD_BITS)
    starts, groups = sorting.repeated(windows, windows.ascending())
    ordered = starts[tuples._in_order(tuples._Octets(windows), starts, groups)].tolist()
    data = bits.tobytes()
    assert ordered == sorted(starts.tolist(), key=lambda start: data[start:])


@pytest.mark.parametrize("length", [1, 63, 64, 65, 130, 1000])
@pytest.mark.parametrize("share", [0.5, 0.97, 1.0])
def test_hits_and_the_longest_run_are_those_of_the_flags(length: int, share: float) -> None:
    """Runs within a word, over the edges of words, and of whole words."""
    pytest.importorskip("numba")
    flags = np.random.default_rng(length).random(length) < share
    compiled = predictors.hits_and_longest(flags)
    with by_arrays():
        assert predictors.hits_and_longest(flags) == compiled


@pytest.mark.parametrize("few", [1, 46_000, 46_400, 70_000])
def test_pairs_are_counted_whether_or_not_squares_fit_32_bits(few: int) -> None:
    """Of tuples of two bits that occur so often, and so of those of one bit."""
    pytest.importorskip("numba")
    loops = kernels.kernels()
    assert loops is not None
    counts, none = np.array([few, 3, 0, 200]), np.empty(0, dtype=np.uint64)
    most, pairs = np.zeros((2, 3), dtype=np.int64)
    loops.sorting.fold(counts.copy(), np.empty_like(counts), none, none.astype(np.int64), 1, 0, 2, most, pairs)
    of_one = np.array([few + 3, 200])
    assert most.tolist() == [0, of_one.max() - 1, counts.max() - 1]
    assert np.cumsum(pairs[::-1]).tolist() == [*((c * (c - 1) // 2).sum() for c in (counts, of_one)), 0]


def test_nothing_is_loaded_before_somebody_estimates() -> None:
    """The service never does, and imports take no longer where numba is installed."""
    assert told_by(LOADED) == []


def test_without_numba_the_arrays_do_it() -> None:
    """The same estimate, and no error."""
    symbols = np.arange(3000, dtype=np.uint8) ** 2 % 11
    assert told_by(WITHOUT_NUMBA) == [True, predictors.lag(symbols, 11).min_entropy]


def test_where_no_code_can_be_kept_it_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that can't be written to, and a user without a home."""
    pytest.importorskip("numba")
    from entropy_assets.core import compiling

    asked = []

    def refuse_to_keep(**options: object) -> Callable[[object], object]:
        asked.append(bool(options.get("cache")))
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(compiling, "njit", refuse_to_keep)
    assert compiling.kernel(len) is len
    assert asked == [True, False]


def test_arrays_stay_small(way: str) -> None:
    """A million bits once took 4 GB in the Lag predictor; now a tenth of that takes some bytes a bit."""
    import tracemalloc

    bits = np.random.default_rng(1).integers(0, 2, 100_000).astype(np.uint8)
    predictors.lag(bits[:1000], 2)
    tracemalloc.start()
    try:
        predictors.lag(bits, 2)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()
