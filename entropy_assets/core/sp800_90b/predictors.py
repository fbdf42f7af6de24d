"""The prediction estimators of NIST SP 800-90B 6.3.7 to 6.3.10, without stepping through the samples.

Each has a function ``*_hits`` that tells which samples the predictor got right, and an estimate that follows from it.
"""

import math
from typing import Final

import numpy as np

from entropy_assets.core.sp800_90b import contexts, windows
from entropy_assets.core.sp800_90b.estimators import Estimate, Symbols, bits_of, upper_bound
from entropy_assets.core.sp800_90b.kernels import kernels
from entropy_assets.core.sp800_90b.scoreboard import WORD, Flags, Words, follow, follow_all, packed, words_of

WINDOWS: Final = (63, 255, 1023, 4095)
"""Windows of the MultiMCW predictor, samples (6.3.7 step 1)."""
LAGS: Final = 128
"""D of the Lag predictor (6.3.8 step 1)."""
LOCAL_CONFIDENCE: Final = 0.99
"""Probability that no longer run of right predictions is seen (6.3.7 step 6)."""
ROOT_STEPS: Final = 65
"""Iterations of the recurrence for x, as in NIST's tool; ten give the digits that the standard asks for."""


def prediction_entropy(correct: Flags, alphabet: int) -> Estimate | None:
    """Return the estimate that follows from which predictions were right (6.3.7 steps 4 to 7).

    P_local is looked for only where it can change the result, as in NIST's tool.

    Parameters
    ----------
    correct
        ``bool[N]``, in order.
    alphabet
        Number of symbols that could occur.
    """
    n = len(correct)
    if n < 2:
        return None
    hits, longest = hits_and_longest(correct)
    p_global = upper_bound(hits / n, n) if hits else 1 - 0.01 ** (1 / n)
    r = longest + 1
    values = {"c": hits, "r": r, "n": n, "p_global": hits / n, "p_global_bound": p_global}
    p_max = max(p_global, 1 / alphabet)
    if _log_no_run(p_max, r, n) > math.log(LOCAL_CONFIDENCE):
        values["p_local"] = local_probability(r, n)
        p_max = max(p_max, values["p_local"])
    return Estimate(bits_of(p_max), values)


def hits_and_longest(flags: Flags) -> tuple[int, int]:
    """Return how many flags are set, and the length of the longest run of them."""
    if compiled := kernels():
        hits, longest = compiled.board.hits_and_longest(packed(flags))
        return int(hits), int(longest)
    edges = np.flatnonzero(np.concatenate(([True], ~flags, [True])))
    return int(np.count_nonzero(flags)), int(np.diff(edges).max()) - 1


def local_probability(r: int, n: int) -> float:
    """Return P_local: the hit rate at which no run of `r` hits in `n` has probability 0.99 (6.3.7 step 6)."""

    def excess(p: float) -> float:
        return _log_no_run(p, r, n) - math.log(LOCAL_CONFIDENCE)

    low, high = 1e-12, 1 - 1e-12
    if excess(low) <= 0:
        return low
    if excess(high) >= 0:
        return 1.0
    from scipy.optimize import brentq  # half a second to import, which every process would pay

    return float(brentq(excess, low, high, xtol=1e-16, rtol=8.9e-16))


def _log_no_run(p: float, r: int, n: int) -> float:
    if p >= 1:
        return -math.inf
    q, x = 1 - p, 1.0
    for _ in range(ROOT_STEPS):
        exponent = r * math.log(p) + (r + 1) * math.log(x)
        if exponent > 30:
            return -math.inf
        before, x = x, 1 + q * math.exp(exponent)
        if x == before:
            break
    above, below = 1 - p * x, (r + 1 - r * x) * q
    if above <= 0 or below <= 0:
        return -math.inf
    return math.log(above) - math.log(below) - (n + 1) * math.log(x)


def multi_mcw(symbols: Symbols, alphabet: int) -> Estimate | None:
    """Return the estimate of 6.3.7: each sample is predicted to be the most common one of the last 63, 255, ..."""
    if len(symbols) < WINDOWS[0] + 2:
        return None
    return prediction_entropy(multi_mcw_hits(symbols, alphabet)[WINDOWS[0] :], alphabet)


def multi_mcw_hits(symbols: Symbols, alphabet: int) -> Flags:
    """Return for each sample whether MultiMCW was right; the first 63 are not predicted."""
    n = len(symbols)
    if compiled := kernels():
        lengths = np.array([window for window in WINDOWS if window < n])
        if alphabet == 2:
            return follow_all(compiled.windows.multi_mcw_bit_hits(symbols, lengths).T, n)
        return follow_all(compiled.windows.multi_mcw_hits(symbols, alphabet, lengths).T, n)
    modes = windows.bit_modes if alphabet == 2 else windows.modes
    right = np.zeros((len(WINDOWS), n), dtype=np.bool_)
    for row, window in zip(right, WINDOWS, strict=True):
        if window < n:
            row[window:] = modes(symbols, window, window, n) == symbols[window:]
    return follow_all(packed(right), n)


def lag(symbols: Symbols, alphabet: int) -> Estimate | None:
    """Return the estimate of 6.3.8: each sample is predicted to equal one of the 128 before it."""
    if len(symbols) < 2:
        return None
    return prediction_entropy(lag_hits(symbols, alphabet)[1:], alphabet)


def lag_hits(symbols: Symbols, alphabet: int) -> Flags:
    """Return for each sample whether the Lag predictor was right; the first one is not predicted."""
    n = len(symbols)
    if compiled := kernels():
        planes = _planes(symbols, alphabet)
        return follow(lambda start, stop: compiled.windows.lag_hits(planes[:, start : stop + 2]).T, LAGS, n)
    padded = np.concatenate((np.full(LAGS, -1, dtype=np.int16), symbols))

    def equal(start: int, stop: int) -> Words:
        begin, end = LAGS + start * WORD, LAGS + min(n, stop * WORD)
        own = padded[begin:end]
        return packed(np.stack([own == padded[begin - d : end - d] for d in range(1, LAGS + 1)]))

    return follow(equal, LAGS, n)


def _planes(symbols: Symbols, alphabet: int) -> Words:
    """Return each bit of the symbols as a sequence of its own, and one of ones, two empty words before each."""
    bits = (alphabet - 1).bit_length()
    planes = np.zeros((bits + 1, words_of(len(symbols)) + LAGS // WORD), dtype=np.uint64)
    for bit in range(bits):
        planes[bit, LAGS // WORD :] = packed(symbols & np.uint8(1 << bit) != 0)
    planes[bits, LAGS // WORD :] = packed(np.ones(len(symbols), dtype=np.bool_))
    return planes


def multi_mmc(symbols: Symbols, alphabet: int) -> Estimate | None:
    """Return the estimate of 6.3.9: each sample is predicted from what followed its 1 to 16 predecessors before."""
    if len(symbols) < 4:
        return None
    return prediction_entropy(contexts.multi_mmc_hits(symbols, alphabet)[2:], alphabet)


def lz78y(symbols: Symbols, alphabet: int) -> Estimate | None:
    """Return the estimate of 6.3.10: as MultiMMC, but the context with the most frequent follower predicts."""
    if len(symbols) < contexts.DEPTHS + 3:
        return None
    return prediction_entropy(contexts.lz78y_hits(symbols, alphabet)[contexts.DEPTHS + 1 :], alphabet)
