"""The test of the longest repeated substring (SP 800-90B 5.2.5)."""

import math
from dataclasses import dataclass

from entropy_assets.core.sp800_90b.alphabets import Symbols
from entropy_assets.core.sp800_90b.iid.chi_square import ALPHA, shares
from entropy_assets.core.sp800_90b.tuples import longest_repeat


@dataclass(frozen=True, slots=True)
class RepeatTest:
    """The test.

    Attributes
    ----------
    p_col
        Probability that two samples are equal.
    longest
        W, samples of the longest substring that occurs twice.
    p_value
        Pr(X >= 1): probability that a pair of substrings of that length is equal under the IID assumption.
    """

    p_col: float
    longest: int
    p_value: float

    @property
    def passed(self) -> bool:
        """Whether the IID assumption stands."""
        return self.p_value >= ALPHA


def repeat_test(symbols: Symbols, alphabet: int) -> RepeatTest:
    """Return the test of a sequence, ``uint8[n]``, of which each symbol is below `alphabet`.

    Pairs of substrings count as independent: Pr is ``1 - (1 - p_col**W)**N``, in logarithms.
    """
    p_col = math.fsum(share * share for share in shares(symbols, alphabet).tolist())
    longest = longest_repeat(symbols, alphabet)
    if not longest:
        return RepeatTest(p_col, 0, 1.0)
    pairs = math.comb(len(symbols) - longest + 1, 2)
    of_one = p_col**longest
    p_value = 1.0 if of_one >= 1 else -math.expm1(pairs * math.log1p(-of_one))
    return RepeatTest(p_col, longest, p_value)
