"""The statistics of the permutation tests that follow from walking through a sequence (SP 800-90B 5.1.1 to 5.1.10)."""

from typing import Any

import numpy as np

from entropy_assets.core.compiling import kernel


@kernel
def excursion(raw: Any, total: int) -> Any:
    """Return n times how far the sum of the samples ever strays from its mean course."""
    n, place, strays = np.int64(len(raw)), np.int64(0), np.int64(0)
    for value in raw:
        place += n * np.int64(value) - total
        strays = max(strays, abs(place))
    return strays


@kernel
def directions(values: Any) -> Any:
    """Return how many runs of rises and falls there are, how long the longest is, and how many rises."""
    runs, longest, begun, rises = 1, 0, 1, 0
    up = values[1] >= values[0]
    for i in range(1, len(values)):
        own = values[i] >= values[i - 1]
        rises += own
        if own != up:
            runs += 1
            longest = max(longest, i - begun)
            up, begun = own, i
    return runs, max(longest, len(values) - begun), rises


@kernel
def median_runs(places: Any, upper: int) -> Any:
    """Return how many runs of values below `upper` or not below it there are, and how long the longest is."""
    runs, longest, begun = 1, 0, 0
    above = places[0] >= upper
    for i in range(1, len(places)):
        own = places[i] >= upper
        if own != above:
            runs += 1
            longest = max(longest, i - begun)
            above, begun = own, i
    return runs, max(longest, len(places) - begun)


@kernel
def collisions(values: Any) -> Any:
    """Return how many searches for a value seen before end, over how many samples in all, and over how many at most."""
    seen = np.full(256, -1, dtype=np.int64)
    count, begun, longest = 0, 0, 0
    for i in range(len(values)):
        value = values[i]
        if seen[value] >= begun:
            longest = max(longest, i + 1 - begun)
            count += 1
            begun = i + 1
        seen[value] = i
    return count, begun, longest


@kernel
def at_lag(values: Any, lag: int) -> Any:
    """Return how many samples equal the one `lag` before, and the sum of the products of both."""
    equal, products = np.int64(0), np.int64(0)
    for i in range(len(values) - lag):
        equal += values[i] == values[i + lag]
        products += np.int64(values[i]) * np.int64(values[i + lag])
    return equal, products
