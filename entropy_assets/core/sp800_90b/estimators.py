"""The min-entropy estimators of NIST SP 800-90B 6.3 (non-IID track), in section order, vectorised.

Each function takes a sequence of symbols and returns bits per symbol, or None where the sequence is too short for the
estimator. Names of variables are those of the standard; numbers agree with NIST's own tool to 1e-10.
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Symbols = npt.NDArray[np.uint8]

Z: Final = float(ndtri(0.995))
"""Quantile of the normal distribution for a one-sided 99.5 % bound, 2.5758 (6.3)."""
LEAST_TUPLE_COUNT: Final = 35
"""Occurrences that a tuple must reach to be estimated from (6.3.5 step 1)."""
MARKOV_LENGTH: Final = 128
"""Length of the sequence whose likeliest course is looked for, bits (6.3.3)."""
WORD: Final = 6
"""b, bits in a word of the compression estimate; the standard calls it a block (6.3.4 step 1)."""
DICTIONARY: Final = 1000
"""d, words that fill the dictionary of the compression estimate (6.3.4 step 2)."""
SPREAD: Final = 0.5907
"""c, correction of the spread of the compression statistic (6.3.4 step 5)."""
NEGLIGIBLE: Final = math.log(1e-22)
"""Terms of a geometric series below this, as a logarithm, are left out."""
PIECE: Final = 96
"""Bits of a piece that the walk of the collision estimate is followed through at once."""
LONGEST_TUPLE: Final = 1024
"""Longest tuples that are followed. A repeat of that length alone brings a million bits below 0.04 bits each, so only
the time is bounded by it."""
CELLS_PER_SAMPLE: Final = 4
"""Cells of a table of counts that are worth their memory, per position counted."""


def upper_bound(p: float, n: int) -> float:
    """Return the 99.5 % upper bound of a probability estimated as `p` from `n` observations (6.3.1 step 2)."""
    return min(1.0, p + Z * math.sqrt(p * (1 - p) / (n - 1)))


def most_common_value(symbols: Symbols) -> float | None:
    """Return the estimate of 6.3.1, from the most frequent symbol."""
    if len(symbols) < 2:
        return None
    mode = int(np.bincount(symbols).max())
    return -math.log2(upper_bound(mode / len(symbols), len(symbols))) + 0.0


def collision(bits: Symbols) -> float | None:
    """Return the estimate of 6.3.2, from the distance between equal bits; bits only.

    A collision takes 2 bits (equal neighbours) or 3, so where each search starts depends on all before it. The chain of
    starts is found by `_visited`. The equation of step 7 has a closed form for bits, as in NIST's tool.
    """
    if len(bits) < 4:
        return None
    steps = 2 + (bits[:-1] != bits[1:]).astype(np.uint8)
    times = steps[_visited(steps)].astype(np.int64)
    if times[-1] == 3 and _overruns(times, len(bits)):
        times = times[:-1]
    v = len(times)
    mean = float(times.sum()) / v
    variance = (float((times * times).sum()) - v * mean * mean) / (v - 1)
    bound = mean - Z * math.sqrt(max(variance, 0.0) / v)
    if bound >= 2.5:
        return 1.0
    return -math.log2(min(1.0, 0.5 + math.sqrt(max(0.0, 1.25 - 0.5 * bound)))) + 0.0


def _overruns(times: npt.NDArray[np.int64], length: int) -> bool:
    return int(times.sum()) > length


def _visited(steps: Symbols) -> npt.NDArray[np.bool_]:
    """Tell which positions a walk visits that starts at 0 and goes on by ``steps[i]`` (2 or 3) from position i.

    The positions are cut into pieces of equal length, and the walk through each is followed from each of the three
    ways to enter it at once; then the way that was taken is looked up piece by piece.
    """
    length = PIECE
    pieces = -(-len(steps) // length)
    padded = np.full(pieces * length + 3, 3, dtype=np.uint8)
    padded[: len(steps)] = steps
    table = padded[: pieces * length].reshape(pieces, length)
    countdown = np.tile(np.arange(3, dtype=np.int8), (pieces, 1))
    seen = np.zeros((length, pieces, 3), dtype=np.bool_)
    for column in range(length):
        arrived = countdown == 0
        seen[column] = arrived
        countdown = np.where(arrived, table[:, column : column + 1].astype(np.int8), countdown) - np.int8(1)
    entry, taken = 0, np.empty(pieces, dtype=np.int64)
    for piece, leaves in enumerate(countdown.tolist()):
        taken[piece] = entry
        entry = leaves[entry]
    walk = seen[:, np.arange(pieces), taken].T.reshape(-1)
    return walk[: len(steps)]


def markov(bits: Symbols) -> float | None:
    """Return the estimate of 6.3.3, from the likeliest course of a first-order chain over 128 bits; bits only."""
    if len(bits) < 2:
        return None
    codes = np.bincount(bits[:-1] * np.uint8(2) + bits[1:], minlength=4)
    start_1 = int(np.count_nonzero(bits)) / len(bits)
    start = (1 - start_1, start_1)
    move = [[int(codes[2 * a + b]) / max(1, int(codes[2 * a] + codes[2 * a + 1])) for b in (0, 1)] for a in (0, 1)]
    half = MARKOV_LENGTH // 2
    courses = (
        (start[0], (move[0][0], MARKOV_LENGTH - 1)),
        (start[0], (move[0][1], half), (move[1][0], half - 1)),
        (start[0], (move[0][1], 1), (move[1][1], MARKOV_LENGTH - 2)),
        (start[1], (move[1][0], 1), (move[0][0], MARKOV_LENGTH - 2)),
        (start[1], (move[1][0], half), (move[0][1], half - 1)),
        (start[1], (move[1][1], MARKOV_LENGTH - 1)),
    )
    surprises = [_surprise(first) + sum(times * _surprise(p) for p, times in moves) for first, *moves in courses]
    return min(1.0, min(surprises) / MARKOV_LENGTH)


def _surprise(p: float) -> float:
    return -math.log2(p) + 0.0 if p > 0 else math.inf


def compression(bits: Symbols) -> float | None:
    """Return the estimate of 6.3.4, from the distance between equal words of 6 bits; bits only."""
    count = len(bits) // WORD
    v = count - DICTIONARY
    if v < 2:
        return None
    words = bits[: count * WORD].reshape(count, WORD) @ (1 << np.arange(WORD - 1, -1, -1))
    logs = np.log2(_distances(words)[DICTIONARY:])
    mean = float(logs.sum()) / v
    spread = SPREAD * math.sqrt(max(0.0, float((logs * logs).sum()) / (v - 1) - mean * mean))
    bound = mean - Z * spread / math.sqrt(v)
    others = (1 << WORD) - 1

    def excess(p: float) -> float:
        return _expected_log(p, count) + others * _expected_log((1 - p) / others, count) - bound

    lowest = 1 / (1 << WORD)
    if excess(lowest) <= 0:
        return 1.0
    highest = 1 - 1e-12
    if excess(highest) >= 0:
        return 0.0
    from scipy.optimize import brentq  # half a second to import, which every process would pay

    return -math.log2(brentq(excess, lowest, highest, xtol=1e-15, rtol=8.9e-16)) / WORD


def _distances(words: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each word how far back the same word stands, and its 1-based position if nowhere (step 3)."""
    order = np.argsort(words, kind="stable")
    distances = np.arange(1, len(words) + 1)
    again = words[order[1:]] == words[order[:-1]]
    distances[order[1:][again]] = (order[1:] - order[:-1])[again]
    return distances


def _expected_log(z: float, count: int) -> float:
    """Return G(z) of 6.3.4 step 7: the mean of log2 of the distance to a word of probability `z`.

    The double sum over t and u is one sum over u: distance u < t occurs for every t above u.
    """
    if z <= 0:
        return 0.0
    decay = math.log1p(-z)
    last = min(count, int(NEGLIGIBLE / decay) + 2)
    u = np.arange(1, last + 1)
    weights = np.log2(u) * np.exp((u - 1) * decay)
    inside = z * z * float((weights * (count - np.maximum(u, DICTIONARY))).sum())
    return (inside + z * float(weights[DICTIONARY:].sum())) / (count - DICTIONARY)


def tuples_and_repeats(symbols: Symbols, alphabet: int) -> tuple[float | None, float | None]:
    """Return the t-tuple estimate (6.3.5) and that of the longest repeated substring (6.3.6).

    Parameters
    ----------
    symbols
        The sequence.
    alphabet
        Number of symbols that could occur.
    """
    n = len(symbols)
    p_tuple, p_repeat = 0.0, 0.0
    for width, counts in _repeated_tuples(symbols, alphabet):
        windows = n - width + 1
        most = int(counts.max())
        if most >= LEAST_TUPLE_COUNT:
            p_tuple = max(p_tuple, (most / windows) ** (1 / width))
        else:
            pairs = float((counts * (counts - 1) // 2).sum()) / (windows * (windows - 1) // 2)
            p_repeat = max(p_repeat, pairs ** (1 / width))
    return _of_bound(p_tuple, n), _of_bound(p_repeat, n)


def _of_bound(p: float, n: int) -> float | None:
    return -math.log2(upper_bound(p, n)) + 0.0 if p > 0 else None


def _repeated_tuples(symbols: Symbols, alphabet: int) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Yield the widths up to the longest repeat, in no order, with the counts of their tuples that occur twice or more.

    The widest tuples that fit a table are counted by one histogram; those one shorter are its cells added up, and the
    one window more that there is room for at the end. Of longer tuples only those positions are followed whose tuple
    was repeated so far, and soon they are few.
    """
    n = len(symbols)
    cells = CELLS_PER_SAMPLE * n
    widest = next(width for width in range(1, n + 1) if width == n or alphabet ** (width + 1) > cells)
    codes = symbols[: n - widest + 1].astype(np.int64)
    for shift in range(1, widest):
        codes *= alphabet
        codes += symbols[shift : shift + len(codes)]
    table = np.bincount(codes, minlength=alphabet**widest)
    yield from _longer_tuples(symbols, alphabet, widest, codes, table)
    end = int(codes[-1])
    for width in range(widest, 0, -1):
        counts = table[table > 1]
        if len(counts):
            yield width, counts
        end %= alphabet ** (width - 1)
        table = table[::2] + table[1::2] if alphabet == 2 else table.reshape(-1, alphabet).sum(axis=1)
        table[end] += 1


def _longer_tuples(
    symbols: Symbols, alphabet: int, width: int, codes: npt.NDArray[np.int64], table: npt.NDArray[np.int64]
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    starts = np.flatnonzero(table[codes] > 1)
    groups = (np.cumsum(table > 1) - 1)[codes[starts]]
    while len(starts) and width < LONGEST_TUPLE:
        inside = starts + width < len(symbols)
        starts, groups = starts[inside], groups[inside]
        if not len(starts):
            return
        codes = groups * alphabet + symbols[starts + width]
        width += 1
        if int(codes.max()) > CELLS_PER_SAMPLE * len(codes):
            codes = np.unique(codes, return_inverse=True)[1]
        counts = np.bincount(codes)
        repeated = counts > 1
        if not repeated.any():
            return
        yield width, counts[repeated]
        kept = repeated[codes]
        starts, groups = starts[kept], (np.cumsum(repeated) - 1)[codes[kept]]
