"""The statistics of the permutation tests are the tool's, and those of a walk by hand."""

import bz2
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.sp800_90b.alphabets import numbered
from entropy_assets.core.sp800_90b.iid.statistics import LAGS, NAMES, Law, decimal, statistics
from entropy_assets_tests.core.sp800_90b.references import LONG_ARE_SLOW, known, symbols_of

TOLD = (
    "excursion", "numDirectionalRuns", "lenDirectionalRuns", "numIncreasesDecreases", "numRunsMedian", "lenRunsMedian",
    "avgCollision", "maxCollision", *(f"periodicity({lag})" for lag in LAGS), *(f"covariance({lag})" for lag in LAGS),
    "compression",
)  # fmt: skip
"""The tool's names, in the order of ours."""


def by_hand(symbols: list[int]) -> dict[str, float]:
    """Walk through 5.1.1 to 5.1.11 step by step."""
    raw, n = symbols, len(symbols)
    values = sorted(set(symbols))
    groups, numbers, middle = symbols, symbols, float(np.median(symbols))
    if len(values) == 2:
        bits = [values.index(symbol) for symbol in symbols] + [0] * (-n % 8)
        eights = [bits[i : i + 8] for i in range(0, len(bits), 8)]
        groups, numbers = [sum(eight) for eight in eights], [int("".join(map(str, eight)), 2) for eight in eights]
        middle = sum(values) / 2
    found: dict[str, float] = {"excursion": max(abs(sum(raw[: i + 1]) - (i + 1) * sum(raw) / n) for i in range(n))}
    up = ["+" if b >= a else "-" for a, b in itertools.pairwise(groups)]
    above = ["+" if symbol >= middle else "-" for symbol in symbols]
    lengths = {id(signs): runs_of(signs) for signs in (up, above)}
    found |= {"directional_runs": len(lengths[id(up)]), "longest_directional_run": max(lengths[id(up)])}
    found |= {"increases_or_decreases": max(up.count("+"), up.count("-"))}
    found |= {"median_runs": len(lengths[id(above)]), "longest_median_run": max(lengths[id(above)])}
    distances, seen = [], []
    for number in numbers:
        seen.append(number)
        if number in seen[:-1]:
            distances.append(len(seen))
            seen = []
    found |= {"average_collision": sum(distances) / len(distances) if distances else 0.0}
    found |= {"maximum_collision": max(distances, default=0)}
    for lag in LAGS:
        pairs = list(zip(groups, groups[lag:], strict=False))
        found[f"periodicity_{lag}"] = sum(a == b for a, b in pairs)
        found[f"covariance_{lag}"] = sum(a * b for a, b in pairs)
    found["compression"] = len(bz2.compress(" ".join(map(str, raw)).encode(), 5))
    return found


def runs_of(signs: list[str]) -> list[int]:
    return [len(run) for run in "".join(signs).replace("+-", "+ -").replace("-+", "- +").split()]


def of(symbols: np.ndarray) -> dict[str, float]:
    places, _ = numbered(symbols)
    raw = np.unique(symbols)
    return statistics(places, Law.of(places, raw))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", LONG_ARE_SLOW)
def test_the_statistics_are_those_of_the_tool(shared_data: Path, name: str) -> None:
    """All nineteen of the samples in their order."""
    told = known(shared_data)["iid"][name]["unpermuted"]
    assert set(told) == set(TOLD)
    found = of(symbols_of(shared_data, name))
    assert list(found) == list(NAMES)
    for theirs, ours in zip(TOLD, NAMES, strict=True):
        assert found[ours] == pytest.approx(float(told[theirs]), rel=1e-13, abs=1e-10), ours


@pytest.mark.usefixtures("way")
@given(st.sampled_from([2, 3, 16, 256]), st.integers(528, 700), st.integers(0, 2**32), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_the_statistics_are_those_of_a_walk_by_hand(alphabet: int, n: int, seed: int, shape: int) -> None:
    """Even, uneven, sticky and gappy symbols."""
    rng = np.random.default_rng(seed)
    symbols = rng.integers(0, alphabet, n)
    if shape == 1:
        symbols = np.minimum(symbols, rng.integers(0, alphabet, n))
    elif shape == 2:
        symbols = np.repeat(symbols, 5)[:n]
    elif shape == 3:
        symbols = symbols // 2 * 2
    if len(np.unique(symbols)) > 1:
        symbols = symbols.astype(np.uint8)
        assert of(symbols) == pytest.approx(by_hand(symbols.tolist()), rel=1e-12)


def test_only_what_is_wanted_is_computed() -> None:
    """Those that are decided cost nothing."""
    symbols = np.random.default_rng(1).integers(0, 256, 600, dtype=np.uint8)
    law = Law.of(symbols, np.arange(256, dtype=np.uint8))
    wanted = ("covariance_8", "excursion")
    assert list(statistics(symbols, law, wanted)) == ["excursion", "covariance_8"]


@pytest.mark.parametrize("symbols", [[0, 9, 3], [255, 0, 10, 99, 100]])
def test_samples_are_written_in_decimal(symbols: list[int]) -> None:
    """5.1.11, with blanks between and none at the end."""
    assert decimal(np.array(symbols, dtype=np.uint8)) == " ".join(map(str, symbols)).encode()
