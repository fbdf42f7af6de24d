"""The IID track as a whole: its tests, and the min-entropy that IID samples are credited with (SP 800-90B 3.1.3, 5)."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from entropy_assets.core.sp800_90b import estimators
from entropy_assets.core.sp800_90b.alphabets import Symbols, bitstring, checked, numbered
from entropy_assets.core.sp800_90b.iid.chi_square import ChiSquare, goodness_of_fit, independence
from entropy_assets.core.sp800_90b.iid.permutations import (
    STANDARD,
    PermutationVerdict,
    Progress,
    Rule,
    permutation_tests,
)
from entropy_assets.core.sp800_90b.iid.repeats import RepeatTest, repeat_test
from entropy_assets.core.sp800_90b.iid.shuffles import Shuffler
from entropy_assets.core.sp800_90b.iid.statistics import GROUP, LAGS
from entropy_assets.core.sp800_90b.non_iid import WANTED_SAMPLES
from entropy_assets.errors import InputRefused

LEAST_SAMPLES: Final = 2 * GROUP * (LAGS[-1] + 1)
"""Fewer bits have hardly a group of 8 at the longest lag before another."""


@dataclass(frozen=True, slots=True)
class IidAssessment:
    """What the IID track says of a sequence.

    Attributes
    ----------
    samples, bits_per_symbol, alphabet
        How many there are, how wide each is, and how many different ones occur.
    independence, goodness_of_fit
        The chi-square tests (5.2.1 to 5.2.4).
    repeats
        The test of the longest repeated substring (5.2.5).
    permutations
        The permutation tests (5.1).
    h_submitter
        What the submitter's model says, bits per symbol, or None where nobody claims anything.
    h_i
        H_I: the least of H_original, n H_bitstring and H_submitter, bits per symbol, by 6.3.1 (3.1.3). None unless all
        tests pass: then the samples are not IID, and only the non-IID track may say what they hold.
    """

    samples: int
    bits_per_symbol: int
    alphabet: int
    independence: ChiSquare
    goodness_of_fit: ChiSquare
    repeats: RepeatTest
    permutations: PermutationVerdict
    h_submitter: float | None
    h_i: float | None

    @property
    def failed(self) -> tuple[str, ...]:
        """The tests that fail, by name."""
        others = ("independence", "goodness_of_fit", "repeats")
        return tuple(name for name in others if not getattr(self, name).passed) + self.permutations.failed

    @property
    def passed(self) -> bool:
        """Whether the IID assumption stands."""
        return not self.failed

    @property
    def enough_samples(self) -> bool:
        """Whether there are as many as 3.1.1 item 1 asks for; with fewer, this is no assessment by the standard."""
        return self.samples >= WANTED_SAMPLES

    def to_row(self) -> dict[str, Any]:
        """Return all of it as JSON-able values."""
        derived = {"passed": self.passed, "failed": self.failed, "enough_samples": self.enough_samples}
        return asdict(self) | {"permutations": self.permutations.to_row()} | derived


def assess_iid(
    symbols: Symbols,
    bits_per_symbol: int,
    source: int | Shuffler,
    *,
    rule: Rule = STANDARD,
    h_submitter: float | None = None,
    progress: Progress | None = None,
) -> IidAssessment:
    """Return what the IID track says of a sequence of symbols.

    Parameters
    ----------
    symbols
        ``uint8[n]``, each below ``2**bits_per_symbol``, in the order in which the noise source gave them.
    bits_per_symbol
        n of 3.1.3, 1 to 8. Wider samples are reduced first: `alphabets.reduced`.
    source
        Seed of the permutations, or a stream of them. With the same one the same verdict comes out.
    rule
        `permutations.STANDARD`, or `permutations.EARLY` for a decision under another name.
    h_submitter
        What the submitter's model says, bits per symbol.
    progress
        Is told of each permutation.

    Raises
    ------
    InputRefused
        If the symbols are not what they are said to be, too few, or all the same: then there is nothing to permute.
    """
    places, alphabet = numbered(checked(symbols, bits_per_symbol))
    if len(symbols) < LEAST_SAMPLES or alphabet < 2:
        raise InputRefused(
            f"{len(symbols)} samples of {alphabet} symbols can't be permuted", samples=len(symbols), alphabet=alphabet
        )
    parts: dict[str, Any] = {
        "independence": independence(places, alphabet),
        "goodness_of_fit": goodness_of_fit(places, alphabet),
        "repeats": repeat_test(places, alphabet),
        "permutations": permutation_tests(places, np.unique(symbols), source, rule, progress),
    }
    passed = all(part.passed for part in parts.values())
    h_i = _most_common_entropy(symbols, bits_per_symbol, h_submitter) if passed else None
    return IidAssessment(len(symbols), bits_per_symbol, alphabet, **parts, h_submitter=h_submitter, h_i=h_i)


def _most_common_entropy(symbols: Symbols, bits_per_symbol: int, h_submitter: float | None) -> float:
    """Return the least of H_original, n H_bitstring and H_submitter where the most common value alone is estimated.

    The bits of two symbols are looked at no further: they are bits already.
    """
    estimates = [h_submitter] if h_submitter is not None else []
    if original := estimators.most_common_value(symbols):
        estimates.append(original.min_entropy)
    if np.count_nonzero(np.bincount(symbols)) > 2:
        of_bits = estimators.most_common_value(bitstring(symbols, bits_per_symbol))
        estimates += [bits_per_symbol * of_bits.min_entropy] if of_bits else []
    return min(estimates)
