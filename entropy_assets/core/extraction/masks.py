"""What is looked for in a frame as a whole, and masks squares that looked live each by itself.

Copies, the traces of lossy coders, pixels that depend on those of another colour, and noise that a program made. Each
function writes into ``verdict``, ``uint8[sy, sx]`` of `Verdict`, and returns what it measured.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.arrays import on_host, windows_at
from entropy_assets.core.extraction.artefacts import blocking, comb_share, repeat_correlation, repeated_share
from entropy_assets.core.extraction.banding import without_banding, without_row_offsets
from entropy_assets.core.extraction.lattices import EIGHTHS, lattice_rise
from entropy_assets.core.extraction.made.dither import dithered_share
from entropy_assets.core.extraction.made.echoes import shows_codes_beneath
from entropy_assets.core.extraction.made.linearity import relative_complexity
from entropy_assets.core.extraction.made.spectrum import empty_spectrum_share
from entropy_assets.core.extraction.phases import levelled_squares, parts_of, squares_as_they_lie
from entropy_assets.core.extraction.slopes import NARROW_MOST, Grey
from entropy_assets.core.extraction.squares import (
    Item,
    PerSquare,
    Steps,
    Verdict,
    energy_shares,
    is_coloured,
    square_statistics,
)
from entropy_assets.core.extraction.templates import LEAST_ALIKE, repeated_noise, repeated_noise_share
from entropy_assets.core.frame import Frame
from entropy_assets.recipe import Recipe

LUMA: Final = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma (ITU-R BT.601, as in JFIF)."""
THOUSANDTHS: Final = (299, 587, 114)
"""The same in whole numbers."""
NOT_CLIPPED: Final = (-(1 << 30), 1 << 30)
"""Codes that no pixel has."""
MOST_CORRELATED: Final = 0.5
"""Largest share of the squares under one square of each phase that may be correlated: a star is in one or two."""
SQUARES_SEARCHED: Final = 128
"""Live squares that are searched for the traces of lossy coders."""
SLOPED: Final = 0.5
"""Energy of a square's residual less planes, as a share of that less levels, below which light is steep there."""
SQUARES_COMPARED: Final = 1024
"""Live squares whose histograms are held against the codes beneath dither, where these seem to show in some."""
COPIES_PER_LIVE: Final = 16
"""Squares that are plain copies, for each live one, from which on these are taken for copies too that escaped."""
DITHER_ADVICE: Final = (
    "in {:.0%} of the squares the pixels lie evenly in boxes of codes: random dither, as when a picture of few bits is"
    " raised to more; send the file from before that"
)
ECHO_ADVICE: Final = (
    "the histograms are those of few codes under random dither, as when a picture of few bits is raised to more; send"
    " the file from before that"
)
SPECTRUM_ADVICE: Final = (
    "the noise is that of a generator, not of a sensor: {:.0%} of the frequencies are empty beside their neighbours, of"
    " white noise 1%; send a frame as a sensor gave it"
)
LINEAR_ADVICE: Final = (
    "the noise is that of a generator, not of a sensor: a shift register repeats its bits with {:.0%} of the length"
    " that noise needs; send a frame as a sensor gave it"
)


def mask_copied_parts(
    verdict: npt.NDArray[np.uint8], steps: Steps, sigma: PerSquare, parts: int, recipe: Recipe
) -> None:
    """Mask in `verdict` what a part of a frame copies of one before it, to the digit or as windows of its noise.

    Of parts whose noise stands in each other at different places, in any orientation, the first stays.
    """
    size, height = recipe.survey_size, len(verdict) // parts
    part = np.repeat(np.arange(parts), height)
    live = verdict == Verdict.LIVE
    verdict[live & (repeated_share(steps, live, size) > recipe.max_copied_share)] = Verdict.REPEATED
    if recipe.max_repeated_noise >= 1:
        return
    row, alike = repeated_noise(steps, verdict == Verdict.LIVE, sigma, size, parts)
    if not len(row) or alike.mean() <= recipe.max_repeated_noise:
        return
    first, *others = np.flatnonzero(np.bincount(part[row[alike]], minlength=parts) >= LEAST_ALIKE).tolist() or [0]
    kept = {first}
    for place in others:
        beside = (verdict == Verdict.LIVE) & np.isin(part, [*kept, place])[:, np.newaxis]
        row, alike = repeated_noise(steps, beside, sigma, size, parts)
        if np.count_nonzero(part[row[alike]] == place) >= LEAST_ALIKE:
            verdict[beside & (part == place)[:, np.newaxis]] = Verdict.REPEATED
        else:
            kept.add(place)


def mask_templates(
    verdict: npt.NDArray[np.uint8], channels: list[Steps], sigmas: list[PerSquare], recipe: Recipe
) -> float:
    """Mask in `verdict` all live squares if their noise stands in several of them, or if most noise is a plain copy.

    Returns
    -------
    float
        `Survey.repeated_noise`.
    """
    live = verdict == Verdict.LIVE
    if recipe.max_repeated_noise >= 1 or not live.any():
        return 0.0
    repeated = max(
        repeated_noise_share(steps, live, sigma, recipe.survey_size)
        for steps, sigma in zip(channels, sigmas, strict=True)
    )
    copied = np.count_nonzero(verdict == Verdict.REPEATED)
    if repeated > recipe.max_repeated_noise or copied >= COPIES_PER_LIVE * np.count_nonzero(live):
        verdict[live] = Verdict.REPEATED
    return repeated


def mask_neighbours(verdict: npt.NDArray[np.uint8], grey: list[Grey], period: int, recipe: Recipe) -> None:
    """Mask in `verdict` the live squares of a mosaic whose pixels depend on those of other phases beside them.

    A square of each phase together covers `period` x `period` squares as the sensor lies. If these are correlated on
    the whole, or more than `MOST_CORRELATED` of them are, none of the phases is live there.
    """
    if period == 1:
        return
    for steps, *_ in grey:
        measured = without_banding(square_statistics(steps, NOT_CLIPPED, recipe.survey_size), steps, recipe)
        along, across = (values.reshape(verdict.shape) for values in (measured.correlation_x, measured.correlation_y))
        depends = is_coloured(along, across, recipe) | measured.has_line.reshape(verdict.shape)
        share = _means(depends, period)
        together = is_coloured(_means(along, period), _means(across, period), recipe)
        correlated = np.tile((share > MOST_CORRELATED) | together, (period, period))
        verdict[(verdict == Verdict.LIVE) & correlated] = Verdict.CORRELATED


def _means(squares: npt.NDArray[Item], period: int) -> PerSquare:
    """Return the mean of each `period` x `period` neighbouring squares."""
    rows, columns = (side // period for side in squares.shape)
    return np.asarray(squares.reshape(rows, period, columns, period).mean(axis=(1, 3)))


class CodedSquares:
    """Squares of a frame as a coder saw them: as the sensor lies, in whole ADC steps.

    One level of each colour, taken off the whole frame, keeps the steps of a coder where they are; one of each cell
    moves them a little, and a plane more. But under uneven light they leave what looks like steps. So the first is
    taken off squares in which colours differ as in the frame, and the last off those in which the second would leave
    more than twice the energy. Bright pixels that were clipped to one value would look like steps too.
    """

    def __init__(self, channels: list[Steps], grey: list[Grey], frame: Frame, recipe: Recipe) -> None:
        self._channels = channels
        self._grey = grey
        self._period = frame.mosaic
        self._size = recipe.survey_size
        self._takes_planes = frame.mosaic > 1 and recipe.planes_of_colours
        self._of: npt.NDArray[np.bool_] | None = None
        self._squares: list[Steps] = []

    def squares(self, live: npt.NDArray[np.bool_]) -> list[Steps]:
        """Return `SQUARES_SEARCHED` squares of each channel, of those that are live, or have a phase that is."""
        if self._of is None or not np.array_equal(live, self._of):
            seen = squares_as_they_lie(live, self._period)
            pairs = zip(self._grey, self._channels, strict=True)
            self._of, self._squares = live, [self._of_channel(grey, laid, seen) for grey, laid in pairs]
        return self._squares

    def _of_channel(self, grey: Grey, laid: Steps, seen: npt.NDArray[np.bool_]) -> Steps:
        flat = _live_squares(grey.steps, seen, self._size)
        if not self._takes_planes:
            return flat
        places = _spread(seen, SQUARES_SEARCHED)
        squares, even = levelled_squares(laid, self._period, *places, self._size, grey.sigma)
        uneven = np.flatnonzero(~even)
        if len(uneven):
            planes, level = flat[uneven].astype(squares.dtype, copy=False), squares[uneven]
            some = self._size // 2 + 2
            steep = energy_shares(planes[:, :some], level[:, :some]) * 0.25**grey.bits < SLOPED
            steep &= np.abs(planes).max(axis=(1, 2)) < NARROW_MOST
            in_steps = planes >> grey.bits if grey.bits > 0 else planes << -grey.bits
            squares[uneven] = np.where(steep[:, np.newaxis, np.newaxis], in_steps, level)
        return squares


def mask_artefacts(
    verdict: npt.NDArray[np.uint8],
    channels: list[Steps],
    coded: CodedSquares,
    frame: Frame,
    recipe: Recipe,
    *,
    banded: bool,
) -> tuple[float, float, float]:
    """Mask in `verdict` the live squares that are copies, periodic or decompressed.

    The grid of JPEG is looked for as the sensor lies, as JPEG saw it.

    A container that says that it is lossy is not searched for a comb: its credit is capped instead.

    Returns
    -------
    tuple of three floats
        `Survey.repeat_correlation`, `Survey.blocking` and `Survey.comb_share`.
    """
    live = verdict == Verdict.LIVE
    if not live.any():
        return 0.0, 0.0, 0.0
    for steps in channels:
        copied = repeated_share(steps, live, recipe.survey_size)
        verdict[live & (copied > recipe.max_copied_share)] = Verdict.REPEATED
    repeats = max(
        repeat_correlation(part, banded=banded, outlier=recipe.repeat_outlier)
        for steps in channels
        for part in parts_of(steps, frame.mosaic)
    )
    squares = coded.squares(live)
    if banded:
        squares = [without_row_offsets(plane) for plane in squares]
    borders = max(blocking(plane) for plane in squares)
    comb = 0.0 if frame.lossy else comb_share(_luma(squares))
    if repeats > recipe.max_repeat_correlation:
        verdict[live] = Verdict.REPEATED
    elif borders > recipe.max_blocking or comb > recipe.max_comb_share:
        verdict[live] = Verdict.COMPRESSED
    return repeats, borders, comb


def mask_decoded(verdict: npt.NDArray[np.uint8], coded: CodedSquares, frame: Frame, recipe: Recipe) -> float:
    """Mask in `verdict` all live squares if a lossy coder's steps show, unless the container says that it is lossy.

    Returns
    -------
    float
        `Survey.lattice_rise`.
    """
    live = verdict == Verdict.LIVE
    if frame.lossy or not recipe.max_lattice_rise or not live.any():
        return 0.0
    rise = lattice_rise(_eighths_of_luma(coded.squares(live)))
    if rise > recipe.max_lattice_rise:
        verdict[live] = Verdict.COMPRESSED
    return rise


@dataclass(frozen=True, slots=True)
class MadeNoise:
    """What the searches for made noise found in a frame: attributes of `Survey`."""

    dithered_share: float = 0.0
    empty_spectrum: float = 0.0
    linear_complexity: float = 1.0
    advice: str = ""


def mask_made_noise(
    verdict: npt.NDArray[np.uint8], channels: list[Steps], grey: list[Grey], sigmas: list[PerSquare], recipe: Recipe
) -> MadeNoise:
    """Mask in `verdict` all live squares if a program made the noise; what the recipe does not limit costs nothing.

    Waves are looked for in `grey`, as the sensor lies: laid out, those of a mosaic would fill the gaps between them.
    """
    live = verdict == Verdict.LIVE
    if not live.any():
        return MadeNoise()
    noise = [float(np.median(sigma[live])) for sigma in sigmas]
    dithered = 0.0
    if recipe.max_dithered_share < 1:
        searched = [_live_squares(steps, live, recipe.survey_size) for steps in channels]
        dithered = max(map(dithered_share, searched))
        if dithered > recipe.max_dithered_share:
            verdict[live] = Verdict.DITHERED
            return MadeNoise(dithered, advice=DITHER_ADVICE.format(dithered))
        more = [partial(_live_squares, steps, live, recipe.survey_size, SQUARES_COMPARED) for steps in channels]
        if any(map(shows_codes_beneath, searched, noise, more)):
            verdict[live] = Verdict.DITHERED
            return MadeNoise(1.0, advice=ECHO_ADVICE)
    empty = 0.0
    if recipe.max_empty_spectrum < 1:
        empty = max(
            empty_spectrum_share(one.steps, sigma * 2.0**one.bits) for one, sigma in zip(grey, noise, strict=True)
        )
    if empty > recipe.max_empty_spectrum:
        verdict[live] = Verdict.SYNTHETIC
        return MadeNoise(dithered, empty, advice=SPECTRUM_ADVICE.format(empty))
    linear = 1.0
    if recipe.min_linear_complexity > 0:
        size = recipe.survey_size
        linear = min(
            relative_complexity(steps, live, size, sigma) for steps, sigma in zip(channels, noise, strict=True)
        )
    if linear < recipe.min_linear_complexity:
        verdict[live] = Verdict.SYNTHETIC
        return MadeNoise(dithered, empty, linear, LINEAR_ADVICE.format(linear))
    return MadeNoise(dithered, empty, linear)


def _live_squares(steps: Steps, live: npt.NDArray[np.bool_], size: int, most: int = SQUARES_SEARCHED) -> Steps:
    """Return up to `most` of the live squares, evenly spread, as ``[n, size, size]`` in memory."""
    y, x = _spread(live, most)
    squares: Steps = on_host(windows_at(steps, size * y, size * x, size, size))
    return squares


def _spread(live: npt.NDArray[np.bool_], most: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the places of up to `most` of the live squares, down and across."""
    y, x = np.nonzero(live)
    chosen = np.unique(np.linspace(0, len(y) - 1, most).astype(np.int64))
    return y[chosen], x[chosen]


def _luma(channels: list[Steps]) -> npt.NDArray[np.number]:
    """Return the plane that JPEG keeps best: the only channel, or the luma of red, green and blue (ITU-R BT.601)."""
    if len(channels) < len(LUMA):
        return channels[0]
    weighted = [weight * steps for weight, steps in zip(LUMA, channels, strict=False)]
    return np.asarray(sum(weighted[1:], weighted[0]))


def _eighths_of_luma(channels: list[Steps]) -> Steps:
    """Return the same plane in whole eighths of a step."""
    if len(channels) < len(LUMA):
        eighths: Steps = channels[0].astype(np.int32 if channels[0].dtype == np.int16 else np.int64)
        eighths *= EIGHTHS
        return eighths
    weighted = [weight * steps.astype(np.int64) for weight, steps in zip(THOUSANDTHS, channels, strict=False)]
    return (EIGHTHS * (weighted[0] + weighted[1] + weighted[2]) + 500) // 1000
