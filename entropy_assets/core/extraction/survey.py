"""Survey: the live-area map of a frame. Which squares carry noise, and why the others don't."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.extraction.artefacts import blocking, comb_share, repeat_correlation, repeated_share
from entropy_assets.core.extraction.dither import dithered_share
from entropy_assets.core.extraction.linearity import relative_complexity
from entropy_assets.core.extraction.spectrum import empty_spectrum_share
from entropy_assets.core.extraction.squares import (
    Item,
    PerSquare,
    Steps,
    Verdict,
    as_squares,
    at_black,
    clip_codes,
    judge,
    square_statistics,
    steps_of,
)
from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import Recipe

LUMA: Final = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma (ITU-R BT.601, as in JFIF)."""
SQUARES_SEARCHED: Final = 128
"""Live squares that are searched for the traces of JPEG."""
DITHER_ADVICE: Final = (
    "in {:.0%} of the squares the pixels lie evenly in boxes of codes: random dither, as when a picture of few bits is"
    " raised to more; send the file from before that"
)
SPECTRUM_ADVICE: Final = (
    "the noise is that of a generator, not of a sensor: {:.0%} of the frequencies are empty beside their neighbours, of"
    " white noise 1%; send a frame as a sensor gave it"
)
LINEAR_ADVICE: Final = (
    "the noise is that of a generator, not of a sensor: a shift register repeats its bits with {:.0%} of the length"
    " that noise needs; send a frame as a sensor gave it"
)
BLACK_ADVICE: Final = "clipped at black: raise the offset of the camera"
REASONS: Final = MappingProxyType(
    {
        Verdict.MISSING: RejectionReason.NOT_FINITE,
        Verdict.SATURATED: RejectionReason.SATURATED,
        Verdict.CONSTANT: RejectionReason.CONSTANT,
        Verdict.QUANTISED: RejectionReason.QUANTISED_AWAY,
        Verdict.CORRELATED: RejectionReason.CORRELATED,
        Verdict.BIASED_LSB: RejectionReason.UNEVEN_CODES,
        Verdict.REPEATED: RejectionReason.TILED,
        Verdict.COMPRESSED: RejectionReason.COMPRESSION_ARTEFACTS,
        Verdict.DITHERED: RejectionReason.DITHERED,
        Verdict.SYNTHETIC: RejectionReason.SYNTHETIC_NOISE,
        Verdict.LEFT_OUT: RejectionReason.NOT_ENOUGH_CREDIT,
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """The live-area map of one frame.

    Attributes
    ----------
    square_size
        Side of a square, pixels. Rows and columns beyond the last whole square are not used.
    verdict
        ``uint8[sy, sx]`` of `Verdict`, squares down and across. A square is live only if every channel is; else it
        has the verdict of the first channel that is not.
    sigma
        ``float64[sy, sx]``, noise in ADC steps; of the channels, the least.
    correlation_x, correlation_y
        ``float64[sy, sx]``, lag-1 autocorrelation of the Laplacian residual in channel 0. White noise gives -0.4.
    repeat_correlation
        Largest autocorrelation of rows or columns at a lag of 4 pixels or more.
    blocking
        Excess of the jumps over the borders of an 8-pixel grid, as a share of the jumps elsewhere.
    comb_share
        Share of DCT coefficients on a lattice; 0 for lossy containers, which are not searched for it.
    dithered_share
        Share of squares whose pixels lie evenly in boxes of codes; 0 if the recipe does not look.
    empty_spectrum
        Share of frequencies without power beside their neighbours; 0 if the recipe does not look, or the frame was
        found out before. This and the four before are 0 where nothing is live anyway.
    linear_complexity
        Least linear complexity of bits of the frame, as a share of what noise needs; 1 where it was not looked for.
    clipped_at_black
        Most saturated squares are clipped at the lowest code; False if the recipe does not tell.
    advice
        What a search of the whole frame for made noise found, or where most squares are clipped, and what to do; empty
        if there is nothing to tell beyond the dominant reason.
    """

    square_size: int
    verdict: npt.NDArray[np.uint8]
    sigma: PerSquare
    correlation_x: PerSquare
    correlation_y: PerSquare
    repeat_correlation: float
    blocking: float
    comb_share: float
    dithered_share: float = 0.0
    empty_spectrum: float = 0.0
    linear_complexity: float = 1.0
    clipped_at_black: bool = False
    advice: str = ""

    @property
    def live(self) -> npt.NDArray[np.bool_]:
        """Return ``bool[sy, sx]``: the squares that regions are drawn from."""
        live: npt.NDArray[np.bool_] = self.verdict == Verdict.LIVE
        return live

    @property
    def live_fraction(self) -> float:
        """Return the share of squares that are live."""
        return float(self.live.mean())

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of squares by verdict, those that occur."""
        tally = np.bincount(self.verdict.ravel(), minlength=len(Verdict))
        return {verdict.name.lower(): int(tally[verdict]) for verdict in Verdict if tally[verdict]}

    @property
    def dominant_reason(self) -> RejectionReason:
        """Return the reason that masks most squares; ``NO_LIVE_AREA`` if none is masked."""
        reason = _dominant_reason(self.verdict)
        is_black = reason is RejectionReason.SATURATED and self.clipped_at_black
        return RejectionReason.CLIPPED_AT_BLACK if is_black else reason

    @property
    def median_sigma(self) -> float:
        """Return the median noise of the live squares, ADC steps; of all squares if none is live."""
        return float(np.median(self.sigma[self.live] if self.live.any() else self.sigma))


def survey_frame(frame: Frame, recipe: Recipe) -> Survey:
    """Return the live-area map of `frame`.

    Raises
    ------
    ImageRejected
        ``TOO_SMALL`` if not one square fits.
    """
    size = recipe.survey_size
    sy, sx = (side // size for side in frame.pixels.shape[1:])
    if sy == 0 or sx == 0:
        height, width = frame.pixels.shape[1:]
        raise ImageRejected(
            RejectionReason.TOO_SMALL,
            f"{width}x{height} pixels hold no square of {size}x{size} to judge noise on",
            width=width,
            height=height,
        )
    missing = _missing(frame.usable, size)
    channels = [steps_of(frame, channel) for channel in range(len(frame.pixels))]
    measured = [
        square_statistics(steps, clip_codes(steps, frame, channel), size) for channel, steps in enumerate(channels)
    ]
    judged = np.stack([judge(statistics, missing, recipe) for statistics in measured])
    deciding = (judged != Verdict.LIVE).argmax(axis=0)
    verdict = _of_channel(judged, deciding).reshape(sy, sx)
    is_black = recipe.tells_black and _mostly_black(
        verdict, _of_channel(np.stack([at_black(statistics, recipe) for statistics in measured]), deciding)
    )
    repeats, borders, comb = _mask_artefacts(verdict, channels, frame.lossy, recipe)
    made = _mask_made_noise(verdict, channels, [item.sigma.reshape(sy, sx) for item in measured], recipe)
    return Survey(
        square_size=size,
        verdict=verdict,
        sigma=np.min([statistics.sigma for statistics in measured], axis=0).reshape(sy, sx),
        correlation_x=measured[0].correlation_x.reshape(sy, sx),
        correlation_y=measured[0].correlation_y.reshape(sy, sx),
        repeat_correlation=repeats,
        blocking=borders,
        comb_share=comb,
        dithered_share=made.dithered_share,
        empty_spectrum=made.empty_spectrum,
        linear_complexity=made.linear_complexity,
        clipped_at_black=is_black,
        advice=BLACK_ADVICE if is_black and _dominant_reason(verdict) is RejectionReason.SATURATED else made.advice,
    )


def _mask_artefacts(
    verdict: npt.NDArray[np.uint8], channels: list[Steps], lossy: bool, recipe: Recipe
) -> tuple[float, float, float]:
    """Mask in `verdict` the live squares that are copies, periodic or decompressed.

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
    repeats = max(repeat_correlation(steps, recipe.repeat_outlier) for steps in channels)
    squares = [_live_squares(steps, live, recipe.survey_size) for steps in channels]
    borders = max(blocking(plane) for plane in squares)
    comb = 0.0 if lossy else comb_share(_luma(squares))
    if repeats > recipe.max_repeat_correlation:
        verdict[live] = Verdict.REPEATED
    elif borders > recipe.max_blocking or comb > recipe.max_comb_share:
        verdict[live] = Verdict.COMPRESSED
    return repeats, borders, comb


@dataclass(frozen=True, slots=True)
class MadeNoise:
    """What the searches for made noise found in a frame: attributes of `Survey`."""

    dithered_share: float = 0.0
    empty_spectrum: float = 0.0
    linear_complexity: float = 1.0
    advice: str = ""


def _mask_made_noise(
    verdict: npt.NDArray[np.uint8], channels: list[Steps], sigmas: list[PerSquare], recipe: Recipe
) -> MadeNoise:
    """Mask in `verdict` all live squares if a program made the noise; what the recipe does not limit costs nothing."""
    live = verdict == Verdict.LIVE
    if not live.any():
        return MadeNoise()
    dithered = 0.0
    if recipe.max_dithered_share < 1:
        dithered = max(dithered_share(_live_squares(steps, live, recipe.survey_size)) for steps in channels)
    if dithered > recipe.max_dithered_share:
        verdict[live] = Verdict.DITHERED
        return MadeNoise(dithered, advice=DITHER_ADVICE.format(dithered))
    noise = [float(np.median(sigma[live])) for sigma in sigmas]
    empty = 0.0
    if recipe.max_empty_spectrum < 1:
        empty = max(map(empty_spectrum_share, channels, noise))
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


def _live_squares(steps: Steps, live: npt.NDArray[np.bool_], size: int) -> Steps:
    """Return up to `SQUARES_SEARCHED` of the live squares, evenly spread, as ``[n, size, size]``."""
    y, x = np.nonzero(live)
    chosen = np.unique(np.linspace(0, len(y) - 1, SQUARES_SEARCHED).astype(np.int64))
    rows, columns = live.shape
    grid = steps[: rows * size, : columns * size].reshape(rows, size, columns, size)
    return grid[y[chosen], :, x[chosen]]


def _luma(channels: list[Steps]) -> npt.NDArray[np.number]:
    """Return the plane that JPEG keeps best: the only channel, or the luma of red, green and blue (ITU-R BT.601)."""
    if len(channels) < len(LUMA):
        return channels[0]
    weighted = [weight * steps for weight, steps in zip(LUMA, channels, strict=False)]
    return np.asarray(sum(weighted[1:], weighted[0]))


def _of_channel(values: npt.NDArray[Item], deciding: npt.NDArray[np.intp]) -> npt.NDArray[Item]:
    """Return from ``[channel, square]`` the value of the channel that decides on each square."""
    chosen: npt.NDArray[Item] = np.take_along_axis(values, deciding[np.newaxis], axis=0)[0]
    return chosen


def _mostly_black(verdict: npt.NDArray[np.uint8], black: npt.NDArray[np.bool_]) -> bool:
    """Tell whether most saturated squares are clipped at the lowest code."""
    saturated = verdict.ravel() == Verdict.SATURATED
    return bool(2 * np.count_nonzero(saturated & black) > np.count_nonzero(saturated))


def _dominant_reason(verdict: npt.NDArray[np.uint8]) -> RejectionReason:
    tally = np.bincount(verdict.ravel(), minlength=len(Verdict))[1:]
    return REASONS[Verdict(int(tally.argmax()) + 1)] if tally.any() else RejectionReason.NO_LIVE_AREA


def _missing(usable: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.bool_]:
    """Tell whether each square holds a pixel without a measurement."""
    return np.asarray(~as_squares(usable, size).all(axis=(1, 2)))
