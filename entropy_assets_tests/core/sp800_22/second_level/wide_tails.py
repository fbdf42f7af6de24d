"""How often good bits really have a small P-value, by tests whose cells expect few."""

from collections.abc import Sequence

import numpy as np
from scipy import stats


def excursions(x: int) -> np.ndarray:
    """Give the chances of 0, 1, 2, 3, 4 and more visits of a state in a cycle (SP 800-22 3.14)."""
    stays = 1 - 1 / (2 * x)
    return np.array([stays, *(stays ** (k - 1) / (4 * x * x) for k in range(1, 5)), stays**4 / (2 * x)])


def chance_of(p_value: float, draws: int, chances: np.ndarray, rng: np.random.Generator) -> float:
    """Give the chance that the chi-square of multinomial counts has this P-value or less, by importance sampling.

    Counts are drawn of laws in which one cell has as many, or as few, as alone make that chi-square, and weighed.
    """
    critical = stats.chi2.isf(p_value, len(chances) - 1)
    laws = [chances]
    for cell, chance in enumerate(chances):
        for sign in (-1, 1):
            raised = chance + sign * np.sqrt(critical * chance * (1 - chance) / draws)
            if 0.3 / draws < raised < 1:
                law = chances * (1 - raised) / (1 - chance)
                law[cell] = raised
                laws.append(law)
    counts = np.concatenate([rng.multinomial(draws, law, size=4000) for law in laws])
    hits = counts[((counts - draws * chances) ** 2 / (draws * chances)).sum(axis=1) >= critical]
    densities = np.stack([np.exp(hits @ (np.log(law) - np.log(chances))) for law in laws])
    return float((1 / densities.mean(axis=0)).sum() / len(counts))


def occurrences(m: int, length: int, most: int) -> np.ndarray:
    """Return the exact chances of 0, 1, ... occurrences of a template that doesn't overlap itself among `length` bits.

    One more bit adds an occurrence with the chance that the template ends there, which is that there was any number of
    them m bits before.
    """
    chances = [np.eye(1, most)[0]] * m
    for _ in range(m, length + 1):
        ended = chances.pop(0) / 2**m
        now = chances[-1] - ended
        now[1:] += ended[:-1]
        chances.append(now)
    return np.clip(chances[-1], 0.0, None)


def chances_of_templates(n: int, p_values: Sequence[float]) -> list[float]:
    """Return the chances of so small P-values of 2.7 in `n` bits.

    By the exact law of the chi-square of eight blocks, by convolution on a grid of 1/400.
    """
    m, blocks, fine = 9, 8, 400
    length = n // blocks
    expected, variance = (length - m + 1) / 2**m, length * (1 / 2**m - (2 * m - 1) / 2 ** (2 * m))
    law = occurrences(m, length, int(expected + 18 * expected**0.5 + 30))
    squares = np.rint((np.arange(len(law)) - expected) ** 2 / variance * fine).astype(int)
    room = 160 * fine
    one = np.bincount(np.minimum(squares, room - 1), weights=law, minlength=room)
    whole = np.fft.irfft(np.fft.rfft(one, blocks * room) ** blocks, blocks * room)
    return [float(whole[int(stats.chi2.isf(p, blocks) * fine) :].sum()) for p in p_values]
