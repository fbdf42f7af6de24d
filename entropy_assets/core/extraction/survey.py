"""Survey: the live-area map of a frame. Which squares carry noise, and why the others don't."""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from entropy_assets.core.extraction.banding import without_banding
from entropy_assets.core.extraction.masks import (
    CodedSquares,
    MadeNoise,
    mask_artefacts,
    mask_copied_parts,
    mask_decoded,
    mask_made_noise,
    mask_neighbours,
    mask_templates,
)
from entropy_assets.core.extraction.phases import laid_out, levelled
from entropy_assets.core.extraction.slopes import Grey, flattened
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

TEMPLATE_ADVICE: Final = (
    "{:.0%} of the noise stands in the frame more than once, turned, mirrored, negated or under other noise: cut from a"
    " template, as the film grain of a video player is; send a frame as a sensor gave it"
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
        Side of a square, pixels. Rows and columns beyond the last whole square are not used. Of a colour mosaic the
        squares are those of its phases laid side by side (`phases.laid_out`).
    verdict
        ``uint8[sy, sx]`` of `Verdict`, squares down and across. A square is live only if every channel is; else it
        has the verdict of the first channel that is not.
    sigma
        ``float64[sy, sx]``, noise in ADC steps; of the channels, the least. This and the correlations are measured
        without the offsets of rows in squares that only banding makes coloured.
    correlation_x, correlation_y
        ``float64[sy, sx]``, lag-1 autocorrelation of the Laplacian residual in channel 0. White noise gives -0.4.
    repeat_correlation
        Largest autocorrelation of rows or columns at a lag of 4 pixels or more.
    blocking
        Excess of the jumps over the borders of an 8-pixel grid, as a share of the jumps elsewhere.
    comb_share
        Share of DCT coefficients on a lattice; 0 for lossy containers, which are not searched for it.
    dithered_share
        Share of squares whose pixels lie evenly in boxes of codes, 1 where the codes beneath dither show otherwise; 0
        if the recipe does not look.
    empty_spectrum
        Share of frequencies without power beside their neighbours; 0 if the recipe does not look, or the frame was
        found out before. This and the four before are 0 where nothing is live anyway.
    linear_complexity
        Least linear complexity of bits of the frame, as a share of what noise needs; 1 where it was not looked for.
    repeated_noise
        Share of windows of noise that stand elsewhere too, turned, negated or under other noise; 0 if the recipe does
        not look.
    lattice_rise
        How clearly transform coefficients keep to the steps of a lossy coder, standard errors; 0 for lossy containers,
        or if the recipe does not look.
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
    repeated_noise: float = 0.0
    lattice_rise: float = 0.0
    clipped_at_black: bool = False
    advice: str = ""

    @property
    def live(self) -> npt.NDArray[np.bool_]:
        """Return ``bool[sy, sx]``: the squares that regions are drawn from."""
        live: npt.NDArray[np.bool_] = self.verdict == Verdict.LIVE
        return live

    def split(self, parts: int) -> list[Self]:
        """Return the map of each of the `parts` of a frame; what it says of the whole frame stays that of the whole."""
        pairs = zip(np.split(self.verdict, parts), np.split(self.sigma, parts), strict=True)
        return [replace(self, verdict=verdict, sigma=sigma) for verdict, sigma in pairs]

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

    A colour mosaic is judged twice: each phase by itself, and all of them, brought to one level, by what neighbours
    tell of each other in a grey frame. So a frame that is interpolated, enlarged or decompressed is no better off for
    being called a mosaic.

    Raises
    ------
    ImageRejected
        ``TOO_SMALL`` if not one square fits.
    """
    size, period = recipe.survey_size, frame.mosaic
    sy, sx = (side // period // size * period for side in frame.shape)
    if sy == 0 or sx == 0:
        height, width = frame.shape
        raise ImageRejected(
            RejectionReason.TOO_SMALL,
            f"{width}x{height} pixels hold no square of {size}x{size} to judge noise on"
            f"{f' in each colour of a mosaic of period {period}' if period > 1 else ''}",
            width=width,
            height=height,
        )
    missing = _missing(frame, size)
    channels = [laid_out(steps_of(frame, channel), period, size) for channel in range(frame.channels)]
    measured = [
        square_statistics(steps, clip_codes(steps, frame, channel), size) for channel, steps in enumerate(channels)
    ]
    measured = [without_banding(found, steps, recipe) for found, steps in zip(measured, channels, strict=True)]
    judged = np.stack([judge(statistics, missing, recipe) for statistics in measured])
    deciding = (judged != Verdict.LIVE).argmax(axis=0)
    verdict = _of_channel(judged, deciding).reshape(sy, sx)
    is_black = recipe.tells_black and _mostly_black(
        verdict, _of_channel(np.stack([at_black(statistics, recipe) for statistics in measured]), deciding)
    )
    sigmas = [item.sigma.reshape(sy, sx) for item in measured]
    grey = [
        _as_grey(steps, sigma[verdict == Verdict.LIVE], period, recipe)
        for steps, sigma in zip(channels, sigmas, strict=True)
    ]
    mask_neighbours(verdict, grey, period, recipe)
    banded = any(bool(statistics.banded.any()) for statistics in measured)
    coded = CodedSquares(channels, grey, frame, recipe)
    repeats, borders, comb = mask_artefacts(verdict, channels, coded, frame, recipe, banded=banded)
    repeated = mask_templates(verdict, channels, sigmas, recipe)
    lattice = mask_decoded(verdict, coded, frame, recipe)
    made = mask_made_noise(verdict, channels, grey, sigmas, recipe)
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
        repeated_noise=repeated,
        lattice_rise=lattice,
        clipped_at_black=is_black,
        advice=_advice(verdict, is_black, repeated, made, recipe),
    )


def _as_grey(steps: Steps, sigmas: PerSquare, period: int, recipe: Recipe) -> Grey:
    """Return a channel as the sensor lies, of a mosaic without what its colours differ by; `sigmas` of live squares."""
    if period == 1 or not recipe.planes_of_colours:
        return Grey(levelled(steps, period))
    return flattened(steps, period, float(np.median(sigmas)) if len(sigmas) else 1.0)


def survey_of(frame: Frame, recipe: Recipe) -> Survey:
    """Return the live-area map of `frame`, of which no square reaches over two parts.

    Each part is judged by itself, as the frame that it is: planes of a cube, groups of a ramp, pages of a TIFF file or
    amplifiers of a mosaic have levels, gains and limits of their own, and what repeats from one to the next is no tile:
    `credit.shared_parts` masks it or takes it off.

    Raises
    ------
    ImageRejected
        ``TOO_SMALL`` if not one square fits into a part.
    """
    if frame.parts == 1:
        return survey_frame(frame, recipe)
    return _below_each_other([survey_frame(part, recipe) for part in frame.split()])


def without_copies(frame: Frame, survey: Survey, recipe: Recipe) -> Survey:
    """Return the map of several parts without what they copy of an earlier part, wherever and however that lies."""
    verdict = survey.verdict.copy()
    for channel in range(frame.channels):
        mask_copied_parts(verdict, steps_of(frame, channel), survey.sigma, frame.parts, recipe)
    return replace(survey, verdict=verdict)


def _below_each_other(surveys: list[Survey]) -> Survey:
    """Return one map of all parts; of what is said of a whole frame, the worst of any."""
    dead = [survey for survey in surveys if not survey.live.any()]
    return replace(
        surveys[0],
        verdict=np.concatenate([survey.verdict for survey in surveys]),
        sigma=np.concatenate([survey.sigma for survey in surveys]),
        correlation_x=np.concatenate([survey.correlation_x for survey in surveys]),
        correlation_y=np.concatenate([survey.correlation_y for survey in surveys]),
        repeat_correlation=max(survey.repeat_correlation for survey in surveys),
        blocking=max(survey.blocking for survey in surveys),
        comb_share=max(survey.comb_share for survey in surveys),
        dithered_share=max(survey.dithered_share for survey in surveys),
        empty_spectrum=max(survey.empty_spectrum for survey in surveys),
        linear_complexity=min(survey.linear_complexity for survey in surveys),
        clipped_at_black=2 * sum(survey.clipped_at_black for survey in surveys) > len(surveys),
        advice=next((survey.advice for survey in dead if survey.advice), ""),
    )


def _advice(verdict: npt.NDArray[np.uint8], is_black: bool, repeated: float, made: MadeNoise, recipe: Recipe) -> str:
    """Return `Survey.advice`."""
    if is_black and _dominant_reason(verdict) is RejectionReason.SATURATED:
        return BLACK_ADVICE
    return TEMPLATE_ADVICE.format(repeated) if repeated > recipe.max_repeated_noise else made.advice


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


def _missing(frame: Frame, size: int) -> npt.NDArray[np.bool_]:
    """Tell whether each square holds a pixel without a measurement."""
    if frame.usable.all():
        rows, columns = (side // frame.mosaic // size * frame.mosaic for side in frame.shape)
        return np.zeros(rows * columns, dtype=np.bool_)
    return np.asarray(~as_squares(laid_out(frame.usable, frame.mosaic, size), size).all(axis=(1, 2)))
