"""Which way the counts are taken: by compiled loops where numba is installed, else by arrays; both give the same.

The modules of `arrays` and of `compiled` have the same functions, so whoever counts asks `counting` for one of them.
"""

from functools import cache
from types import ModuleType
from typing import NamedTuple

from entropy_assets.core.sp800_22.arrays import histograms, linear, spectra, walks
from entropy_assets.errors import ExtraMissing


class Counting(NamedTuple):
    """The modules that take the counts."""

    histograms: ModuleType
    linear: ModuleType
    spectra: ModuleType
    walks: ModuleType


ARRAYS = Counting(histograms, linear, spectra, walks)


@cache
def compiled() -> Counting | None:
    """Return the compiled loops, or None where numba is not installed. Nothing is loaded before the first call."""
    try:
        from entropy_assets.core.sp800_22.compiled import histograms, linear, spectra, walks
    except ExtraMissing:
        return None
    return Counting(histograms, linear, spectra, walks)


def counting() -> Counting:
    """Return the way to count: compiled where that can be, else by arrays."""
    return compiled() or ARRAYS
