"""Steps of a coarser ADC beneath finer codes: its noise takes few values, and a pattern fills the codes between.

Frames of 8 bits that were divided by a flat are of this kind, and pixels that count photons. Their noise looks as wide
as the codes, and who knows the pattern has a few values left to guess. One frame shows such steps in three ways:

* The characteristic function of pair differences comes back at one over the step, as far as the pattern leaves it.
* Where few pixels leave their step, it does not fall first: its logarithm is a parabola and a cosine. That of stars,
  hot pixels and texture has no cosine, since they jump by any width.
* Where light varies, so does the noise, once a step: most of it lies between two codes of the coarser ADC.

A pattern wider than a third of the step hides the first two, noise of half a step the last one.
"""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from entropy_assets.core.extraction.squares import MAD_TO_SIGMA

Floats = npt.NDArray[np.float64]

LEAST_STEP: Final = 4.0
"""Narrowest step that is looked for, codes: uneven codes of an ADC come back at two and at three."""
FINEST: Final = 32
"""Codes into which the noise is divided at most; finer ones are joined."""
SPAN: Final = 64.0
"""Widest difference that counts, standard deviations of the noise in the middle; what is wider lowers all waves."""
WIDEST: Final = 24.0
"""Widest step that is looked for in differences, over the noise."""
NARROWEST: Final = 0.25
"""Narrowest one, over the noise: of finer steps noise takes enough values."""
PER_PERIOD: Final = 128
"""Frequencies that are looked at for each 1 / noise."""
RISEN: Final = 1.25
"""By so much a wave must have risen again, over the least that was left of those before it."""
BACK: Final = 0.1
"""What must be left of it there. Gains that leave gaps between codes bring .08 back at steps of four codes and more
that are not there; a pattern of a quarter of a step leaves .1."""
NARROW: Final = 0.6
"""What comes back where a step is as good as bare: what lies about it is less than a tenth of it wide."""
CLEAR: Final = 12.0
"""Standard errors above which a wave is looked at."""
LEAST_WAVES: Final = 16
"""Frequencies that a cosine is looked for in, at least."""
LEAST_ERROR: Final = 0.002
"""Least error of a logarithm: no law is met better."""
STEPS_TRIED: Final = 256
BETTER: Final = 8.0
"""By so much the cosine must miss less than jumps of any width do, and by `LEAST_GAIN` in squares of errors."""
LEAST_GAIN: Final = 30.0
LEAST_JUMPS: Final = 0.02
"""Least share of differences with a jump."""
LEAST_PERIODS: Final = 4.0
"""Steps over which the light must vary at least. No wave of fewer may be stronger: what is left of the scene is one."""
BY_LIGHT: Final = (0.7, 3.0)
"""Narrowest and widest step that is looked for in the light, over the noise."""
MOST_OF_STEP: Final = 0.5
"""Part of a step that the light may vary by within a quarter: beyond, places that lie in rows tell of other steps."""
SMOOTH: Final = 6
"""Terms of the polynomial that is taken off the logarithm of the noise: shot noise on a slope of 10 : 1 leaves .3 %."""
PER_TURN: Final = 4
"""Frequencies that are tried for each that the range of light tells apart."""
PER_STEP: Final = 8
"""Levels that are told apart in the narrowest step that is looked for."""
WAVE_ENERGY: Final = 25.0
"""Energy of a wave over that of noise from which on it is believed: of noise one frequency in 200,000 goes beyond, and
no reference image has more than 16."""
OUTLIER: Final = 4.0
"""Places whose variance is this many times the usual spread off are left out."""


class CoarseStep(NamedTuple):
    """A step beneath the codes.

    Attributes
    ----------
    codes
        How wide it is, rounded up to a hundredth.
    is_bare
        Whether what lies about it is so narrow that it holds nothing.
    """

    codes: float
    is_bare: bool = False


def step_in_differences(differences: npt.NDArray[np.integer], sigma: float) -> CoarseStep | None:
    """Return the step that pair differences keep to; None if they show none.

    Parameters
    ----------
    differences
        Of live pixels, codes.
    sigma
        Noise of a pixel in the middle, codes.
    """
    sigma = max(sigma, 0.5)
    bits = max(0, (int(sigma) // FINEST).bit_length())
    joined = sigma / (1 << bits)
    apart = (np.abs(differences.ravel().astype(np.int64)) + ((1 << bits) >> 1)) >> bits
    codes = math.ceil(SPAN * joined) + 2
    counts = np.bincount(apart[apart < codes], minlength=codes) / max(1, apart.size)
    most = min(joined / LEAST_STEP * (1 << bits), 1 / NARROWEST)
    places = np.arange(1, int(most * PER_PERIOD) + 1) / PER_PERIOD
    if len(places) < LEAST_WAVES:
        return None
    seen = np.flatnonzero(counts)
    cosines = np.cos(2 * np.pi * np.outer(places / joined, seen))
    waves = cosines @ counts[seen]
    errors = np.sqrt(np.maximum(cosines**2 @ counts[seen] - waves**2, 0) / max(1, apart.size))
    place = _echo(waves, errors, places)
    place = _cosine(waves, errors, places) if place is None else place
    if place is None:
        return None
    back = float(np.interp(1 / place, places, waves))
    return CoarseStep(math.ceil(100 * place * sigma) / 100, back >= NARROW)


def _echo(waves: Floats, errors: Floats, places: Floats) -> float | None:
    """Return the step, over the noise, whose wave comes back; None if none does."""
    least = np.minimum.accumulate(waves)
    risen = (waves > np.maximum(BACK, RISEN * least)) & (waves - least > CLEAR * errors)
    risen &= np.append(waves[1:] <= waves[:-1], False)
    return 1 / float(places[risen.argmax()]) if risen.any() else None


def _cosine(waves: Floats, errors: Floats, places: Floats) -> float | None:
    """Return the step, over the noise, to which a few pixels jump; None if jumps have any width, or there are none."""
    clear = waves > CLEAR * errors
    end = len(waves) if clear.all() else int(clear.argmin())
    if end < LEAST_WAVES:
        return None
    f, curve = places[:end], -np.log(waves[:end])
    weights = 1 / np.maximum(errors[:end] / waves[:end], LEAST_ERROR)
    widths = np.geomspace(0.3, WIDEST, STEPS_TRIED // 4)
    jumps = 1 - np.exp(-2 * (np.pi * np.outer(widths, f)) ** 2)
    any_width = float(least_squares(np.stack([f**2, f**4]) * weights, jumps * weights, curve * weights).missed.min())
    if any_width < LEAST_GAIN or WIDEST * f[-1] <= 1:
        return None
    steps = np.geomspace(1 / f[-1], WIDEST, STEPS_TRIED)
    jumps = 1 - np.cos(2 * np.pi * np.outer(steps, f))
    fitted = least_squares(f[np.newaxis] ** 2 * weights, jumps * weights, curve * weights)
    missed = np.where((fitted.first > 0) & (fitted.last >= LEAST_JUMPS), fitted.missed, np.inf)
    best = int(missed.argmin())
    if BETTER * missed[best] > any_width or any_width - missed[best] < LEAST_GAIN:
        return None
    return float(steps[best])


class LeastSquares(NamedTuple):
    """Fits by least squares, one for each term that comes last.

    Attributes
    ----------
    missed
        Sum of the squares that are left.
    first, last
        Factors of the first and of the last term.
    """

    missed: Floats
    first: Floats
    last: Floats


def least_squares(terms: Floats, last: Floats, curve: Floats) -> LeastSquares:
    """Fit `curve` by all of `terms` and one of `last`, for each of these.

    Parameters
    ----------
    terms
        ``float64[term, place]``: the same in each fit.
    last
        ``float64[fit, place]``: none of them a sum of the terms.
    curve
        ``float64[place]``.
    """
    axes, triangle = np.linalg.qr(terms.T)
    along = axes.T @ curve
    rest = curve - axes @ along
    shares = last @ axes
    beside = last - shares @ axes.T
    factors = (beside @ rest) / np.einsum("ij,ij->i", beside, beside)
    left = rest - factors[:, np.newaxis] * beside
    firsts = np.linalg.solve(triangle, along[:, np.newaxis] - shares.T * factors)[0]
    return LeastSquares(np.einsum("ij,ij->i", left, left), firsts, factors)


def step_in_light(level: Floats, variance: Floats, sigma: float) -> CoarseStep | None:
    """Return the step with which the noise comes and goes as the light varies; None if it does not.

    Parameters
    ----------
    level, variance
        ``float64[square, 2, 2]`` of the quarters of live squares, codes and their square.
    sigma
        Median noise of a pixel, codes.
    """
    share = np.log(np.maximum(variance, 1e-9))
    share -= np.median(share)
    kept = np.abs(share) < OUTLIER * MAD_TO_SIGMA * float(np.median(np.abs(share)))
    if np.count_nonzero(kept) < LEAST_WAVES:
        return None
    across = np.maximum(np.abs(np.diff(level, axis=1)).mean(axis=(1, 2)), np.abs(np.diff(level)).mean(axis=(1, 2)))
    within = max(float(np.median(across)), 1e-9)
    level, share = level[kept], share[kept]
    dark, bright = np.quantile(level, (0.02, 0.98)).tolist()
    least = max(LEAST_PERIODS / max(bright - dark, 1e-9), 1 / (BY_LIGHT[1] * sigma))
    most = min(1 / (BY_LIGHT[0] * sigma), 1 / LEAST_STEP, MOST_OF_STEP / within)
    if most <= least:
        return None
    centred = (level - level.mean()) / max(float(level.std()), 1e-9)
    smooth = np.linalg.qr(np.vander(centred, SMOOTH))[0]
    share -= smooth @ (smooth.T @ share)
    error = max(float(share @ share) / len(share), 1e-12)
    places = np.floor((np.clip(level, dark, bright) - dark) * (PER_STEP * most)).astype(np.int64)
    length = fft.next_fast_len(PER_TURN * (int(places.max()) + 1), real=True)
    found = np.abs(fft.rfft(np.bincount(places, weights=share), n=length))
    # from one turn in the range of light up to the narrowest step
    found = found[: length // PER_STEP + 1]
    best = int(found[PER_TURN:].argmax()) + PER_TURN if len(found) > PER_TURN else 0
    frequency = best * PER_STEP * most / length
    is_within = least <= frequency and best + 1 < len(found)
    if not is_within or _wave(level, share, smooth, frequency) < WAVE_ENERGY * error:
        return None
    return CoarseStep(math.ceil(100 / frequency) / 100)


def _wave(level: Floats, share: Floats, smooth: Floats, frequency: float) -> float:
    """Return the energy of what of `share` comes and goes with a frequency of the light."""
    turns = 2 * np.pi * frequency * level
    both = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    both -= smooth @ (smooth.T @ both)
    fitted = both @ np.linalg.lstsq(both, share, rcond=None)[0]
    return float(fitted @ fitted)
