"""SP 800-90B 6.3 step by step, one sample after the other: slow, and nothing shared with the estimators under test."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

Z = 2.5758293035489008


def _bound(p: float, n: int) -> float:
    return min(1.0, p + Z * math.sqrt(p * (1 - p) / (n - 1)))


def most_common_value(s: Sequence[int]) -> float:
    return -math.log2(_bound(max(Counter(s).values()) / len(s), len(s)))


def collision(s: Sequence[int]) -> float:
    times, i = [], 0
    while i < len(s) - 1:
        if s[i] == s[i + 1]:
            times.append(2)
        elif i + 2 < len(s):
            times.append(3)
        else:
            break
        i += times[-1]
    v = len(times)
    mean = sum(times) / v
    spread = math.sqrt(sum((t - mean) ** 2 for t in times) / (v - 1))
    bound = mean - Z * spread / math.sqrt(v)
    return 1.0 if bound >= 2.5 else -math.log2(min(1.0, 0.5 + math.sqrt(max(0.0, 1.25 - 0.5 * bound))))


def markov(s: Sequence[int]) -> float:
    """The likeliest of the six sequences of 128 bits in the standard's table, each written out."""
    pairs = Counter(pairwise(s))
    courses = ([0] * 128, [0, 1] * 64, [0] + [1] * 127, [1] + [0] * 127, [1, 0] * 64, [1] * 128)
    best = -math.inf
    for course in courses:
        steps = [s.count(course[0]) / len(s)]
        for a, b in pairwise(course):
            steps.append(pairs[a, b] / max(1, pairs[a, 0] + pairs[a, 1]))
        best = max(best, sum(math.log2(p) if p > 0 else -math.inf for p in steps))
    return min(1.0, -best / 128)


def compression(s: Sequence[int]) -> float:
    """Maurer's statistic block by block, and the root by halving, with G as the double sum that the standard prints."""
    words = [tuple(s[i : i + 6]) for i in range(0, len(s) - 5, 6)]
    last, logs = {}, []
    for i, word in enumerate(words, start=1):
        if i > 1000:
            logs.append(math.log2(i - last.get(word, 0)))
        last[word] = i
    v = len(logs)
    mean = sum(logs) / v
    spread = 0.5907 * math.sqrt(sum(x * x for x in logs) / (v - 1) - mean * mean)
    bound = mean - Z * spread / math.sqrt(v)

    def g(z: float) -> float:
        inner, total = 0.0, 0.0
        for t in range(1, len(words) + 1):
            if t > 1000:
                total += inner + math.log2(t) * z * (1 - z) ** (t - 1)
            inner += math.log2(t) * z * z * (1 - z) ** (t - 1)
        return total / v

    low, high = 1 / 64, 1.0
    if g(low) * 64 <= bound:
        return 1.0
    for _ in range(60):
        p = (low + high) / 2
        low, high = (p, high) if g(p) + 63 * g((1 - p) / 63) > bound else (low, p)
    return -math.log2(low) / 6


def tuples(s: Sequence[int]) -> tuple[float | None, float | None]:
    n, p_tuple, p_repeat = len(s), 0.0, 0.0
    for width in range(1, n):
        counts = Counter(tuple(s[i : i + width]) for i in range(n - width + 1))
        most = max(counts.values())
        if most < 2:
            break
        windows = n - width + 1
        if most >= 35:
            p_tuple = max(p_tuple, (most / windows) ** (1 / width))
        else:
            pairs = sum(c * (c - 1) // 2 for c in counts.values()) / (windows * (windows - 1) // 2)
            p_repeat = max(p_repeat, pairs ** (1 / width))
    return tuple(-math.log2(_bound(p, n)) if p else None for p in (p_tuple, p_repeat))


def _follow(s: Sequence[int], start: int, predictors: list) -> list[bool]:
    """The scoreboard that MultiMCW, Lag and MultiMMC share: `predictors` give a guess for sample i."""
    board, winner, correct = [0] * len(predictors), 0, []
    for i in range(start, len(s)):
        guesses = [predict(i) for predict in predictors]
        correct.append(guesses[winner] == s[i])
        for place, guess in enumerate(guesses):
            if guess == s[i]:
                board[place] += 1
                if board[place] >= board[winner]:
                    winner = place
    return correct


def multi_mcw(s: Sequence[int], windows: Sequence[int] = (63, 255, 1023, 4095)) -> list[bool]:
    def most_common(window: int):
        def predict(i: int) -> int | None:
            if i < window:
                return None
            counts = Counter(s[i - window : i])
            latest = {symbol: place for place, symbol in enumerate(s[i - window : i])}
            return max(counts, key=lambda symbol: (counts[symbol], latest[symbol]))

        return predict

    return _follow(s, windows[0], [most_common(window) for window in windows])


def lag(s: Sequence[int]) -> list[bool]:
    return _follow(s, 1, [lambda i, d=d: s[i - d] if i >= d else None for d in range(1, 129)])


def multi_mmc(s: Sequence[int]) -> list[bool]:
    seen = [defaultdict(Counter) for _ in range(17)]

    def at_depth(depth: int):
        def predict(i: int) -> int | None:
            if depth == 1:
                for d in range(1, 17):
                    if i - 1 - d >= 0:
                        seen[d][tuple(s[i - 1 - d : i - 1])][s[i - 1]] += 1
            followers = seen[depth].get(tuple(s[i - depth : i])) if i >= depth else None
            return max(followers, key=lambda y: (followers[y], y)) if followers else None

        return predict

    return _follow(s, 2, [at_depth(d) for d in range(1, 17)])


def lz78y(s: Sequence[int]) -> list[bool]:
    book: dict[tuple[int, ...], Counter] = {}
    correct = []
    for i in range(17, len(s)):
        for j in range(16, 0, -1):
            prefix = tuple(s[i - 1 - j : i - 1])
            if prefix in book or len(book) < 65536:
                book.setdefault(prefix, Counter())[s[i - 1]] += 1
        guess, most = None, 0
        for j in range(16, 0, -1):
            followers = book.get(tuple(s[i - j : i]))
            if followers:
                symbol = max(followers, key=lambda y: (followers[y], y))
                if followers[symbol] > most:
                    guess, most = symbol, followers[symbol]
        correct.append(guess == s[i])
    return correct
