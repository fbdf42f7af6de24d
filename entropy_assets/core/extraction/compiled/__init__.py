"""The same numbers as the arrays give, by compiled loops; nothing of numba is loaded before `loops` is called.

Every function in here has a twin in NumPy in the module of its name, and returns the same whole numbers, or floats that
are whole numbers; what follows from them, in floating point, is computed in one place for both.
"""

from functools import cache
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import is_on_host
from entropy_assets.errors import ExtraMissing

NARROW: Final = frozenset({np.dtype(np.int16), np.dtype(np.int32)})
"""Types of steps that are compiled for; wider ones, which are rare, are left to the arrays."""


class Loops(NamedTuple):
    """The modules of compiled loops."""

    artefacts: ModuleType
    dither: ModuleType
    lattices: ModuleType
    linearity: ModuleType
    noise: ModuleType
    slopes: ModuleType
    spectrum: ModuleType
    squares: ModuleType


@cache
def loops() -> Loops | None:
    """Return the compiled loops, or None where numba is not installed."""
    try:
        from entropy_assets.core.extraction.compiled import (
            artefacts,
            dither,
            lattices,
            linearity,
            noise,
            slopes,
            spectrum,
            squares,
        )
    except ExtraMissing:
        return None
    return Loops(artefacts, dither, lattices, linearity, noise, slopes, spectrum, squares)


def loops_for(steps: npt.NDArray[np.signedinteger]) -> Loops | None:
    """Return the compiled loops if there are some for these steps, ``[..., nx]``; none for arrays elsewhere."""
    if not is_on_host(steps):
        return None
    return loops() if steps.dtype in NARROW and steps.flags.c_contiguous else None
