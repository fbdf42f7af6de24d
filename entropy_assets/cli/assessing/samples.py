"""Raw samples from a file or a pipe, and what either track of SP 800-90B says of them."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_90b.alphabets import WIDEST, Symbols, measured_ranking, reduced
from entropy_assets.core.sp800_90b.health_tests import HealthReport, run_health_tests
from entropy_assets.core.sp800_90b.non_iid import WANTED_SAMPLES, NonIidAssessment, assess_non_iid
from entropy_assets.errors import ExtraMissing, InputRefused
from entropy_assets.stores.file_names import printable

if TYPE_CHECKING:
    from entropy_assets.core.sp800_90b.iid.track import IidAssessment

PIPE: Final = "-"
MOST_SAMPLES: Final = 100_000_000
"""Samples that are read at most; they take some 100 bytes each."""
READ_AT_ONCE: Final = 1 << 20
HEAD: Final = 4096
"""Bytes at the beginning that tell an image."""
WIDEST_SAMPLE: Final = 16
"""Bits of the widest sample that is read: two bytes, the lower one first."""
HEALTH_ALPHA_BITS: Final = 40
"""-log2 of the probability of a false alarm of the health tests, per sample; the example of 4.4 has 20.

At 20 a file of some million good samples would alarm by chance.
"""
DIGITS: Final = frozenset(b"01 \t\r\n")
"""What a file of bits holds that was written as text."""


@dataclass(frozen=True, slots=True, eq=False)
class SampleFile:
    """Samples as they are assessed.

    Attributes
    ----------
    name, sha256
        Of the file, safe to print; hex, of the bytes that were read.
    symbols
        ``uint8[n]``.
    bits_per_symbol
        Bits of a symbol, 1 to 8.
    sample_bits
        Bits of a sample in the file.
    kept
        Places of the bits of a wide sample that the symbols hold, that of the highest first; empty if all are there.
    remarks
        What is unusual about them, in sentences.
    """

    name: str
    sha256: str
    symbols: Symbols
    bits_per_symbol: int
    sample_bits: int
    kept: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()

    def to_row(self) -> dict[str, Any]:
        """Return what was read as JSON-able values."""
        return {
            "file": self.name,
            "sha256": self.sha256,
            "samples": len(self.symbols),
            "bits_per_symbol": self.bits_per_symbol,
            "sample_bits": self.sample_bits,
            "kept_bits": list(self.kept),
            "remarks": list(self.remarks),
        }


@dataclass(frozen=True, slots=True)
class AssessedSamples:
    """What a track says of a file of samples.

    Attributes
    ----------
    file
        The samples.
    non_iid, iid
        Of the track that was taken; the other one is None.
    health
        The health tests at the min-entropy that was found; None if there is none.
    """

    file: SampleFile
    non_iid: "NonIidAssessment | None" = None
    iid: "IidAssessment | None" = None
    health: HealthReport | None = None

    @property
    def min_entropy(self) -> float | None:
        """H_I, bits per sample; None where the samples were claimed to be IID and are not."""
        if self.non_iid is not None:
            return self.non_iid.h_i
        return self.iid.h_i if self.iid is not None else None

    def to_row(self) -> dict[str, Any]:
        """Return all of it as JSON-able values."""
        tracks = {"non_iid": self.non_iid, "iid": self.iid, "health": self.health}
        said = {name: track.to_row() for name, track in tracks.items() if track is not None}
        return self.file.to_row() | {"min_entropy": self.min_entropy} | said


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, or standard input for ``-``."""
    if str(path) == PIPE:
        yield sys.stdin.buffer
        return
    with path.open("rb") as file:
        yield file


def read_samples(path: Path, sample_bits: int, first: int | None = None) -> SampleFile:
    """Return the samples of a file: up to 8 bits a byte, of more bits two bytes, the lower one first.

    Parameters
    ----------
    path
        ``-`` for standard input.
    sample_bits
        Bits of a sample, 1 to 16. More than 8 are reduced to the 8 most balanced ones (6.4).
    first
        How many are read; all of them if None, which may not be more than `MOST_SAMPLES`.

    Raises
    ------
    InputRefused
        If there are none or too many, a sample is cut short, or one has more bits.
    """
    name = "standard input" if str(path) == PIPE else printable(path.name)
    width = 1 if sample_bits <= WIDEST else 2
    with opened(path) as file:
        data = _read(file, width * (first or MOST_SAMPLES + 1))
    if not data:
        raise InputRefused(f"{name} is empty: there is nothing to assess", file=name)
    if len(data) % width:
        raise InputRefused(f"{name} ends within a sample: {sample_bits} bits are two bytes each", file=name)
    if len(data) // width > MOST_SAMPLES:
        raise InputRefused(f"{name} holds more than {MOST_SAMPLES:,} samples: say how many with --first", file=name)
    samples = np.frombuffer(data, dtype=np.uint8 if width == 1 else "<u2")
    _check(samples, sample_bits, name)
    digest, remarks = hashlib.sha256(data).hexdigest(), tuple(_remarks(samples, sample_bits, bytes(data[:HEAD])))
    if width == 1:
        return SampleFile(name, digest, samples, sample_bits, sample_bits, (), remarks)
    # the bits above a sample's own never vary, and of those that don't the lower ones are ranked first
    kept = measured_ranking(samples)[:WIDEST]
    return SampleFile(name, digest, reduced(samples, kept), WIDEST, sample_bits, kept, remarks)


def _remarks(samples: npt.NDArray[Any], bits: int, head: bytes) -> Iterator[str]:
    """Yield what a reader may have overlooked."""
    if len(samples) < WANTED_SAMPLES:
        yield (
            f"{len(samples):,} samples are fewer than the {WANTED_SAMPLES:,} consecutive ones that 3.1.1 asks for: this"
            " is no assessment by the standard"
        )
    used = int(samples.max()).bit_length()
    if 0 < used < bits:
        yield f"the highest {bits - used} of {bits} bits are always 0: --bits-per-symbol {used} says more of them"
    with suppress(ExtraMissing):
        from entropy_assets.images.decode import begins_like_an_image

        if begins_like_an_image(head):
            yield (
                "it begins like an image, and its bytes were assessed, header and all: without --bits-per-symbol the"
                " noise in it is"
            )


def _read(file: BinaryIO, most: int) -> bytearray:
    """Return what `file` holds, at most so many bytes."""
    data = bytearray()
    while len(data) < most and (part := file.read(min(READ_AT_ONCE, most - len(data)))):
        data += part
    return data


def _check(samples: npt.NDArray[Any], bits: int, name: str) -> None:
    """Raise if a sample has more than `bits` bits: where the first one is, and what would fit."""
    if not int(samples.max()) >> bits:
        return
    wide = next(
        start + int(np.flatnonzero(over)[0])
        for start in range(0, len(samples), READ_AT_ONCE)
        if (over := samples[start : start + READ_AT_ONCE] >> bits).any()
    )
    seen, largest = int(samples[wide]), int(samples.max())
    text = samples.itemsize == 1 and set(samples[:READ_AT_ONCE].tobytes()) <= DIGITS
    advice = (
        "it is text; a symbol is a byte with the value 0 or 1, not a digit"
        if text
        else f"the largest is {largest}, which takes --bits-per-symbol {largest.bit_length()}"
    )
    message = f"{name}: symbol {seen} at offset {wide * samples.itemsize} has more than {bits} bits: {advice}"
    raise InputRefused(message, file=name, symbol=seen, offset=wide * samples.itemsize, largest=largest)


def assessed_samples(
    file: SampleFile,
    *,
    iid: bool = False,
    early: bool = False,
    seed: int = 0,
    h_submitter: float | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> AssessedSamples:
    """Return what the non-IID track says of samples, or with `iid` the IID track.

    Samples that are all equal have no order to permute: either track says 0 of them.

    Parameters
    ----------
    early
        Whether the permutation tests end early, which is another test than the standard's.
    seed
        Of the permutations.
    h_submitter
        What the submitter's model says, bits per sample.
    progress
        Is told what is counted, how much of it is done, and of how much.

    Raises
    ------
    InputRefused
        If there are too few samples.
    """
    symbols, bits = file.symbols, file.bits_per_symbol
    if iid and symbols.min() != symbols.max():
        from entropy_assets.core.sp800_90b.iid.permutations import EARLY, STANDARD
        from entropy_assets.core.sp800_90b.iid.track import assess_iid

        rule = EARLY if early else STANDARD

        def told(made: int, _undecided: tuple[str, ...]) -> None:
            if progress:
                progress("permutations", made, rule.permutations)

        by_iid = assess_iid(symbols, bits, seed, rule=rule, h_submitter=h_submitter, progress=told)
        return AssessedSamples(file, iid=by_iid, health=_health(file, by_iid.alphabet, by_iid.h_i))

    def made(done: int, total: int) -> None:
        if progress:
            progress("estimators", done, total)

    made(0, 1)
    non_iid = assess_non_iid(symbols, bits, h_submitter=h_submitter, progress=made)
    return AssessedSamples(file, non_iid=non_iid, health=_health(file, non_iid.alphabet, non_iid.h_i))


def _health(file: SampleFile, alphabet: int, min_entropy: float | None) -> HealthReport | None:
    """Return what the health tests say of samples that hold so much, bits each; None if that is nothing."""
    if not min_entropy:
        return None
    return run_health_tests(file.symbols, min_entropy, alpha_bits=HEALTH_ALPHA_BITS, binary=alphabet == 2)
