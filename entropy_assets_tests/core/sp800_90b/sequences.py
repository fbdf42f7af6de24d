"""Sequences of symbols for the estimators, some with repeats that a predictor can find."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def sequences(draw: st.DrawFn, least: int = 150, alphabets: tuple[int, ...] = (2, 3, 5, 16)) -> tuple[np.ndarray, int]:
    """Give random symbols, some of them repeated from earlier on so that predictors have something to find."""
    alphabet = draw(st.sampled_from(alphabets))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    weights = rng.dirichlet(np.full(alphabet, draw(st.sampled_from([0.3, 1.0, 50.0]))))
    symbols = rng.choice(alphabet, size=draw(st.integers(least, 400)), p=weights).astype(np.uint8)
    if draw(st.booleans()):
        period = draw(st.integers(1, 40))
        half = len(symbols) // 2
        symbols[half:] = np.resize(symbols[half - period : half], len(symbols) - half)
    return symbols, alphabet
