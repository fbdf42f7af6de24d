"""Which way the counts are taken: by compiled loops where numba is installed, else by arrays; both give the same."""

from functools import cache
from types import ModuleType
from typing import NamedTuple

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
