"""How often does the IID track of SP 800-90B reject what is IID? By simulation, beside the rates that it states.

``python -m benchmarks.sp800_90b_iid_calibration [--sequences K] [--long K] [--early K] [--processes P]`` prints
`benchmarks/SP800_IID_CALIBRATION.md`. Sequence i of a kind is what NumPy's Philox generator gives for the key
(SEED, i), and i is the seed of its permutations, so that each stands alone and others repeat it. A rate stands beside
the exact 95 % interval of Clopper and Pearson.
"""

import argparse
import importlib.metadata
import os
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from entropy_assets.core.sp800_90b.alphabets import numbered
from entropy_assets.core.sp800_90b.iid.chi_square import ALPHA, goodness_of_fit, independence
from entropy_assets.core.sp800_90b.iid.permutations import EARLY, STANDARD, Rule, permutation_tests
from entropy_assets.core.sp800_90b.iid.repeats import repeat_test
from entropy_assets.core.sp800_90b.iid.statistics import NAMES

Symbols = npt.NDArray[np.uint8]

SEED: Final = 800_90
RULES: Final[dict[str, Rule]] = {"standard": STANDARD, "early": EARLY}
PARTS: Final = {"independence": independence, "goodness_of_fit": goodness_of_fit, "repeats": repeat_test}
"""The tests of 5.2, which make no permutation."""
LAWS: Final[dict[str, Callable[[np.random.Generator, int], Symbols]]] = {
    "fair bits": lambda chance, n: chance.integers(0, 2, n, dtype=np.uint8),
    "bits, a tenth of them 1": lambda chance, n: (chance.random(n) < 0.1).astype(np.uint8),
    "normal noise of 4 bits": lambda chance, n: np.clip(np.rint(chance.normal(7.5, 2.0, n)), 0, 15).astype(np.uint8),
    "even bytes": lambda chance, n: chance.integers(0, 256, n, dtype=np.uint8),
}
"""Laws of IID samples."""
FEW_BYTES: Final = """
Bytes of few samples fail independence nearly always, and that is the standard's own: where fewer than 5 of a pair are
expected, several pairs share a bin, but one degree of freedom goes for each of the 256 shares all the same (5.2.1
step 7). For 10,000 bytes T is about 962 on 735 degrees of freedom, for 100,000 9,235 on 9,042; from the million on,
which the standard asks for, 65,259 on 65,280. Such bytes are told to be not IID, so they get the figure of the other
track."""
"""Why few samples of a large alphabet fail a test of 5.2."""
SHORT, MIDDLE, WHOLE = 10_000, 100_000, 1_000_000
"""Samples of a sequence; the standard wants the last."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Sequences that are counted together: by one law, of one length, judged by rules; without any only by 5.2."""

    law: str
    samples: int
    rules: tuple[str, ...]
    sequences: int


def kinds(sequences: int, long: int, early: int) -> list[Kind]:
    """Return what is simulated: `sequences` short ones, `long` longer ones, `early` by the early rule and by 5.2."""
    found = [Kind(law, SHORT, ("standard", "early"), sequences) for law in LAWS if law != "even bytes"]
    found += [Kind(law, MIDDLE, ("standard",), long) for law in LAWS]
    found += [Kind(law, MIDDLE, ("early",), early) for law in LAWS]
    found += [Kind(law, samples, (), early) for law in LAWS for samples in (SHORT, MIDDLE, WHOLE)]
    return [kind for kind in found if kind.sequences]


def judged(index: int, kind: Kind) -> dict[str, tuple[str, ...]]:
    """Return which tests of 5.2 one sequence fails, and by each rule which statistics of its order."""
    chance = np.random.Generator(np.random.Philox(key=[SEED, index]))
    symbols = LAWS[kind.law](chance, kind.samples)
    places, alphabet = numbered(symbols)
    found = {"5.2": tuple(name for name, test in PARTS.items() if not test(places, alphabet).passed)}
    for name in kind.rules:
        found[name] = permutation_tests(places, np.unique(symbols), index, RULES[name]).failed
    return found


def interval(failures: int, of: int) -> tuple[float, float]:
    """Return the interval that holds a rate with a confidence of 95 % at least (Clopper and Pearson 1934)."""
    low = float(betaincinv(failures, of - failures + 1, 0.025)) if failures else 0.0
    high = float(betaincinv(failures + 1, of - failures, 0.975)) if failures < of else 1.0
    return low, high


def share(failures: int, of: int) -> str:
    """Return a rate with its interval."""
    low, high = interval(failures, of)
    return f"{failures} of {of:,}: {failures / of:.2%} ({low:.2%} to {high:.2%})"


def permutation_table(found: dict[Kind, list[dict[str, tuple[str, ...]]]]) -> list[str]:
    """Return the lines about the permutation tests."""
    lines = [
        "| law | samples | rule | fail one statistic or more | stated, at most | times that a statistic fails | which |"
    ]
    lines += ["|---|---:|---|---|---:|---|---|"]
    for kind, sequences in found.items():
        for name in kind.rules:
            rule, failed = RULES[name], [sequence[name] for sequence in sequences]
            which = Counter(one for some in failed for one in some)
            most = ", ".join(f"{key} {count}" for key, count in which.most_common(3))
            lines.append(
                f"| {kind.law} | {kind.samples:,} | {name} | {share(sum(map(bool, failed)), len(failed))}"
                f" | {len(NAMES) * rule.false_rejection_rate:.2%} | {sum(which.values())}, at most"
                f" {len(NAMES) * len(failed) * rule.false_rejection_rate:.1f} expected | {most} |"
            )
    return lines


def table_of_5_2(found: dict[Kind, list[dict[str, tuple[str, ...]]]]) -> list[str]:
    """Return the lines about the tests that make no permutation."""
    lines = ["| law | samples | " + " | ".join(name.replace("_", " ") for name in PARTS) + " |"]
    lines += ["|---|---:|" + "---|" * len(PARTS)]
    for kind, sequences in found.items():
        if not kind.rules:
            cells = (share(sum(name in one["5.2"] for one in sequences), len(sequences)) for name in PARTS)
            lines.append(f"| {kind.law} | {kind.samples:,} | {' | '.join(cells)} |")
    return lines


def over_the_bound(found: dict[Kind, list[dict[str, tuple[str, ...]]]]) -> list[str]:
    """Return which rates of the permutation tests are, beyond doubt, above what is stated."""
    return [
        f"{kind.law} x {kind.samples:,}, {name}"
        for kind, sequences in found.items()
        for name in kind.rules
        if interval(sum(bool(one[name]) for one in sequences), len(sequences))[0]
        > len(NAMES) * RULES[name].false_rejection_rate
    ]


def main() -> int:
    """Print the tables; fail if a rate is above what is stated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=1000)
    parser.add_argument("--long", type=int, default=60)
    parser.add_argument("--early", type=int, default=300)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    found = {}
    with ProcessPoolExecutor(asked.processes) as pool:
        for kind in kinds(asked.sequences, asked.long, asked.early):
            found[kind] = list(pool.map(partial(judged, kind=kind), range(kind.sequences), chunksize=4))
            print(*permutation_table({kind: found[kind]})[2:], sep="\n", file=sys.stderr, flush=True)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "scipy"))
    over = over_the_bound(found)
    print("# How often the IID track of SP 800-90B rejects what is IID\n")
    print(f"Written by `make sp800iid`. Sequence i is NumPy's Philox generator with the key ({SEED}, i); {versions}.")
    print("In brackets the exact 95 % interval.\n\n## The permutation tests (5.1)\n")
    print(*permutation_table(found), sep="\n")
    print("\nAbove what is stated, beyond doubt:", "; ".join(over) or "none", end=".\n")
    print(f"\n## The tests of 5.2, each at {ALPHA}\n")
    print(*table_of_5_2(found), sep="\n")
    print(FEW_BYTES)
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())
