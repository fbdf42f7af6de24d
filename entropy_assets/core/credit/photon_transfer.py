"""Photon transfer: how much of the noise that a frame shows can be fresh, by its own light and by its header.

Light arrives in electrons, so the variance of fresh noise is ``a + S / g``: read noise, and shot noise that grows with
the signal S. What grows with the square of S is the sensor's response to light (PRNU) or texture of the scene, which
whoever has a flat or another picture of it knows.

* By its light: where illumination varies by two or more, ``a + S / g + (p S)**2`` is fitted to the variance of all live
  squares. If the last term is beyond chance, it is no fresh noise.
* By its header: a gain in electrons per ADU and a read noise say what `a` and `g` are. What is seen beyond that is
  pattern or texture.

Both only lower a credit. docs/credit.md argues this.

References
----------
Janesick, "Photon Transfer" (SPIE 2007), chapters 5 and 6; EMVA Standard 1288.
"""

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.gaussian import PHASES, first_frame_entropy, pair_entropy
from entropy_assets.core.credit.memory import PARTS
from entropy_assets.core.credit.squarewise.coarse import step_in_differences, step_in_light
from entropy_assets.core.extraction.phases import laid_out
from entropy_assets.core.extraction.squares import MAD_TO_SIGMA
from entropy_assets.core.extraction.survey import Survey
from entropy_assets.core.frame import CameraNoise, Frame
from entropy_assets.recipe import Recipe

Floats = npt.NDArray[np.float64]

MOST_SQUARES: Final = 4096
"""About as many live squares are looked at, in whole rows of squares: they tell the variance to .1 %."""
LEAST_SQUARES: Final = 32
"""Live squares below which no curve is fitted."""
LEAST_RATIO: Final = 1.75
"""Illumination must vary by this from its 5th to its 95th percentile, as a slope of 2 : 1 does; an offset would only
make it more."""
CLIPPED_AT: Final = 5.0
"""Differences are clipped at this many standard deviations of their square, so that stars and hot pixels don't count
for more."""
LEAST_SIGMA: Final = 0.6
"""Least noise that is taken for that of a square there, ADC steps: that of its median is a multiple of a third."""
OUTLIER: Final = 4.0
"""Squares this many standard errors off the curve are left out of the next fit: texture, stars."""
FITS: Final = 5
"""Times that the curve is fitted, each with the weights of the one before."""
MARGIN: Final = 2.0
"""Standard errors that are added to what is known, or taken off, as `memory.known_parts` does."""
LEVELS: Final = 4
"""Levels of light at which the fresh noise is told: the middles of as many equal parts of the live squares."""
OFFSETS: Final = 257
"""Offsets that are tried, from 0 to the darkest square."""
THOUSANDTHS: Final = 1000
"""Noise is rounded down to one part in this of an ADC step, so that the last bit of a sum doesn't reach the credit."""

NARROW: Final = THOUSANDTHS // PHASES
"""Noise narrower than the way from one of `PHASES` levels to the next, thousandths of an ADC step."""
LIMITS: Final = MappingProxyType(
    {
        "photon_transfer": (
            "its noise grows with the square of its light, as that of uneven pixels or of texture does, and whoever has"
            " a flat or another picture of the scene knows it; send frames of less light, or of an even field"
        ),
        "header_gain": (
            "it shows more noise than the gain and the read noise in its header allow, so the rest is pattern or"
            " texture, unless the header is wrong; send frames of an even field, or mend the header"
        ),
        "coarse_steps": (
            "its noise comes in steps of many codes, as that of a coarser converter or of single photons does, and what"
            " fills the codes between may be known; send the frames as the camera gave them, before any correction"
        ),
    }
)
"""What limited a credit, what it means, and what to do."""

Noise = tuple[int, ...]
"""Fresh noise at each of `LEVELS` levels of light, thousandths of an ADC step."""


class Light(NamedTuple):
    """What is measured on the live squares of one channel.

    Attributes
    ----------
    level
        ``float64[square]``, mean above code 0, or above the lowest pixel if that is negative; ADC steps.
    variance
        ``float64[square]``, of a pixel, from its pair differences; ADC steps squared. Empty if it was not wanted.
    """

    level: Floats
    variance: Floats


class Transfer(NamedTuple):
    """What the light of a frame says of its fresh noise.

    Attributes
    ----------
    surely, at_most
        Fresh noise as far as chance may have hidden it, and as far as chance may have shown it.
    """

    surely: Noise
    at_most: Noise


def caps_of_light(frame: Frame, survey: Survey, recipe: Recipe) -> dict[str, float]:
    """Return caps of what a sample of `frame` is worth, by name, bits; of several channels or parts, the least.

    ``photon_transfer``: its light allows no more. ``photon_transfer_alone``: it surely allows so much, which is what
    counts while nothing else is known of the sensor. ``header_gain``: its header allows no more. ``coarse_steps``: the
    steps that its noise keeps to allow no more; ``coarse_steps_alone``, no more while nothing else is known. Those that
    say nothing are not there.

    Parameters
    ----------
    survey
        The live-area map of `frame`.
    """
    caps: dict[str, float] = {}
    height = survey.live.shape[0] // frame.parts
    for place, part in enumerate(frame.split()):
        live = survey.live[place * height : (place + 1) * height]
        sigma = survey.sigma[place * height : (place + 1) * height]
        for channel in range(frame.channels):
            for name, bits in _caps(part, channel, live, sigma, survey.square_size, recipe).items():
                caps[name] = min(bits, caps.get(name, math.inf))
    return caps


def _caps(
    frame: Frame, channel: int, live: npt.NDArray[np.bool_], sigma: Floats, size: int, recipe: Recipe
) -> dict[str, float]:
    caps: dict[str, float] = {}
    says = frame.camera_noise if recipe.gain_tolerance[0] else None
    if not live.any() or not (says or recipe.transfer_errors or recipe.sole_pattern):
        return caps
    light = _Squares(frame, channel, live, sigma, size)
    if recipe.sole_pattern:
        caps |= _caps_of_steps(light, float(np.median(sigma[live])), recipe)
    if np.count_nonzero(live) < LEAST_SQUARES:
        return caps
    if says:
        caps["header_gain"] = entropy_of(noise_by_header(light.level, says, recipe.gain_tolerance))
    if recipe.transfer_errors and varies_enough(light.level):
        found = noise_by_light(Light(light.level, light.variance()), recipe.transfer_errors)
        if found is not None:
            caps["photon_transfer"] = entropy_of(found.at_most)
            caps["photon_transfer_alone"] = entropy_of(found.surely)
    return caps


def _caps_of_steps(light: "_Squares", sigma: float, recipe: Recipe) -> dict[str, float]:
    """Return what noise of `sigma` codes is worth at most that keeps to wider steps; nothing if it does not."""
    step = step_in_differences(light.differences(), sigma)
    caps = {"coarse_steps": pair_entropy(sigma / step.codes)} if step and step.is_bare else {}
    step = step or step_in_light(*light.quarters(sigma), sigma)
    if step:
        known = recipe.sole_known_parts / PARTS
        alone = first_frame_entropy(sigma / step.codes, known, recipe.sole_pattern, recipe.safety_factor)
        caps["coarse_steps_alone"] = alone
    return caps


def entropy_of(noise: Noise) -> float:
    """Return the min-entropy of the difference of two pixels, bits: the mean over all levels of light.

    Noise below `NARROW` counts as if all levels lay on a code, since few levels stand for all between two codes.
    """
    bits = [pair_entropy(each / THOUSANDTHS, PHASES if each >= NARROW else 1) for each in noise]
    return math.fsum(bits) / len(bits)


def varies_enough(level: Floats) -> bool:
    """Tell whether illumination varies by `LEAST_RATIO` or more."""
    dark, bright = np.quantile(level, (0.05, 0.95)).tolist()
    return bool(bright > 0 and bright >= LEAST_RATIO * dark)


def noise_by_header(level: Floats, says: CameraNoise, tolerance: tuple[int, int]) -> Noise:
    """Return the most noise that gain and read noise allow at these levels.

    All of the level counts as light: the offset of the camera is not known, and without it shot noise is less. Where
    codes are stored several ADU apart, a gain may be meant per step or per ADU: per step is the larger noise.

    Parameters
    ----------
    level
        ``float64[square]``, ADC steps.
    tolerance
        What the variance is multiplied by, as a fraction: headers give nominal figures.
    """
    numerator, denominator = tolerance
    electrons = says.gain / THOUSANDTHS
    read_noise = says.read_noise / says.gain
    levels = np.maximum(_levels_of(level), 0.0)
    return _rounded((levels / electrons + read_noise**2) * numerator / denominator)


def noise_by_light(light: Light, errors: int) -> Transfer | None:
    """Return the noise that does not grow with the square of the light; None if none does beyond `errors`.

    The zero of the light is not known. It is the least offset at which the curve leaves some noise in the dark, and
    from which that does not fall: any lower one would have squares, or shot noise, of less than nothing. As long as the
    light is enough for a pattern to show, shot noise is wider than read noise, and this finds the offset of the camera.
    """
    curve = _Curve.fitted(light)
    if curve.terms[2] <= errors * math.sqrt(curve.covariance[2, 2]):
        return None
    levels, darkest = _levels_of(light.level), float(light.level.min())
    surely = curve.without_squares(levels, curve.least_offset(darkest, MARGIN), -MARGIN)
    at_most = curve.without_squares(levels, curve.least_offset(darkest, 0.0), MARGIN)
    return Transfer(_rounded(surely), _rounded(at_most))


def _rounded(variance: Floats) -> Noise:
    return tuple(math.floor(math.sqrt(max(0.0, each)) * THOUSANDTHS) for each in variance.tolist())


def _levels_of(level: Floats) -> Floats:
    """Return the middles of `LEVELS` equal parts of the squares."""
    middles: Floats = np.quantile(level, (np.arange(LEVELS) + 0.5) / LEVELS)
    return middles


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """A parabola through the variances: its three terms, and the covariance of their errors."""

    terms: Floats
    covariance: Floats

    def errors_of(self, weights: Floats) -> Floats:
        """Return the standard error of each row of weights of the terms."""
        squares: Floats = np.einsum("ij,jk,ik->i", weights, self.covariance, weights)
        return np.sqrt(np.maximum(squares, 0.0))

    def least_offset(self, darkest: float, margin: float) -> float:
        """Return the least offset, up to the darkest level, at which noise is left that does not fall.

        Parameters
        ----------
        margin
            Standard errors by which either may seem to be missing.
        """
        offsets = np.linspace(0.0, max(0.0, darkest), OFFSETS)
        ones, zeros = np.ones(OFFSETS), np.zeros(OFFSETS)
        possible = np.ones(OFFSETS, dtype=np.bool_)
        for rows in (np.stack([ones, offsets, offsets**2], axis=1), np.stack([zeros, ones, 2 * offsets], axis=1)):
            possible &= rows @ self.terms + margin * self.errors_of(rows) >= 0
        return float(offsets[int(possible.argmax())] if possible.any() else offsets[-1])

    def without_squares(self, levels: Floats, offset: float, margin: float) -> Floats:
        """Return what is left at `levels` without what grows with the square of the level above `offset`.

        It is the tangent of the curve at the offset, with `margin` standard errors added; never more than the curve.
        """
        ones = np.ones_like(levels)
        tangent = np.stack([ones, levels, offset * (2 * levels - offset)], axis=1)
        whole = np.stack([ones, levels, levels**2], axis=1)
        left: Floats = np.minimum(tangent @ self.terms + margin * self.errors_of(tangent), whole @ self.terms)
        return left

    @classmethod
    def fitted(cls, light: Light, pairs: int = 512) -> "_Curve":
        """Return the parabola through most squares, which must lie at many levels.

        Squares weigh by the error of their variance, which is a share of it. Where they scatter by more than that, as
        texture makes them, errors are larger by as much.
        """
        scale = float(np.abs(light.level).max())
        share = math.sqrt(2 / (pairs - 1))
        columns = np.vander(light.level / scale, 3, increasing=True)
        least = 0.05 * float(np.median(light.variance))
        expected = np.full(len(columns), float(np.median(light.variance)))
        kept = np.ones(len(columns), dtype=np.bool_)
        terms, covariance, spread = np.zeros(3), np.eye(3), 1.0
        for _ in range(FITS):
            weights = kept / (share * np.maximum(expected, least)) ** 2
            normal = columns.T @ (columns * weights[:, np.newaxis])
            covariance = np.linalg.inv(normal)
            terms = covariance @ (columns.T @ (light.variance * weights))
            expected = columns @ terms
            off = (light.variance - expected) / (share * np.maximum(expected, least))
            spread = max(1.0, float(np.sqrt(np.mean(off[kept] ** 2))))
            usual = max(1.0, MAD_TO_SIGMA * float(np.median(np.abs(off))))
            kept = np.abs(off) < OUTLIER * usual
        scales = scale ** -np.arange(3.0)
        return cls(terms * scales, covariance * spread**2 * np.outer(scales, scales))


class _Squares:
    """The live squares of one channel, of some rows of squares if there are many."""

    def __init__(self, frame: Frame, channel: int, live: npt.NDArray[np.bool_], sigma: Floats, size: int) -> None:
        plane = frame.pixels[channel]
        laid = laid_out(plane, frame.mosaic, size)
        down, across = live.shape
        self.rows = slice(0, down, max(1, int(np.count_nonzero(live)) // MOST_SQUARES))
        self.live = live[self.rows]
        self.sigma = sigma[self.rows]
        self.step = frame.adc_step
        self.channels = frame.channels
        grid = laid[: down * size, : across * size].reshape(down, size, -1)[self.rows]
        self.left, self.right = grid[:, :, ::2], grid[:, :, 1::2]
        zero = min(0, int(plane.min()))
        self.level: Floats = (self._means(self.left.sum(axis=1, dtype=np.int64)) - zero) / self.step

    def differences(self) -> npt.NDArray[np.signedinteger]:
        """Return the pair differences of the quarters of live squares, ``[quarter, pair]``, ADC steps."""
        apart = self._quarters(self.right - self.left)
        return apart // self.step if self.step > 1 else apart

    def quarters(self, sigma: float) -> Light:
        """Return what `Light` tells, of the quarters of live squares, ``[square, 2, 2]``; levels are above any zero.

        Parameters
        ----------
        sigma
            Noise of a pixel, ADC steps: differences beyond `CLIPPED_AT` of it count for that.
        """
        most = math.ceil(CLIPPED_AT * math.sqrt(2) * sigma)
        differences = self.differences().clip(-most, most).astype(np.float64)
        level = self._quarters(self.left).mean(axis=1) + self._quarters(self.right).mean(axis=1)
        variance = differences.var(axis=1) / 2
        return Light((level / (2 * self.step)).reshape(-1, 2, 2), variance.reshape(-1, 2, 2))

    def _quarters(self, values: npt.NDArray[np.signedinteger]) -> npt.NDArray[np.signedinteger]:
        """Return what the quarters of live squares have, ``[quarter, pair]``."""
        (down, across), size = self.live.shape, values.shape[1]
        apart = values.reshape(down, 2, size // 2, across, 2, -1).transpose(0, 3, 1, 4, 2, 5)[self.live]
        of_quarters: npt.NDArray[np.signedinteger] = apart.reshape(4 * len(apart), -1)
        return of_quarters

    def variance(self) -> Floats:
        """Return the variance of a pixel in each live square, ADC steps squared."""
        most = np.ceil(CLIPPED_AT * math.sqrt(2) * self.step * np.maximum(self._sigmas(), LEAST_SIGMA))
        of_pairs = most.astype(self.left.dtype).repeat(self.left.shape[2] // most.shape[1], axis=1)[:, np.newaxis]
        differences = (self.right - self.left).clip(-of_pairs, of_pairs).astype(np.float64)
        energy = self._means(np.einsum("ijk,ijk->ik", differences, differences))
        found: Floats = (energy - self._means(differences.sum(axis=1)) ** 2) / (2 * self.step**2)
        return found

    def _sigmas(self) -> Floats:
        """Return the noise of each square, ADC steps: the survey's, which is that of the quietest channel, if one."""
        if self.channels == 1:
            return self.sigma
        down, across = self.live.shape
        apart = np.abs(self.right - self.left).reshape(down, self.left.shape[1], across, -1)
        sigmas: Floats = np.median(apart, axis=(1, 3)) * (MAD_TO_SIGMA / math.sqrt(2) / self.step)
        return sigmas

    def _means(self, sums: npt.NDArray[np.number[Any]]) -> Floats:
        """Return the means over the live squares of what was added up over their rows."""
        down, across = self.live.shape
        pairs = self.left.shape[1] * self.left.shape[2] // across
        means: Floats = sums.reshape(down, across, -1).sum(axis=2)[self.live] / pairs
        return means
