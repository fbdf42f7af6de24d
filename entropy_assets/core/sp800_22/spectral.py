"""The discrete Fourier transform test (SP 800-22 2.6).

Of n = R m bits, with R a power of 2, those m apart are joined first (Gentleman and Sande's decimation in frequency):
X[R k + q] is the transform of m numbers, and each of these one of 2**R that a table gives, turned by a root of unity.
So there are R / 2 short transforms in place of a long one, which is several times faster, since each stays in the
near memory, and takes n bytes at most, instead of 16 n. The other R / 2 are mirrored: the sequence is real.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_22.arrays.spectra import STEPS, Complex
from entropy_assets.core.sp800_22.findings import Asked, Finding, PValue, normal_tails, too_short
from entropy_assets.core.sp800_22.kernels import counting
from entropy_assets.core.sp800_22.packed import PackedBits

SHORTEST: Final = 1000
"""Bits that 2.6.7 asks for."""
MOST_JOINED: Final = 64
"""R at most."""
STS_THRESHOLD: Final = 2.995732274
"""ln(1 / 0.05) in sts-2.1.2."""
STS_DIVISOR: Final = 4.0
"""Of rev 1a, fitted to simulations: sigma**2 = n 0.95 0.05 / 4."""


def divisor() -> float:
    """Return what n 0.95 0.05 is divided by for the variance of the count of peaks: 3.790.

    The squares of the n / 2 peaks add up to n**2 / 2 whatever the bits (Parseval), so they are exponential variables
    of mean 1 under that condition. Given it, the number below ln 20 has the variance (n / 2) (p q - c**2), where
    p = 0.95, q = 0.05, and c = -q ln 20 is the covariance of such a variable and its being below. Iwasaki derives the
    same from Parseval's theorem (arXiv 1806.10357); Pareschi, Rovatti and Setti measured 3.8 (IEEE TIFS 7, 2012).
    With 4, as in rev 1a, 1.2 % of good sequences have a P-value below 0.01.
    """
    p, q = 0.95, 0.05
    return 2 * p * q / (p * q - (q * math.log(20)) ** 2)


def spectral(bits: PackedBits, asked: Asked) -> Finding:
    """Return the discrete Fourier transform (spectral) test (2.6)."""
    n = bits.n
    finding = Finding(name="spectral", section="2.6")
    if reason := too_short(asked, n, SHORTEST, "2.6.7") or ("" if n > 1 else "there are no two bits"):
        return finding.refused(reason)
    below = peaks_below(bits, n * (math.log(20) if asked.strict else STS_THRESHOLD))
    expected = 0.95 * n / 2
    deviate = (below - expected) / math.sqrt(n * 0.95 * 0.05 / (divisor() if asked.strict else STS_DIVISOR))
    return Finding(
        name=finding.name,
        section=finding.section,
        counts={"below": below},
        statistics={"expected": expected},
        p_values=(PValue("", normal_tails(deviate), deviate),),
    )


def peaks_below(bits: PackedBits, limit: float) -> int:
    """Return how many of the first n / 2 peaks have a square below `limit` (2.6.4 steps 2 to 5)."""
    n, joined = bits.n, 1
    while joined < MOST_JOINED and n % (2 * joined) == 0:
        joined *= 2
    m = n // joined
    spectra = counting().spectra
    patterns = spectra.patterns(bits, joined)
    if joined == 1:
        return int(spectra.below(np.fft.rfft(2.0 * (patterns[0, 0] >> 7) - 1.0)[: n // 2], limit))
    # Classes 0 and R / 2 are mirror images of themselves; each one between has that of a class behind them.
    halves = -(-m // 2), m // 2
    found = 0
    both = np.empty((2, m), dtype=np.complex128)
    for q in range(joined // 4 + 1):
        sums = both[:1] if 4 * q == joined else both
        classes = np.array([q, joined // 2 - q])[:, None]
        starts, steps = _roots(np.arange(0, m, STEPS) * classes, n), _roots(np.arange(STEPS) * classes, n)
        spectra.turned_sums(patterns, sums, _tables(joined, q), starts, steps)
        np.fft.fft(sums, out=sums)
        for peaks, half in zip(sums, halves, strict=False):
            found += int(spectra.below(peaks if q else peaks[:half], limit))
    return found


def _tables(joined: int, q: int) -> Complex:
    """Return what the bits of each byte add up to, as +1 and -1, that of each row turned by ``row * q / joined``."""
    signs = 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1) - 1.0
    turns = np.zeros((2, -(-joined // 16) * 8), dtype=np.complex128)
    turns[:, : joined // 2] = _roots(np.arange(joined) * q, joined).reshape(-1, 2).T
    tables: Complex = turns.reshape(2, -1, 8) @ signs.T
    return tables


def _roots(turns: npt.NDArray[np.int64], whole: int) -> Complex:
    """Return exp(-2 pi i turns / whole), from whole numbers of turns so that the angle is exact."""
    roots: Complex = np.exp(-2j * np.pi * ((turns % whole) / whole))
    return roots
