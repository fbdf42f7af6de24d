"""Which way the counts are taken: of arrays in memory by compiled loops where numba is installed, else by arrays.

Both give the same.
"""

from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

from entropy_assets.core.arrays import is_on_host
from entropy_assets.core.sp800_90b.arrays import counts as counts_by_arrays
from entropy_assets.errors import ExtraMissing


class Kernels(NamedTuple):
    """The modules of compiled loops."""

    bit_contexts: ModuleType
    board: ModuleType
    contexts: ModuleType
    counts: ModuleType
    shuffles: ModuleType
    sorting: ModuleType
    symbol_contexts: ModuleType
    walks: ModuleType
    windows: ModuleType


@cache
def kernels() -> Kernels | None:
    """Return the compiled loops, or None where numba is not installed. Nothing is loaded before the first call."""
    try:
        from entropy_assets.core.sp800_90b.compiled import (
            bit_contexts,
            board,
            contexts,
            counts,
            shuffles,
            sorting,
            symbol_contexts,
            walks,
            windows,
        )
    except ExtraMissing:
        return None
    return Kernels(bit_contexts, board, contexts, counts, shuffles, sorting, symbol_contexts, walks, windows)


def kernels_for(values: Any) -> Kernels | None:
    """Return the compiled loops for an array in memory; none for one elsewhere."""
    return kernels() if is_on_host(values) else None


def counts_for(values: Any) -> ModuleType:
    """Return what takes the counts of an array: `arrays.counts`, or its twin with the same functions."""
    loops = kernels_for(values)
    return loops.counts if loops else counts_by_arrays
