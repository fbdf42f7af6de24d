"""The prediction estimators of NIST SP 800-90B 6.3.7 to 6.3.10, without stepping through the samples.

A predictor's state after each sample is a running maximum: the sub-predictor or the symbol with the most hits so far,
the latest one among equals. So the whole course of a predictor is a sort, a count and a cumulative maximum.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_90b.estimators import Symbols, upper_bound

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

WINDOWS: Final = (63, 255, 1023, 4095)
"""Windows of the MultiMCW predictor, samples (6.3.7 step 1)."""
CELLS_AT_ONCE: Final = 1 << 18
"""Cells of the tables of counts that MultiMCW works on at once: two megabytes, which stay in the cache."""
LAGS: Final = 128
"""D of the Lag predictor (6.3.8 step 1)."""
DEPTHS: Final = 16
"""D of the MultiMMC predictor and B of LZ78Y (6.3.9 and 6.3.10 step 1)."""
MMC_ENTRIES: Final = 100_000
"""Pairs of context and symbol that one depth of MultiMMC may hold (6.3.9 step 1)."""
LZ78Y_ENTRIES: Final = 65_536
"""Contexts that the dictionary of LZ78Y may hold (6.3.10 step 1)."""
LOCAL_CONFIDENCE: Final = 0.99
"""Probability that no longer run of right predictions is seen (6.3.7 step 6)."""
ROOT_STEPS: Final = 65
"""Iterations of the recurrence for x, as in NIST's tool; ten give the digits that the standard asks for."""


def prediction_entropy(correct: Flags, alphabet: int) -> float | None:
    """Return the estimate that follows from which predictions were right (6.3.7 steps 4 to 7).

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
    hits = int(np.count_nonzero(correct))
    p_global = upper_bound(hits / n, n) if hits else 1 - 0.01 ** (1 / n)
    p_local = local_probability(longest_true(correct) + 1, n)
    return -math.log2(max(p_global, p_local, 1 / alphabet)) + 0.0


def longest_true(flags: Flags) -> int:
    """Return the length of the longest run of True."""
    edges = np.flatnonzero(np.concatenate(([True], ~flags, [True])))
    return int(np.diff(edges).max()) - 1


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


def multi_mcw(symbols: Symbols, alphabet: int) -> float | None:
    """Return the estimate of 6.3.7: each sample is predicted to be the most common one of the last 63, 255, ..."""
    n = len(symbols)
    if n < WINDOWS[0] + 2:
        return None
    windows = [window for window in WINDOWS if window < n]
    guesses = np.full((len(windows), n), -1, dtype=np.int64)
    rows = max(1, CELLS_AT_ONCE // alphabet)
    for start in range(windows[0], n, rows):
        stop = min(n, start + rows)
        latest = _latest(symbols, alphabet, start, stop)
        for place, window in enumerate(windows):
            if stop > window:
                begin = max(start, window)
                counts = _window_counts(symbols, alphabet, window, begin, stop)
                guesses[place, begin:stop] = (counts * n + latest[begin - start :]).argmax(axis=1)
    leaders = _leaders([np.flatnonzero(guess == symbols) for guess in guesses], n)
    correct = guesses[leaders, np.arange(n)] == symbols
    return prediction_entropy(correct[windows[0] :], alphabet)


def _latest(symbols: Symbols, alphabet: int, start: int, stop: int) -> Indices:
    """Return ``[stop - start, alphabet]``: for each sample where each symbol stood last before it; 0 if nowhere."""
    table = np.zeros((stop - start, alphabet), dtype=np.int64)
    np.maximum.at(table[0], symbols[:start], np.arange(start))
    table[np.arange(1, stop - start), symbols[start : stop - 1]] = np.arange(start, stop - 1)
    return np.maximum.accumulate(table, axis=0, out=table)


def _window_counts(symbols: Symbols, alphabet: int, window: int, start: int, stop: int) -> Indices:
    """Return ``[stop - start, alphabet]``: for each sample how often each symbol is among the `window` before it."""
    table = np.zeros((stop - start, alphabet), dtype=np.int64)
    table[0] = np.bincount(symbols[start - window : start], minlength=alphabet)
    rows = np.arange(1, stop - start)
    table[rows, symbols[start : stop - 1]] += 1
    table[rows, symbols[start - window : stop - 1 - window]] -= 1
    return np.cumsum(table, axis=0, out=table)


def lag(symbols: Symbols, alphabet: int) -> float | None:
    """Return the estimate of 6.3.8: each sample is predicted to equal one of the 128 before it."""
    n = len(symbols)
    if n < 2:
        return None
    right = [np.flatnonzero(symbols[d:] == symbols[:-d]) + d for d in range(1, min(LAGS, n - 1) + 1)]
    leaders = _leaders(right, n)[1:]
    correct = symbols[1:] == symbols[np.arange(1, n) - 1 - leaders]
    return prediction_entropy(correct, alphabet)


def _leaders(right: list[Indices], n: int) -> Indices:
    """Return which sub-predictor leads before each sample: the one with most hits, among equals the last to hit.

    A hit takes the lead if its predictor then has at least as many hits as any other has. Hits at one sample count in
    the order of the sub-predictors (6.3.8 step 3d).

    Parameters
    ----------
    right
        For each sub-predictor the samples that it predicted rightly, ascending.
    n
        Number of samples.
    """
    leaders = np.zeros(n, dtype=np.int64)
    times = np.concatenate(right)
    if not len(times):
        return leaders
    voters = np.repeat(np.arange(len(right)), [len(hits) for hits in right])
    scores = np.concatenate([np.arange(1, len(hits) + 1) for hits in right])
    order = _order(times * len(right) + voters)
    times, voters, scores = times[order], voters[order], scores[order]
    leading = np.flatnonzero(scores >= np.maximum.accumulate(scores))
    latest = np.searchsorted(times[leading], np.arange(n), side="left") - 1
    hit_before = latest >= 0
    leaders[hit_before] = voters[leading[latest[hit_before]]]
    return leaders


@dataclass(frozen=True, slots=True, eq=False)
class Contexts:
    """The contexts of one length that occur twice or more; the others predict nothing.

    Attributes
    ----------
    depth
        Length of a context, samples.
    times
        Samples that have such a context before them, ascending.
    groups
        Which context each of them has, from 0.
    """

    depth: int
    times: Indices
    groups: Indices


def _contexts(symbols: Symbols, alphabet: int) -> Iterator[Contexts]:
    """Yield the contexts of length 1 to `DEPTHS`. A longer one is repeated only where its end is."""
    times, groups = np.arange(len(symbols)), np.zeros(len(symbols), dtype=np.int64)
    for depth in range(1, DEPTHS + 1):
        reached = times >= depth
        times, groups = times[reached], groups[reached]
        codes = _numbered(groups * alphabet + symbols[times - depth])
        counts = np.bincount(codes)
        kept = counts[codes] > 1
        times, groups = times[kept], (np.cumsum(counts > 1) - 1)[codes[kept]]
        yield Contexts(depth, times, groups)


def _is_first(groups: Indices) -> Flags:
    """Tell whether each entry is the first of its group."""
    seen_at = np.full(int(groups.max(initial=-1)) + 1, len(groups))
    seen_at[groups[::-1]] = np.arange(len(groups))[::-1]
    first = np.zeros(len(groups), dtype=np.bool_)
    first[seen_at[seen_at < len(groups)]] = True
    return first


def _order(keys: Indices) -> Indices:
    """Return the stable order of `keys`, by a plain sort: that is several times faster than a stable argsort."""
    n = len(keys)
    return np.sort(keys * n + np.arange(n)) % max(n, 1)


def _numbered(codes: Indices) -> Indices:
    """Return `codes` renumbered from 0 without gaps, in their order."""
    if not len(codes):
        return codes
    order = _order(codes)
    ordered = codes[order]
    numbers = np.empty(len(codes), dtype=np.int64)
    numbers[order] = np.cumsum(np.concatenate(([False], ordered[1:] != ordered[:-1])))
    return numbers


def _guesses(symbols: Symbols, contexts: Contexts, alphabet: int, allowed: Flags) -> tuple[Indices, Indices]:
    """Return for each of the contexts' times the symbol that followed most often so far, and how often.

    Where none did, -1 and 0. Among equals the larger symbol counts, as in NIST's tool. Since a count only grows, the
    most frequent symbol is the running maximum of (count, symbol).

    Parameters
    ----------
    allowed
        Which transitions are entered at all: dictionaries have limits.
    """
    times, groups = contexts.times, contexts.groups
    n = len(times)
    if not n:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    pairs = groups * alphabet + symbols[times]
    by_pair = _order(pairs)
    rank = np.empty(n, dtype=np.int64)
    rank[by_pair] = np.arange(n) - _starts(pairs[by_pair])
    scores = np.where(allowed, (rank + 1) * alphabet + symbols[times], 0)
    by_group = _order(groups)
    base = groups[by_group] * ((n + 1) * alphabet)
    best = np.maximum.accumulate(base + scores[by_group]) - base
    before = np.zeros(n, dtype=np.int64)
    before[1:] = np.where(groups[by_group][1:] == groups[by_group][:-1], best[:-1], 0)
    value = np.empty(n, dtype=np.int64)
    value[by_group] = before
    return np.where(value > 0, value % alphabet, -1), value // alphabet


def _starts(ordered: Indices) -> Indices:
    """Return for each entry of an ordered array where its run of equals begins."""
    first = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    return np.maximum.accumulate(np.where(first, np.arange(len(ordered)), 0))


def multi_mmc(symbols: Symbols, alphabet: int) -> float | None:
    """Return the estimate of 6.3.9: each sample is predicted from what followed its 1 to 16 predecessors before."""
    n = len(symbols)
    if n < 4:
        return None
    right, guesses = [], []
    guessed = np.ones(n, dtype=np.bool_)
    for contexts in _contexts(symbols, alphabet):
        guess = np.full(n, -1, dtype=np.int64)
        allowed = _within_entries(symbols, contexts, alphabet)
        guess[contexts.times] = _guesses(symbols, contexts, alphabet, allowed)[0]
        guess[~guessed] = -1
        guessed = guess >= 0
        right.append(np.flatnonzero(guess == symbols))
        guesses.append(guess)
        if not guessed.any():
            break
    leaders = _leaders(right, n)[2:]
    correct = np.stack(guesses)[leaders, np.arange(2, n)] == symbols[2:]
    return prediction_entropy(correct, alphabet)


def _within_entries(symbols: Symbols, contexts: Contexts, alphabet: int) -> Flags:
    """Tell whether each transition fits: its pair of context and symbol was among the first `MMC_ENTRIES`."""
    n = len(symbols)
    if n <= MMC_ENTRIES:
        return np.ones(len(contexts.times), dtype=np.bool_)
    pairs = _numbered(contexts.groups * alphabet + symbols[contexts.times])
    new = np.ones(n, dtype=np.bool_)
    new[: contexts.depth] = False
    first = _is_first(pairs)
    new[contexts.times] = first
    number = np.cumsum(new)[contexts.times]
    fits = np.zeros(int(pairs.max(initial=-1)) + 1, dtype=np.bool_)
    fits[pairs[first]] = number[first] <= MMC_ENTRIES
    return fits[pairs]


def lz78y(symbols: Symbols, alphabet: int) -> float | None:
    """Return the estimate of 6.3.10: as MultiMMC, but the context with the most frequent follower predicts."""
    n = len(symbols)
    if n < DEPTHS + 3:
        return None
    depths = [
        Contexts(contexts.depth, contexts.times[late], contexts.groups[late])
        for contexts in _contexts(symbols, alphabet)
        for late in [contexts.times >= DEPTHS]
    ]
    new = np.zeros((n, DEPTHS), dtype=np.bool_)
    new[DEPTHS:] = True
    firsts = [_is_first(contexts.groups) for contexts in depths]
    for contexts, first in zip(depths, firsts, strict=True):
        new[contexts.times, DEPTHS - contexts.depth] = first
    number = np.cumsum(new.ravel()).reshape(n, DEPTHS)
    most, guess = np.zeros(n, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    for contexts, first in reversed(list(zip(depths, firsts, strict=True))):
        fits = np.zeros(int(contexts.groups.max(initial=-1)) + 1, dtype=np.bool_)
        fits[contexts.groups[first]] = number[contexts.times, DEPTHS - contexts.depth][first] <= LZ78Y_ENTRIES
        symbol, count = _guesses(symbols, contexts, alphabet, fits[contexts.groups])
        better = count > most[contexts.times]
        most[contexts.times[better]] = count[better]
        guess[contexts.times[better]] = symbol[better]
    return prediction_entropy(guess[DEPTHS + 1 :] == symbols[DEPTHS + 1 :], alphabet)
