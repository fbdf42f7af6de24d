"""Sequences of bits for the tests of the tests: fair, biased, of one value, periodic, of any length."""

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st


@st.composite
def bit_arrays(draw: st.DrawFn, least: int = 1, most: int = 700) -> npt.NDArray[np.uint8]:
    """Give bits, one in a ``uint8``."""
    n = draw(st.integers(least, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    bits = (rng.random(n) < draw(st.sampled_from([0.0, 0.05, 0.5, 0.5, 0.5, 0.9, 1.0]))).astype(np.uint8)
    period = draw(st.sampled_from([0, 0, 1, 2, 7, 64]))
    return np.resize(bits[:period], n) if period else bits
