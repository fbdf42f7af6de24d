"""Echoes: dither, even or triangular, leaves the characteristic function of the codes beneath in every histogram.

That of codes ``c * s`` comes again every 1/s. Dither by the sum of `order` even numbers below s multiplies it by
``sinc(s f) ** order``, and nothing more. So what a histogram has at m/s + u is what it has at u, but for a factor that
follows from s alone: it is 0 at m/s, and beyond it lie side lobes. The law of the codes and the slope of the picture
cancel out, and the steps lie at the same place in the whole frame, so its squares add up.

The characteristic function of most noise just ends. That of a steep flank, of interference or of uneven codes goes on,
and vanishes somewhere too, but not at every m/s, with lobes between of just that size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import fft

from entropy_assets.core.extraction.squares import Steps

Reals = npt.NDArray[np.float64]
Waves = npt.NDArray[np.complex128]

LEAST_SQUARES: Final = 64
"""Of fewer squares quarters are taken: means of few can't be told from chance."""
LEAST_WINDOWS: Final = 16
"""Fewest squares or quarters that say something."""
RESOLUTION: Final = 8
"""Codes into which one sigma is divided at least; finer codes are joined."""
SPAN: Final = 16
"""Width of a histogram, sigma, at least."""
REACH: Final = 12
"""Squares whose level is this many histograms from the middle one are left out."""
FINER: Final = 4
"""Frequencies between two that a histogram tells apart."""
WIDEST: Final = 2.6
"""Widest step that is looked for, sigma: triangular dither alone has one of 6**.5."""
NARROWEST: Final = 0.8
"""Narrowest step that is looked for, sigma: even dither over codes that have a noise of 1.2 codes of their own."""
LEAST_STEP: Final = 4
"""Narrowest step that is looked for, codes: of three the second lobe is the first one again."""
APART: Final = 1.03
"""One step by the next that is looked for."""
ORDERS: Final = (1, 2)
"""Even numbers that the dither is the sum of."""
CHANCE: Final = 2.0**-30
"""How often a step that is tried seems to have an echo in a frame without waves there. In the largest range of levels
there are 2**13 tries; and the second lobe must lie 5 standard deviations above 0 as well, by the phase of the first."""
LIKELY: Final = ((0.5, 1.5), 0.3)
"""Size of the first lobe as a multiple of what it should be, and the energy of what is unlike it as a share of its, at
which a step is worth a closer look."""
CANDIDATES: Final = 6
"""Steps that are looked at again, at most."""
LOBES: Final = (((0.75, 1.35), 0.06), ((0.7, 1.35), 0.07))
"""The same of the first two lobes at that look, beside what chance has twice. Dither has .06 at most in the second one,
other noise whose first lobe fits .13 at least."""
CLEAR: Final = 5
"""Least size of each of these lobes, standard deviations."""
LAST: Final = ((0.6, 1.5), 2)
"""Size of the third lobe, and the standard deviations by which it may miss that: two waves of the same strength have
two lobes as dither has, and not the third."""
PLACES: Final = np.arange(-12, 13) / 24
"""Places in the echo that are held against the codes, steps between two echoes."""
NEAR: Final = 0.04
"""How far from the step found the closer look goes, as a share of it, in `LOOKS` steps."""
LOOKS: Final = 17


@dataclass(frozen=True, slots=True, eq=False)
class _Histograms:
    """Histograms of windows, by joined codes.

    Attributes
    ----------
    counts
        ``int64[window, code]``, `codes` of them, the middle one at `level`.
    level
        ``int64[window]``, joined codes, from that of the middle window on.
    pixels
        Pixels counted, of a mean window.
    """

    counts: npt.NDArray[np.int64]
    level: npt.NDArray[np.int64]
    pixels: float

    @property
    def codes(self) -> int:
        return int(self.counts.shape[1])

    @property
    def noise(self) -> float:
        """Return the variance of a sum over the windows of one wave times another, as a share of its power."""
        return self.pixels / len(self.level)

    def waves(self, frequencies: Reals) -> Waves:
        """Return ``[window, frequency]``, frequencies in cycles per joined code; phases are those of the codes."""
        codes = np.arange(self.codes) - self.codes // 2
        turned = np.exp(-2j * np.pi * np.outer(self.level, frequencies))
        waves: Waves = turned * (self.counts @ np.exp(-2j * np.pi * np.outer(codes, frequencies)))
        return waves


def shows_codes_beneath(squares: Steps, sigma: float, more: Callable[[], Steps]) -> bool:
    """Tell whether the histograms are those of codes with random dither, even or triangular, of one step.

    Parameters
    ----------
    squares
        ``[n, size, size]``, live squares in ADC steps, their side a multiple of 8: those in which steps are looked for.
    sigma
        Noise, ADC steps.
    more
        Gives the squares that a step that seems to be there is held against.
    """
    bits = max(0, (int(sigma) // RESOLUTION).bit_length() - 1)
    joined = sigma / (1 << bits)
    if not len(squares) or WIDEST * joined < LEAST_STEP:
        return False
    few = _histograms(squares, bits, joined)
    likely = [] if few is None else _likely(few, joined)
    histograms = _histograms(more(), bits, joined) if likely else None
    if histograms is None:
        return False
    spread = int(np.ptp(histograms.level))
    return any(
        _has_lobes(histograms, float(tried), order)
        for frequency, order in likely
        for tried in frequency * (1 + min(NEAR, 1 / max(1.0, spread * frequency)) * np.linspace(-1, 1, LOOKS))
    )


def _histograms(squares: Steps, bits: int, sigma: float) -> _Histograms | None:
    """Return the histograms of squares, or of their quarters, whose levels are near to each other; None if too few."""
    windows = squares
    if len(squares) < LEAST_SQUARES:
        half = squares.shape[1] // 2
        windows = squares.reshape(-1, 2, half, 2, half).swapaxes(2, 3).reshape(-1, half, half)
    joined = windows >> bits
    codes = 2 * int(np.ceil(SPAN / 2 * max(1.0, sigma)))
    sparse = np.sort(joined[:, ::4, ::4].reshape(len(joined), -1), axis=1)
    middle = sparse[:, sparse.shape[1] // 2].astype(np.int64)
    level = middle - int(np.median(middle))
    near = np.abs(level) <= REACH * codes
    count = int(np.count_nonzero(near))
    if count < LEAST_WINDOWS:
        return None
    places = joined[near].reshape(count, -1) - (middle[near, np.newaxis] - codes // 2)
    inside = (places >= 0) & (places < codes)
    places += np.arange(count)[:, np.newaxis] * codes
    counted = places.ravel() if inside.all() else places[inside]
    counts = np.bincount(counted, minlength=count * codes).reshape(count, codes)
    return _Histograms(counts, level[near], len(counted) / count)


def _likely(histograms: _Histograms, sigma: float) -> list[tuple[float, int]]:
    """Return frequency and order of the steps whose first lobe fits, the best ones first."""
    length = fft.next_fast_len(FINER * histograms.codes, real=True)
    lowest, highest = length / (WIDEST * sigma), length / max(NARROWEST * sigma, LEAST_STEP * 0.99)
    tries = lowest * APART ** np.arange(int(np.log(highest / lowest) / np.log(APART)) + 1)
    used = np.arange(min(length // 2, int(1.5 * tries[-1]) + 2) + 1)
    turns = np.exp(-2j * np.pi * np.arange(length) / length)
    waves = fft.rfft(histograms.counts, n=length, axis=1)[:, : len(used)]
    waves *= turns[np.outer(histograms.level - histograms.codes // 2, used) % length]
    power = (waves.real**2 + waves.imag**2).mean(axis=0)
    beneath = np.maximum(power - histograms.pixels, 0)
    shifts = _shifts(histograms.level, length, float(tries[-1]))
    back = np.exp(2j * np.pi * np.outer(shifts, histograms.level) / length)
    (least, most), unlike = LIKELY
    significant = 1 - CHANCE ** (1 / (len(waves) - 1))
    fits: list[tuple[float, float, int]] = []
    for middle in np.unique(np.rint(tries).astype(np.int64)).tolist():
        place = np.arange(0, min(middle // 2, used[-1] - middle) + 1, max(1, middle // 16))
        echoes = waves[:, middle + place] * waves[:, place].conj()
        less = place / (middle + place)  # sinc(1 + u) / sinc(u), but for the sign
        wanted = np.stack([less**order * beneath[place] for order in ORDERS])
        weights = wanted / power[place]
        found = echoes @ weights.T
        sums = back @ found
        chosen = np.abs(sums).argmax(axis=0)
        largest = sums[chosen, np.arange(len(ORDERS))]
        energy = np.maximum((weights * wanted).sum(axis=1), np.finfo(np.float64).tiny)
        size = np.abs(largest) / (len(found) * energy)
        of_all = np.maximum((found.real**2 + found.imag**2).sum(axis=0), np.finfo(np.float64).tiny)
        shared = np.abs(largest) ** 2 / len(found) / of_all
        for order in np.flatnonzero((size >= least) & (size <= most) & (shared > significant)).tolist():
            turned_back = largest[order].conj() / abs(largest[order]) / len(found)
            mean = (back[chosen[order]] @ echoes) * turned_back
            other = np.abs(mean - size[order] * wanted[order]) ** 2 / power[place]
            share = float(other.sum() / (size[order] ** 2 * energy[order]))
            if share < unlike:
                fits.append((share, (middle + float(shifts[chosen[order]])) / length, ORDERS[order]))
    apart: list[tuple[float, int]] = []
    for _, frequency, order in sorted(fits):
        if all(order != other or abs(frequency / there - 1) > NEAR for there, other in apart):
            apart.append((frequency, order))
    return apart[:CANDIDATES]


def _shifts(level: npt.NDArray[np.int64], length: int, highest: float) -> Reals:
    """Return shifts of the frequency, beside one that is tried, that squares of different levels tell apart."""
    reach = (APART - 1) / 2 * highest + 0.5
    count = int(np.ceil(4 * reach * int(np.ptp(level)) / length))
    return np.linspace(-reach, reach, 2 * count + 1) if count else np.zeros(1)


def _has_lobes(histograms: _Histograms, frequency: float, order: int) -> bool:
    """Tell whether the echoes at the first multiples of `frequency`, in cycles per joined code, are those of dither."""
    beneath = histograms.waves(PLACES * frequency)
    power = (beneath.real**2 + beneath.imag**2).mean(axis=0)
    clean = np.maximum(power - histograms.pixels, 0)
    phase = 1 + 0j
    for number in range(1, len(LOBES) + 2):
        used = (0 if number == 1 else -1) <= PLACES  # left of the first echo lies the middle lobe of any noise
        echoes = (histograms.waves((number + PLACES) * frequency) * beneath.conj())[:, used]
        wanted = _factor(number + PLACES[used], PLACES[used], 1 / frequency, order) * clean[used]
        energy = float((wanted**2 / power[used]).sum())
        if not energy:
            return False
        sizes = echoes @ (wanted / power[used]) / energy
        if number == 1:
            phase = complex(sizes.mean() / abs(sizes.mean()))
        sizes = (sizes * phase.conjugate() ** number).real
        size, error = float(sizes.mean()), float(sizes.std()) / len(sizes) ** 0.5
        if number > len(LOBES):
            (least, most), missed = LAST
            return bool(least - missed * error <= size <= most + missed * error)
        (least, most), unlike = LOBES[number - 1]
        other = np.abs(echoes.mean(axis=0) * phase.conjugate() ** number - wanted) ** 2
        by_chance = histograms.noise * np.count_nonzero(used)
        if not least <= size <= most or size < CLEAR * error:
            return False
        if (other / power[used]).sum() > unlike * energy + 2 * by_chance:
            return False
    return True


def _factor(there: Reals, here: Reals, step: float, order: int) -> Reals:
    """Return how much less of the codes is left `there` than `here`, frequencies in 1 / `step`, `step` in codes."""
    return _left(there, step, order) / _left(here, step, order)


def _left(places: Reals, step: float, order: int) -> Reals:
    """Return the characteristic function of dither of whole codes."""
    if order == 1:
        even: Reals = np.sinc(places) / np.sinc(places / step)
        return even
    rounded: Reals = np.sum(
        [np.sinc(places + turn * step) ** order * np.sinc(places / step + turn) for turn in (-1, 0, 1)], axis=0
    )
    return rounded
