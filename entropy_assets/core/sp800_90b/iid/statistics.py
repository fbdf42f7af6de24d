"""The nineteen statistics of the permutation tests (SP 800-90B 5.1.1 to 5.1.11).

All but the compression follow from integers. Bits are looked at in groups of 8 where the standard says so: by how many
are 1 (conversion I), or as a number (conversion II).
"""

import bz2
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_90b.alphabets import Symbols
from entropy_assets.core.sp800_90b.kernels import kernels

GROUP: Final = 8
"""Bits that conversions I and II take together (5.1)."""
LAGS: Final = (1, 2, 8, 16, 32)
"""p of periodicity and covariance (5.1.9, 5.1.10)."""
LEVEL: Final = 5
"""Block size of bzip2 as in NIST's tool, 100 kB; the standard leaves it open (5.1.11)."""
DIRECTIONS: Final = ("directional_runs", "longest_directional_run", "increases_or_decreases")
MEDIANS: Final = ("median_runs", "longest_median_run")
COLLISIONS: Final = ("average_collision", "maximum_collision")
PERIODICITIES: Final = tuple(f"periodicity_{lag}" for lag in LAGS)
COVARIANCES: Final = tuple(f"covariance_{lag}" for lag in LAGS)
NAMES: Final = ("excursion", *DIRECTIONS, *MEDIANS, *COLLISIONS, *PERIODICITIES, *COVARIANCES, "compression")
"""All statistics, in the order of the standard."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """What does not change when a sequence is permuted.

    Attributes
    ----------
    raw
        ``uint8[alphabet]``, the symbols as they came, ascending; sequences hold their places here.
    total
        Sum of all raw symbols.
    upper
        The least place that is not below the median (5.1.5).
    """

    raw: Symbols
    total: int
    upper: int

    @property
    def binary(self) -> bool:
        """Whether the symbols are bits."""
        return len(self.raw) == 2

    @classmethod
    def of(cls, places: Symbols, raw: Symbols) -> Self:
        """Return the law of a sequence of `places` in `raw`. The median of bits is 1/2."""
        counts = np.bincount(places, minlength=len(raw))
        middle = int(np.searchsorted(np.cumsum(counts), len(places) // 2, side="right"))
        return cls(raw, int(counts @ raw.astype(np.int64)), 1 if len(raw) == 2 else middle)


def statistics(places: Symbols, law: Law, wanted: Collection[str] = NAMES) -> dict[str, float]:
    """Return those statistics that are `wanted`, by name, of ``uint8[n]`` places in ``law.raw``."""
    found: dict[str, float] = {}
    groups = _numbers_of_ones(places) if law.binary else places
    if "excursion" in wanted:
        found["excursion"] = excursion(law.raw[places], law.total)
    if any(name in wanted for name in DIRECTIONS):
        found |= zip(DIRECTIONS, directions(groups), strict=True)
    if any(name in wanted for name in MEDIANS):
        found |= zip(MEDIANS, median_runs(places, law.upper), strict=True)
    if any(name in wanted for name in COLLISIONS):
        found |= zip(COLLISIONS, collisions(np.packbits(places) if law.binary else places), strict=True)
    products = groups if law.binary else law.raw[places]
    for lag, periodic, covariant in zip(LAGS, PERIODICITIES, COVARIANCES, strict=True):
        if periodic in wanted or covariant in wanted:
            found[periodic], found[covariant] = at_lag(products, lag)
    if "compression" in wanted:
        found["compression"] = compressed(law.raw[places])
    return {name: found[name] for name in NAMES if name in wanted}


def _numbers_of_ones(bits: Symbols) -> Symbols:
    """Return how many of each 8 bits are 1; what is missing in the last group is 0 (conversion I)."""
    ones: Symbols = np.bitwise_count(np.packbits(bits))
    return ones


def excursion(raw: Symbols, total: int) -> float:
    """Return how far the sum of the samples ever strays from its mean course (5.1.1)."""
    n = len(raw)
    if compiled := kernels():
        return int(compiled.walks.excursion(raw, total)) / n
    sums = np.cumsum(raw, dtype=np.int64)
    sums *= n
    sums -= np.arange(1, n + 1) * total
    return int(max(sums.max(), -sums.min())) / n


def directions(values: Symbols) -> tuple[int, int, int]:
    """Return how many runs of rises and falls there are, how long the longest is, and how many the more frequent.

    An equal neighbour counts as a rise (5.1.2 to 5.1.4).
    """
    if compiled := kernels():
        runs, longest, rises = compiled.walks.directions(values)
    else:
        up = values[1:] >= values[:-1]
        (runs, longest), rises = _runs(up), np.count_nonzero(up)
    return int(runs), int(longest), int(max(rises, len(values) - 1 - rises))


def median_runs(places: Symbols, upper: int) -> tuple[int, int]:
    """Return how many runs of values below the median or not below it there are, and how long the longest is."""
    if compiled := kernels():
        runs, longest = compiled.walks.median_runs(places, upper)
        return int(runs), int(longest)
    return _runs(places >= upper)


def _runs(flags: npt.NDArray[np.bool_]) -> tuple[int, int]:
    edges = np.flatnonzero(np.concatenate(([True], flags[1:] != flags[:-1], [True])))
    return len(edges) - 1, int(np.diff(edges).max())


def collisions(values: Symbols) -> tuple[float, int]:
    """Return how many samples are seen on average until one of them occurs again, and at most (5.1.7, 5.1.8)."""
    if compiled := kernels():
        count, total, longest = compiled.walks.collisions(values)
    else:
        count, total, longest = _collisions(values)
    return (int(total) / int(count) if count else 0.0), int(longest)


def _collisions(values: Symbols) -> tuple[int, int, int]:
    """Return how many searches end, over how many samples in all, and over how many at most."""
    order = np.argsort(values, kind="stable")
    before = np.full(len(values), -1, dtype=np.int64)
    again = values[order[1:]] == values[order[:-1]]
    before[order[1:][again]] = order[:-1][again]
    ends = np.searchsorted(np.maximum.accumulate(before), np.arange(len(values))) + 1
    steps, place, count, longest = ends.tolist(), 0, 0, 0
    while place < len(steps) and steps[place] <= len(steps):
        count, longest = count + 1, max(longest, steps[place] - place)
        place = steps[place]
    return count, place, longest


def at_lag(values: Symbols, lag: int) -> tuple[int, int]:
    """Return how many samples equal the one `lag` before, and the sum of the products of both (5.1.9, 5.1.10)."""
    if compiled := kernels():
        equal, products = compiled.walks.at_lag(values, lag)
        return int(equal), int(products)
    late, early = values[lag:], values[:-lag] if lag else values
    products = np.einsum("i,i", late.astype(np.int64), early.astype(np.int64))
    return int(np.count_nonzero(late == early)), int(products)


def compressed(raw: Symbols) -> int:
    """Return how many bytes bzip2 makes of the samples in decimal, with blanks between (5.1.11)."""
    return len(bz2.compress(decimal(raw), LEVEL))


def decimal(raw: Symbols) -> bytes:
    """Return the samples in decimal, with blanks between."""
    written = [f"{value} ".encode() for value in range(256)]
    table = np.zeros((256, 4), dtype=np.uint8)
    for value, text in enumerate(written):
        table[value, : len(text)] = list(text)
    if raw.max(initial=0) < 10:
        return table[raw, :2].tobytes()[:-1]
    spelt = table[raw]
    return spelt[spelt > 0].tobytes()[:-1]
