"""A year of nights of `stream_report`: how often an honest stream alarms, and when a biased one does.

``python -m benchmarks.stream_year [--years Y] [--trials T]`` prints `benchmarks/STREAM_YEAR.md`. What is simulated is
counts of P-values, 188 rows of each night, which are uniform and independent; a biased stream has those of the
frequency test that its bias gives, and uniform ones in all other rows. They are judged by the limits that the answers
of `stages.reports.tallies` have, found by asking them; `agree` holds the limits to `verdict_on` itself.
"""

import argparse
import math
import sys
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv
from scipy.stats import norm

from entropy_assets.core.sp800_22.second_level.tails import ALPHA, BINS, LEAST_FOR_UNIFORMITY, binomial_p, uneven_p
from entropy_assets.stages.reports.nights import ALPHA_YEAR, JUDGED_SEQUENCES, LEVEL, LOOKS_A_YEAR
from entropy_assets.stages.reports.stream import SEQUENCE_BITS
from entropy_assets.stages.reports.tallies import TAIL_POWER, RowCounts, verdict_on

Counts = npt.NDArray[np.int64]

SEED: Final = 366
ROWS: Final = 188
CELLS: Final = np.array([ALPHA, 1 / BINS - ALPHA, *[1 / BINS] * (BINS - 1)])
"""Chances of a uniform P-value: below .01, what is left of the first tenth, and the other tenths."""
SEQUENCES: Final = (20, 200)
"""Sequences of a night: 2.5 MB of published blocks, and the most that a night looks at."""
BIASES: Final = (1e-3, 5e-4, 2e-4)
"""How much more often than one half a bit is 1."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What alarms at a look: fewer low P-values than `fewest` or more than `most`, squares of so many, one so small."""

    fewest: int
    most: int
    squares: float
    least: float


@cache
def limits(number: int, *, smallest_too: bool) -> Limits:
    """Return the limits of the answer that is the smallest: Holm's first step, by which a look alarms or not."""
    answers = ROWS * (1 + smallest_too + (number >= LEAST_FOR_UNIFORMITY))
    each = LEVEL / answers
    usual = round(number * ALPHA)
    most = next(low for low in range(usual, number + 2) if low > number or binomial_p(low, number, ALPHA) < each)
    fewest = next((low for low in range(usual, -1, -1) if binomial_p(low, number, ALPHA) < each), -1) + 1
    squares = math.inf
    if number >= LEAST_FOR_UNIFORMITY:
        even, far = number * number // BINS, number * number + 1
        while far - even > 1:
            middle = (even + far) // 2
            even, far = (even, middle) if uneven_p(middle, number, BINS) < each else (middle, far)
        squares = far
    least = -math.expm1(math.log1p(-each) / number)
    return Limits(fewest, most - 1, squares, least ** (1 / TAIL_POWER) if smallest_too else 0.0)


def over(counts: Counts, at: list[Limits]) -> npt.NDArray[np.bool_]:
    """Return which nights alarm by proportion or uniformity: ``counts[nights, rows, 11]``."""
    low, squares = counts[..., 0], (counts[..., 1:] ** 2).sum(axis=-1)
    first = counts[..., 0] + counts[..., 1]
    squares += first**2 - counts[..., 1] ** 2
    fewest, most, square = (np.array([getattr(one, name) for one in at]) for name in ("fewest", "most", "squares"))
    wrong = (low < fewest[:, None]) | (low > most[:, None]) | (squares >= square[:, None])
    return np.asarray(wrong.any(axis=1))


def cells_of(bias: float) -> tuple[npt.NDArray[np.float64], float]:
    """Return the chances of the cells for the frequency test of a biased stream, and its shift in standard errors."""
    shift = 2 * bias * math.sqrt(SEQUENCE_BITS)
    edges = np.array([0.0, ALPHA, *(np.arange(1, BINS) / BINS), 1.0])
    below = below_p(edges, shift)
    return np.diff(below), shift


def below_p(p: npt.NDArray[np.float64], shift: float) -> npt.NDArray[np.float64]:
    """Return the chance that the P-value of a normal variable about `shift` is below `p`."""
    z = norm.isf(p / 2)
    return np.asarray(norm.sf(z - shift) + norm.cdf(-z - shift))


def first_alarm(chance: np.random.Generator, sequences: int, bias: float = 0.0) -> int | None:
    """Return the night of the first alarm within a year, from 1 on; None if there is none."""
    counts = chance.multinomial(sequences, CELLS, size=(LOOKS_A_YEAR, ROWS))
    of_night = limits(sequences, smallest_too=True)
    tiny = np.full(ROWS, of_night.least)
    if bias:
        cells, shift = cells_of(bias)
        counts[:, 0] = chance.multinomial(sequences, cells, size=LOOKS_A_YEAR)
        tiny[0] = below_p(np.array([of_night.least]), shift)[0]
    alarms = over(counts, [of_night] * LOOKS_A_YEAR)
    alarms |= (chance.random((LOOKS_A_YEAR, ROWS)) < -np.expm1(sequences * np.log1p(-tiny))).any(axis=1)
    life = counts.cumsum(axis=0)
    kept = JUDGED_SEQUENCES // sequences
    life[kept:] -= life[:-kept].copy() if kept < LOOKS_A_YEAR else 0
    looks = [limits(sequences * min(night, kept), smallest_too=False) for night in range(1, LOOKS_A_YEAR + 1)]
    alarms |= over(life, looks)
    return int(alarms.argmax()) + 1 if alarms.any() else None


def agree(chance: np.random.Generator, looks: int = 40) -> bool:
    """Return whether the limits say what `verdict_on` says, of looks that lie about them."""
    for _ in range(looks):
        number = int(chance.integers(20, 400))
        asked = limits(number, smallest_too=False)
        counts = chance.multinomial(number, CELLS, size=ROWS)
        low = min(number, int(chance.integers(asked.most - 1, asked.most + 3)))
        rest = chance.multinomial(number - low, CELLS[1:] / CELLS[1:].sum())
        counts[0] = [low, *rest]
        rows = {
            f"row {i}": RowCounts(0.0, number, int(one[0]), 1.0, (int(one[0] + one[1]), *map(int, one[2:])))
            for i, one in enumerate(counts)
        }
        if bool(verdict_on(rows, LEVEL, smallest_too=False).alarms) is not bool(over(counts[None], [asked])[0]):
            return False
    return True


def main() -> int:
    """Print both tables; fail if the rate is above what is promised, beyond doubt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=100)
    asked = parser.parse_args()
    if not agree(np.random.default_rng(SEED)):
        print("the limits of this simulation are not those of the report", file=sys.stderr)
        return 1
    print("# A year of nights of the stream report\n\nWritten by `make streamyear`.", end=" ")
    print(f"{ROWS} rows of uniform P-values, {LOOKS_A_YEAR} nights; in brackets the exact 95 % interval.\n")
    print("| sequences a night | honest years | with an alarm | promised, at most |\n|---:|---:|---|---:|")
    bad = False
    for sequences in SEQUENCES:
        chance = np.random.default_rng([SEED, sequences])
        alarmed = sum(first_alarm(chance, sequences) is not None for _ in range(asked.years))
        low = float(betaincinv(alarmed, asked.years - alarmed + 1, 0.025)) if alarmed else 0.0
        high = float(betaincinv(alarmed + 1, asked.years - alarmed, 0.975))
        bad |= low > ALPHA_YEAR
        share = f"{alarmed / asked.years:.2%} ({low:.2%} to {high:.2%})"
        print(f"| {sequences} | {asked.years:,} | {share} | {ALPHA_YEAR:.0%} |")
    print("\nA stream whose bits are 1 more often than they should, by the frequency test alone:\n")
    print("| a bit is 1 with | sequences a night | half alarm by night | nine in ten by night | never in the year |")
    print("|---:|---:|---:|---:|---:|")
    for bias in BIASES:
        for sequences in SEQUENCES:
            chance = np.random.default_rng([SEED, sequences, round(1e6 * bias)])
            nights = [first_alarm(chance, sequences, bias) for _ in range(asked.trials)]
            ranked = sorted(math.inf if night is None else night for night in nights)
            told = (f"{ranked[math.ceil(share * asked.trials) - 1]:.0f}".replace("inf", "-") for share in (0.5, 0.9))
            never = sum(night is None for night in nights) / asked.trials
            print(f"| {0.5 + bias:.4f} | {sequences} | {' | '.join(told)} | {never:.0%} |")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
