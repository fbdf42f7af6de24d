"""How much min-entropy a conditioning component puts out (SP 800-90B 3.1.5), in log domain: nothing cancels."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from entropy_assets.errors import InputRefused

NON_VETTED_SHARE: Final = 0.999
"""Most that a component which is not vetted is credited with, of its output's bits (3.1.5.2)."""


@dataclass(frozen=True, slots=True)
class OutputEntropy:
    """What a conditioning component puts out.

    Attributes
    ----------
    n_in, n_out, nw, h_in
        Input, output and narrowest internal width, and min-entropy of the input, bits.
    vetted
        Whether the component is one of 3.1.5.1.1.
    of_formula
        Output_Entropy(n_in, n_out, nw, h_in) of 3.1.5.1.2, bits.
    missing_log2
        log2 of the share of ``min(n_out, nw)`` that is missing there: full entropy is at most -32.
    h_out
        Min-entropy of the output, bits.
    """

    n_in: int
    n_out: int
    nw: int
    h_in: float
    vetted: bool
    of_formula: float
    missing_log2: float
    h_out: float

    def to_row(self) -> dict[str, Any]:
        """Return all of it as JSON-able values."""
        return asdict(self)


def output_entropy_bits(n_in: int, n_out: int, nw: int, h_in: float) -> float:
    """Return Output_Entropy(n_in, n_out, nw, h_in) of SP 800-90B 3.1.5.1.2, bits: what a vetted component puts out.

    Parameters
    ----------
    n_in, n_out, nw
        Input, output and narrowest internal width, bits.
    h_in
        Min-entropy of the input, bits, at most `n_in`.

    Raises
    ------
    InputRefused
        If a width is none, or the input is said to hold more than it can.
    """
    return max(0.0, min(n_out, nw) - _missing_bits(n_in, n_out, nw, h_in))


def vetted(n_in: int, n_out: int, nw: int, h_in: float) -> OutputEntropy:
    """Return what a vetted component puts out (3.1.5.1.2); parameters and errors as of `output_entropy_bits`."""
    formula = output_entropy_bits(n_in, n_out, nw, h_in)
    return OutputEntropy(n_in, n_out, nw, h_in, True, formula, _missing_log2(n_in, n_out, nw, h_in), formula)


def non_vetted(n_in: int, n_out: int, nw: int, h_in: float, h_measured: float) -> OutputEntropy:
    """Return what another component puts out: at most 0.999 n_out, and what its output is assessed at (3.1.5.2).

    Parameters
    ----------
    n_in, n_out, nw, h_in
        As of `output_entropy_bits`.
    h_measured
        h', the assessed min-entropy of the output's bitstring, bits per bit.

    Raises
    ------
    InputRefused
        As of `output_entropy_bits`, or if `h_measured` is no share.
    """
    if not 0.0 <= h_measured <= 1.0:
        raise InputRefused(f"a bit can't hold {h_measured} bits of min-entropy", h_measured=h_measured)
    formula = output_entropy_bits(n_in, n_out, nw, h_in)
    least = min(formula, NON_VETTED_SHARE * n_out, h_measured * n_out)
    return OutputEntropy(n_in, n_out, nw, h_in, False, formula, _missing_log2(n_in, n_out, nw, h_in), least)


def _missing_bits(n_in: int, n_out: int, nw: int, h_in: float) -> float:
    """Return ``min(n_out, nw) - h_out``: log2(1 + loss), where ``1 + loss`` is 2**n times the largest probability.

    P_low is ``2**-n_in (1 + excess)``, so psi is ``2**-n (1 + excess + 2**(n - h_in))`` and U P_low is
    ``2**-n (1 + excess) (1 + sqrt(2 n ln2 2**(n - n_in)))``.
    """
    if min(n_in, n_out, nw) < 1 or not 0.0 <= h_in <= n_in:
        raise InputRefused(f"an input of {n_in} bits can't hold {h_in} bits of min-entropy", n_in=n_in, h_in=h_in)
    n = min(n_out, nw)
    excess = (2.0**-n_in - 2.0**-h_in) / (1.0 - 2.0**-n_in)
    psi = _log2_of_sum(excess, n - h_in)
    bound = _log2_of_sum(0.0, 0.5 * (math.log2(2.0 * n * math.log(2.0)) + n - n_in))
    return max(psi, bound + (math.log1p(excess) / math.log(2.0) if excess > -1.0 else -math.inf))


def _log2_of_sum(excess: float, exponent: float) -> float:
    """Return ``log2(1 + excess + 2**exponent)`` to full precision, however large or small that is."""
    if exponent > 0:
        return exponent + math.log1p((1.0 + excess) * 2.0**-exponent) / math.log(2.0)
    return math.log1p(excess + 2.0**exponent) / math.log(2.0)


def _missing_log2(n_in: int, n_out: int, nw: int, h_in: float) -> float:
    missing = _missing_bits(n_in, n_out, nw, h_in)
    return math.log2(missing / min(n_out, nw)) if missing > 0 else -math.inf
