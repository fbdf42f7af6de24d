"""The discrete Fourier transform test (SP 800-22 2.6).

Of n = R m bits, with R a power of 2, those m apart are joined first (Gentleman and Sande's decimation in frequency):
X[R k + q] is the transform of m numbers, and each of these one of 2**R that a table gives, turned by a root of unity.
So there are R / 2 short transforms in place of a long one, which is several times faster, since each stays in the
near memory, and takes 2 n bytes instead of 16 n. The other R / 2 are mirrored: the sequence is real.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.sp800_22.findings import Asked, Finding, PValue, normal_tails, too_short
from entropy_assets.core.sp800_22.packed import PackedBits

SHORTEST: Final = 1000
"""Bits that 2.6.7 asks for."""
MOST_JOINED: Final = 16
"""R at most: two bytes, with a table each."""
STS_THRESHOLD: Final = 2.995732274
"""ln(1 / 0.05) in sts-2.1.2."""
STS_DIVISOR: Final = 4.0
"""Of rev 1a, fitted to simulations: sigma**2 = n 0.95 0.05 / 4."""

Complex = npt.NDArray[np.complex128]


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
    upper, lower = _patterns(bits, m, joined)
    if joined == 1:
        return _below(np.fft.rfft(2.0 * (upper >> 7) - 1.0)[: n // 2], limit)
    sums, spare = np.empty((2, m), dtype=np.complex128)
    _join(upper, lower, joined, 0, sums, spare)
    # Each peak of the classes between has its mirror image in the other half of the classes.
    found = _below(np.fft.rfft(sums.real)[: -(-m // 2)], limit)
    for q in range(1, joined // 2 + 1):
        _join(upper, lower, joined, q, sums, spare)
        _turn(sums, n, q)
        np.fft.fft(sums, out=sums)
        found += _below(sums[: m // 2] if 2 * q == joined else sums, limit)
    return found


def _below(peaks: Complex, limit: float) -> int:
    parts = peaks.view(np.float64)
    parts *= parts
    return int(np.count_nonzero(parts[0::2] + parts[1::2] < limit))


def _patterns(bits: PackedBits, m: int, joined: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the bits t, t + m, t + 2 m, ... as bytes: those before t + 8 m, and those from there on."""
    both = np.zeros((2, m), dtype=np.uint8)
    for row in range(joined):
        first = row * m
        unpacked = np.unpackbits(bits.data[first // 8 : -(-(first + m) // 8)])[first % 8 :][:m]
        unpacked <<= 7 - row % 8
        both[row // 8] |= unpacked
    return both[0], both[1]


def _join(
    upper: npt.NDArray[np.uint8], lower: npt.NDArray[np.uint8], joined: int, q: int, sums: Complex, spare: Complex
) -> None:
    """Fill `sums` with those of +1 and -1 over `joined` bits, the bit `row` turned by ``row * q / joined``."""
    signs = 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1) - 1.0
    turns = _roots(np.arange(joined) * q, joined)
    np.take(signs[:, : min(8, joined)] @ turns[:8], upper, out=sums, mode="clip")
    if joined > 8:
        np.take(signs @ turns[8:], lower, out=spare, mode="clip")
        sums += spare


def _turn(sums: Complex, n: int, q: int) -> None:
    """Turn the number at place t by ``t * q / n``, by a table of steps and one of strides."""
    step = 1 << (len(sums).bit_length() // 2 + 1)
    steps = _roots(np.arange(step) * q, n)
    for stride, turn in enumerate(_roots(np.arange(0, len(sums), step) * q, n)):
        part = sums[stride * step : (stride + 1) * step]
        part *= (steps * turn)[: len(part)]


def _roots(turns: npt.NDArray[np.int64], whole: int) -> Complex:
    """Return exp(-2 pi i turns / whole), from whole numbers of turns so that the angle is exact."""
    roots: Complex = np.exp(-2j * np.pi * ((turns % whole) / whole))
    return roots
