"""The health tests of NIST SP 800-90B 4.4 on a whole sequence at once: repetition count and adaptive proportion."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

APT_WINDOW_BINARY: Final = 1024
"""W for two symbols (4.4.2)."""
APT_WINDOW: Final = 512
"""W for more than two symbols (4.4.2)."""
SAMPLES_AT_ONCE: Final = 1 << 20
"""Samples whose changes are listed at once: a list of them all would take eight times the sequence."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What both tests saw, beside the cutoffs at which they fail.

    Attributes
    ----------
    longest_run, rct_cutoff
        Longest run of one symbol, and the run C at which the repetition count test fails (4.4.1).
    largest_count, apt_cutoff
        Most occurrences of a window's first symbol in that window, and the count C at which the adaptive proportion
        test fails (4.4.2); 0 seen if the sequence is shorter than one window.
    window, windows
        W, samples in a window, and how many windows there were.
    """

    longest_run: int
    rct_cutoff: int
    largest_count: int
    apt_cutoff: int
    window: int
    windows: int

    @property
    def passed(self) -> bool:
        """Tell whether neither test failed."""
        return self.longest_run < self.rct_cutoff and self.largest_count < self.apt_cutoff

    @property
    def failed(self) -> tuple[str, ...]:
        """Return the names of the tests that failed."""
        failures = (
            ("repetition_count", self.longest_run >= self.rct_cutoff),
            ("adaptive_proportion", self.largest_count >= self.apt_cutoff),
        )
        return tuple(name for name, failed in failures if failed)

    def to_row(self) -> dict[str, Any]:
        """Return the report as JSON-able values."""
        return {**asdict(self), "passed": self.passed}


def rct_cutoff(min_entropy: float, alpha_bits: int) -> int:
    """Return C of the repetition count test: 1 + ceil(-log2 alpha / H) (4.4.1).

    Parameters
    ----------
    min_entropy
        H, bits per sample.
    alpha_bits
        -log2 of the probability of a false alarm; the standard's example is 20.
    """
    return 1 + math.ceil(alpha_bits / min_entropy)


def apt_cutoff(min_entropy: float, alpha_bits: int, window: int) -> int:
    """Return C of the adaptive proportion test: 1 + CRITBINOM(W, 2**-H, 1 - alpha) (4.4.2).

    Parameters
    ----------
    min_entropy, alpha_bits
        As for `rct_cutoff`.
    window
        W, samples.
    """
    counts = np.arange(window + 1, dtype=np.float64)
    beyond = bdtrc(counts, window, 2.0**-min_entropy)
    return 1 + int(np.argmax(beyond <= 2.0**-alpha_bits))


def longest_run(samples: npt.NDArray[np.uint8]) -> int:
    """Return the length of the longest run of one value, 0 if there are no samples."""
    longest, last = 0, -1
    for start in range(0, len(samples) - 1, SAMPLES_AT_ONCE):
        part = samples[start : start + SAMPLES_AT_ONCE + 1]
        edges = np.concatenate(([last], start + np.flatnonzero(part[1:] != part[:-1])))
        longest, last = max(longest, int(np.diff(edges).max(initial=0))), int(edges[-1])
    return max(longest, len(samples) - 1 - last)


def window_counts(samples: npt.NDArray[np.uint8], window: int) -> npt.NDArray[np.int64]:
    """Return, for each whole window of `window` samples, how often its first value occurs in it."""
    windows = samples[: len(samples) // window * window].reshape(-1, window)
    counts: npt.NDArray[np.int64] = np.count_nonzero(windows == windows[:, :1], axis=1)
    return counts


def run_health_tests(
    samples: npt.NDArray[np.uint8], min_entropy: float, *, alpha_bits: int, binary: bool = False
) -> HealthReport:
    """Return what both tests say of `samples`, given what each is claimed to hold.

    Parameters
    ----------
    samples
        ``uint8[n]``, in the order in which they are used.
    min_entropy
        H, the claimed or assessed min-entropy, bits per sample; more than 0.
    alpha_bits
        -log2 of the probability of a false alarm, per sample (repetition) and per window (proportion).
    binary
        The samples are bits.
    """
    window = APT_WINDOW_BINARY if binary else APT_WINDOW
    counts = window_counts(samples, window)
    return HealthReport(
        longest_run=longest_run(samples),
        rct_cutoff=rct_cutoff(min_entropy, alpha_bits),
        largest_count=int(counts.max(initial=0)),
        apt_cutoff=apt_cutoff(min_entropy, alpha_bits, window),
        window=window,
        windows=len(counts),
    )
