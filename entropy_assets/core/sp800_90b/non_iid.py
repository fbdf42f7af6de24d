"""The non-IID track as a whole: all ten estimates of a sequence and of its bits, and H_I (SP 800-90B 3.1.3 and 6)."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from entropy_assets.core.sp800_90b import estimators, predictors
from entropy_assets.core.sp800_90b.alphabets import Symbols, bitstring, checked, numbered
from entropy_assets.core.sp800_90b.estimators import Estimate
from entropy_assets.core.sp800_90b.tuples import tuples_and_repeats
from entropy_assets.errors import InputRefused

WANTED_SAMPLES: Final = 1_000_000
"""Consecutive samples that 3.1.1 item 1 asks for."""
SECTIONS: Final = {
    "most_common_value": "6.3.1",
    "collision": "6.3.2",
    "markov": "6.3.3",
    "compression": "6.3.4",
    "t_tuple": "6.3.5",
    "repeated_substring": "6.3.6",
    "multi_mcw": "6.3.7",
    "lag": "6.3.8",
    "multi_mmc": "6.3.9",
    "lz78y": "6.3.10",
}
"""The estimators, and where the standard has them."""
OF_BITS_ALONE: Final = frozenset({"collision", "markov", "compression"})
"""Those that the standard has for bits only."""

Progress = Callable[[int, int], None]
"""Is told after each estimator how many are made, and of how many."""


@dataclass(frozen=True, slots=True)
class NonIidAssessment:
    """What the non-IID track says of a sequence.

    Attributes
    ----------
    samples, bits_per_symbol, alphabet
        How many there are, how wide each is, and how many different ones occur.
    literal
        Estimates of the symbols by name, bits per symbol; those that need more samples are missing.
    of_bits
        Estimates of all bits of the symbols, bits per bit; empty if at most two symbols occur, which are bits already.
    h_original
        The least estimate of the symbols, bits per symbol.
    h_bitstring
        The least estimate of the bits, bits per bit, or None where there is none.
    h_submitter
        What the submitter's model says, bits per symbol, or None where nobody claims anything.
    """

    samples: int
    bits_per_symbol: int
    alphabet: int
    literal: dict[str, Estimate]
    of_bits: dict[str, Estimate]
    h_original: float
    h_bitstring: float | None
    h_submitter: float | None = None

    @property
    def h_i(self) -> float:
        """H_I: the least of H_original, n H_bitstring and H_submitter, bits per symbol (3.1.3)."""
        h = self.h_original
        if self.h_bitstring is not None:
            h = min(h, self.bits_per_symbol * self.h_bitstring)
        return h if self.h_submitter is None else min(h, self.h_submitter)

    @property
    def decided_by(self) -> str:
        """What is least: ``literal.NAME``, ``of_bits.NAME`` or ``h_submitter``."""
        if self.h_submitter is not None and self.h_submitter <= self.h_i:
            return "h_submitter"
        if not self.literal:
            return "alphabet"
        if self.h_original <= self.h_i:
            return f"literal.{_least(self.literal)}"
        return f"of_bits.{_least(self.of_bits)}"

    @property
    def enough_samples(self) -> bool:
        """Whether there are as many as 3.1.1 item 1 asks for; with fewer, this is no assessment by the standard."""
        return self.samples >= WANTED_SAMPLES

    def to_row(self) -> dict[str, Any]:
        """Return all of it as JSON-able values."""
        derived = {"h_i": self.h_i, "decided_by": self.decided_by, "enough_samples": self.enough_samples}
        return asdict(self) | derived


def assess_non_iid(
    symbols: Symbols,
    bits_per_symbol: int,
    *,
    h_submitter: float | None = None,
    bits_too: bool = True,
    progress: Progress | None = None,
) -> NonIidAssessment:
    """Return what the non-IID track says of a sequence of symbols.

    Parameters
    ----------
    symbols
        ``uint8[n]``, each below ``2**bits_per_symbol``, in the order in which the noise source gave them.
    bits_per_symbol
        n of 3.1.3, 1 to 8. Wider samples are reduced first: `alphabets.reduced`.
    h_submitter
        What the submitter's model says, bits per symbol.
    bits_too
        Whether the bitstring is looked at as well. The standard wants it, but not of restart data.
    progress
        Is told of each estimator. What it raises stops the assessment.

    Raises
    ------
    InputRefused
        If the symbols are not what they are said to be, or too few for any estimator.
    """
    literal, alphabet = numbered(checked(symbols, bits_per_symbol))
    if len(symbols) < 2:
        raise InputRefused(f"{len(symbols)} samples can't be assessed", samples=len(symbols))
    bits_too = bits_too and alphabet > 2
    total = _count(alphabet) + (_count(2) if bits_too else 0)

    def told(before: int) -> Callable[[int], None]:
        return lambda made: progress(before + made, total) if progress else None

    of_symbols = estimates(literal, alphabet, told(0)) if alphabet > 1 else {}
    of_bits = estimates(bitstring(symbols, bits_per_symbol), 2, told(_count(alphabet))) if bits_too else {}
    return NonIidAssessment(
        samples=len(symbols),
        bits_per_symbol=bits_per_symbol,
        alphabet=alphabet,
        literal=of_symbols,
        of_bits=of_bits,
        h_original=of_symbols[_least(of_symbols)].min_entropy if of_symbols else 0.0,
        h_bitstring=of_bits[_least(of_bits)].min_entropy if of_bits else None,
        h_submitter=h_submitter,
    )


def estimates(symbols: Symbols, alphabet: int, told: Callable[[int], None] | None = None) -> dict[str, Estimate]:
    """Return what each estimator of 6.3 says of symbols, by name; three of them are for bits alone.

    Parameters
    ----------
    symbols
        ``uint8[n]``.
    alphabet
        Number of symbols that could occur; each is below it.
    told
        Is told after each estimator how many are made.
    """
    found: dict[str, Estimate | None] = {}
    for some in _one_by_one(symbols, alphabet):
        found |= some
        if told:
            told(len(found))
    return {name: estimate for name in SECTIONS if (estimate := found.get(name)) is not None}


def counted(
    symbols: Symbols, alphabet: int, longest: int | None = None, *, are_bits: bool = False
) -> dict[str, Estimate | None]:
    """Return what the estimators say that count (6.3.1 to 6.3.6), by name; None where there are too few samples.

    Parameters
    ----------
    symbols
        ``uint8[n]``, wherever they lie: there they are counted. What follows from the counts is computed in memory.
    alphabet, longest
        As of `tuples_and_repeats`.
    are_bits
        Whether to ask those too that are for bits alone.
    """
    made = _counted(symbols, alphabet, longest, are_bits)
    return {name: estimate for some in made for name, estimate in some.items()}


def _counted(
    symbols: Symbols, alphabet: int, longest: int | None, are_bits: bool
) -> Iterator[dict[str, Estimate | None]]:
    """Yield each of them when it is made."""
    yield {"most_common_value": estimators.most_common_value(symbols)}
    t_tuple, repeated = tuples_and_repeats(symbols, alphabet, longest)
    yield {"t_tuple": t_tuple, "repeated_substring": repeated}
    if are_bits:
        yield {"collision": estimators.collision(symbols)}
        yield {"markov": estimators.markov(symbols)}
        yield {"compression": estimators.compression(symbols)}


def _one_by_one(symbols: Symbols, alphabet: int) -> Iterator[dict[str, Estimate | None]]:
    """Yield each estimate when it is made; None where there are too few samples for it."""
    yield from _counted(symbols, alphabet, None, are_bits=alphabet == 2)
    yield {"multi_mcw": predictors.multi_mcw(symbols, alphabet)}
    yield {"lag": predictors.lag(symbols, alphabet)}
    yield {"multi_mmc": predictors.multi_mmc(symbols, alphabet)}
    yield {"lz78y": predictors.lz78y(symbols, alphabet)}


def _count(alphabet: int) -> int:
    """Return how many estimators there are for such symbols."""
    return len(SECTIONS) - (len(OF_BITS_ALONE) if alphabet > 2 else 0)


def _least(found: dict[str, Estimate]) -> str:
    return min(found, key=lambda name: found[name].min_entropy)
