"""From pixels to samples: random regions of the live area, three high-pass views of each, all modulo 256.

Everything here is integer arithmetic, or integers in float64 below 2**53, so the same frame and nonce give the same
samples on every machine and with every release of NumPy and SciPy.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import fft

from entropy_assets.core import encoding
from entropy_assets.core.arrays import (
    beside,
    in_pieces,
    is_on_host,
    low_bytes,
    namespace_of,
    to_host,
    windows_at,
)
from entropy_assets.core.extraction.compiled import loops_for
from entropy_assets.core.extraction.phases import laid_out
from entropy_assets.core.extraction.squares import Steps, laplacian, steps_of
from entropy_assets.core.extraction.survey import Survey, survey_of
from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import STANDARD, Recipe

FILTER_ONE: Final = 1 << 16
"""What 1.0 is in the fixed-point weights of the frequency filter."""
FILTER_SPAN: Final = 1 << 18
"""Steps are clipped to this distance from their region's corner, so that the filter's products stay below 2**53."""
SUMMED_NARROWLY: Final = 8
"""Channels of int32 pixels, each with less than 2**27 steps, whose sums and their differences fit int32."""
COMPILED_SIZE: Final = 8
"""Side of regions that loops are compiled for, pixels."""
PIXELS_AT_ONCE: Final = 1 << 14
"""Pixels worked on at once: their float64 copies stay in the cache, and the products too small for BLAS threads."""


def sampling_nonce(image_sha256: str, time_ns: int, os_bytes: bytes) -> bytes:
    """Return the 32 bytes that fix where an image is sampled: not known beforehand, repeatable afterwards.

    Parameters
    ----------
    image_sha256
        Hash of the file, hex.
    time_ns
        System time, nanoseconds.
    os_bytes
        Bytes of the operating system's generator, 16 or more; the length is not checked.

    Raises
    ------
    InputRefused
        If `image_sha256` is no SHA-256 in hex.
    """
    return encoding.random_nonce(image_sha256, time_ns, os_bytes)


def deterministic_nonce(image_sha256: str) -> bytes:
    """Return the nonce that follows from the image alone, for tests: whoever has the image knows it.

    Raises
    ------
    InputRefused
        If `image_sha256` is no SHA-256 in hex.
    """
    return encoding.fixed_nonce(image_sha256)


def draw_order(nonce: bytes, count: int) -> npt.NDArray[np.int64]:
    """Return a permutation of ``range(count)``: the order in which regions are drawn.

    Each region has a key, a big-endian integer of 8 bytes (`encoding.order_keys`). Regions are drawn by ascending key,
    and of equal keys the lower region first. That rule needs no library's generator, so it can be repeated for ever.

    Raises
    ------
    InputRefused
        If the nonce has not 32 bytes.
    """
    keys = np.frombuffer(encoding.order_keys(nonce, count), dtype=">u8")
    return np.argsort(keys, kind="stable")


def noise_digest(samples: npt.NDArray[np.uint8]) -> str:
    """Return the hex SHA-256 of a noise array, ``uint8[region, row_len]``; it tells rows of another length apart."""
    digest = encoding.noise_hash(*samples.shape)
    digest.update(np.ascontiguousarray(samples).data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class NoiseArray:
    """All samples of one image.

    Attributes
    ----------
    samples
        ``uint8[region, row_len]``, read-only. A row holds, for each plane, the pair differences, the Laplacian
        residual and the high frequencies of one region, in ADC steps modulo 256. Planes are the channels, and their
        sum as greyscale if there are several.
    pairs_per_region
        Pair differences of one region and plane: half its pixels.
    drawn_across
        Regions side by side in what was drawn together.
    planes, channels
        Planes in a row; the first `channels` of them are the frame's own.
    regions
        ``int32[region, 2]``, top and left pixel of each region, in draw order. They never overlap. Of a colour mosaic
        these are places in its phases laid side by side (`phases.laid_out`).
    nonce
        What fixed the draw order, 32 bytes.
    image_sha256
        Hash of the file, hex.
    noise_sha256
        `noise_digest` of `samples`.
    survey
        The live-area map that the regions come from.
    """

    samples: npt.NDArray[np.uint8]
    pairs_per_region: int
    drawn_across: int
    planes: int
    channels: int
    regions: npt.NDArray[np.int32]
    nonce: bytes
    image_sha256: str
    noise_sha256: str
    survey: Survey

    def credited(self, channel: int = 0) -> npt.NDArray[np.uint8]:
        """Return the sequence that credit is counted on: the pair differences of one channel in draw order.

        Those of regions that were drawn together follow one another line by line.

        Returns
        -------
        numpy.ndarray
            ``uint8[region * pairs_per_region]``; no two samples share a pixel.
        """
        return credited_samples(self.samples, channel, self.channels, self.pairs_per_region, self.drawn_across)


def credited_samples(
    samples: npt.NDArray[np.uint8], channel: int, channels: int, pairs_per_region: int, drawn_across: int
) -> npt.NDArray[np.uint8]:
    """Return what `NoiseArray.credited` does, for `samples` that were stored."""
    start = channel * (samples.shape[1] // planes_of(channels))
    size = math.isqrt(2 * pairs_per_region)
    pairs = samples[:, start : start + pairs_per_region]
    by_line = pairs.reshape(-1, drawn_across, drawn_across, size, size // 2).swapaxes(2, 3)
    return by_line.reshape(-1)


def planes_of(channels: int) -> int:
    """Return the planes in a row: the channels, and their sum as greyscale if there are several."""
    return channels + (channels > 1)


class NoiseExtractor:
    """Turn frames into noise arrays, by one recipe, and by whatever computes on their pixels (`arrays.Arrays.placed`).

    Parameters
    ----------
    recipe
        Sizes and limits.
    """

    def __init__(self, recipe: Recipe = STANDARD) -> None:
        self.recipe = recipe

    def survey(self, frame: Frame) -> Survey:
        """Return the live-area map of `frame`.

        Raises
        ------
        ImageRejected
            ``TOO_SMALL`` if the frame has not one square.
        """
        return survey_of(frame, self.recipe)

    def extract(self, frame: Frame, nonce: bytes, survey: Survey | None = None) -> NoiseArray:
        """Return the noise of `frame`, its regions in the order that `nonce` gives.

        Parameters
        ----------
        nonce
            32 bytes.
        survey
            The frame's own, if it was made already.

        Raises
        ------
        ImageRejected
            ``LOSSY_REFUSED`` if the recipe takes no lossy containers; ``TOO_SMALL`` as `survey`; else with the reason
            that masks most of the frame, if none or less than ``recipe.min_live_share`` of it is live.
        InputRefused
            If the nonce has not 32 bytes.
        """
        if frame.lossy and self.recipe.refuse_lossy:
            raise ImageRejected(
                RejectionReason.LOSSY_REFUSED,
                f"the recipe {self.recipe.name} takes no lossy {frame.container} files; send the sensor's own data",
                container=frame.container,
            )
        survey = survey or self.survey(frame)
        self._require_live(survey)
        regions = drawn_regions(survey.live, survey.square_size, nonce, self.recipe)
        planes = planes_of(frame.channels)
        samples = np.empty((len(regions), planes * row_length(self.recipe.region_size)), dtype=np.uint8)
        rows = samples.reshape(len(regions), planes, -1)
        for plane, steps in enumerate(_planes(frame, survey.square_size)):
            self._view(steps, regions, rows, plane)
        samples.flags.writeable = regions.flags.writeable = False
        return NoiseArray(
            samples=samples,
            pairs_per_region=self.recipe.region_size**2 // 2,
            drawn_across=self.recipe.draw_size // self.recipe.region_size,
            planes=planes,
            channels=frame.channels,
            regions=regions,
            nonce=nonce,
            image_sha256=frame.image_sha256,
            noise_sha256=noise_digest(samples),
            survey=survey,
        )

    def _require_live(self, survey: Survey) -> None:
        """Raise unless enough of the frame is live."""
        share = survey.live_fraction
        if share == 0 or share < self.recipe.min_live_share:
            raise ImageRejected(
                survey.dominant_reason,
                f"{share:.1%} of the image carries noise, less than {self.recipe.min_live_share:.0%}; other squares:"
                f" {', '.join(f'{count} {name}' for name, count in survey.counts.items() if name != 'live')}"
                f"{survey.advice and '; '}{survey.advice}",
                live_fraction=share,
                verdicts=survey.counts,
            )

    def _view(self, steps: Steps, regions: npt.NDArray[np.int32], samples: npt.NDArray[np.uint8], plane: int) -> None:
        """Write the three views of every region of one plane into its part of the samples."""
        size = self.recipe.region_size
        weights = low_pass_weights(size, self.recipe.low_frequencies)
        if size == COMPILED_SIZE and (compiled := loops_for(steps)) is not None:
            compiled.noise.write_views(steps, regions, weights, float(FILTER_SPAN), 1 / FILTER_ONE**2, samples, plane)
            return

        xp = namespace_of(steps)

        def write(part: slice) -> None:
            squares = windows_at(steps, regions[part, 0], regions[part, 1], size, size)
            low = low_bytes(squares)
            views = (low[:, :, 1::2] - low[:, :, ::2], laplacian(low), high_frequencies(squares, weights))
            rows = [xp.reshape(view, (view.shape[0], -1)) for view in views]
            to_host(xp.concat(rows, axis=1), samples[part, plane, :])

        in_pieces(write, len(regions), PIXELS_AT_ONCE // size**2, whole=not is_on_host(steps))


def drawn_regions(live: npt.NDArray[np.bool_], square_size: int, nonce: bytes, recipe: Recipe) -> npt.NDArray[np.int32]:
    """Return where the regions of a frame lie, in the order in which `nonce` has them drawn.

    What is drawn is numbered by row, then by column; those drawn together stand by row, then by column.

    Parameters
    ----------
    live
        ``bool[sy, sx]``, which squares of the frame are live.
    square_size
        Side of a square, pixels.

    Returns
    -------
    numpy.ndarray
        ``int32[region, 2]``, as `NoiseArray.regions`.
    """
    drawn, size = recipe.draw_size, recipe.region_size
    per_square = square_size // drawn
    live = live.repeat(per_square, axis=0).repeat(per_square, axis=1)
    corners = np.argwhere(live).astype(np.int32) * np.int32(drawn)
    within = np.argwhere(np.ones((drawn // size, drawn // size), dtype=np.bool_)).astype(np.int32) * np.int32(size)
    together = corners[draw_order(nonce, len(corners)), np.newaxis] + within
    return together.reshape(-1, 2)


def row_length(region_size: int) -> int:
    """Return the samples of one region and plane: pair differences, Laplacian interior, high frequencies."""
    return region_size**2 // 2 + (region_size - 2) ** 2 + region_size**2


def _planes(frame: Frame, size: int) -> Iterator[Steps]:
    """Yield each channel in ADC steps, then their sum if there are several: greyscale without rounding.

    Of a mosaic, which has one channel, the phases lie side by side, cut to squares of `size`.
    """
    if frame.channels == 1:
        yield laid_out(steps_of(frame, 0), frame.mosaic, size)
        return
    xp = namespace_of(frame.pixels)
    fits = frame.pixels.dtype != xp.int64 and frame.channels <= SUMMED_NARROWLY
    grey: Steps = xp.zeros(frame.shape, dtype=xp.int32 if fits else xp.int64)
    for channel in range(frame.channels):
        steps = steps_of(frame, channel)
        grey += steps
        yield steps
        del steps
    yield grey


@cache
def low_pass_weights(size: int, cutoff: int) -> npt.NDArray[np.float64]:
    """Return the matrix that keeps frequencies up to `cutoff` of a row, in units of 1 / `FILTER_ONE`.

    It is the inverse FFT of the FFT of the unit matrix with the higher frequencies zeroed, rounded to integers.
    """
    spectrum = fft.rfft(np.eye(size), axis=0)
    spectrum[cutoff + 1 :] = 0
    weights: npt.NDArray[np.float64] = np.rint(fft.irfft(spectrum, size, axis=0) * FILTER_ONE)
    weights.flags.writeable = False
    return weights


def high_frequencies(squares: Steps, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return what is left of each square without its low frequencies, in ADC steps modulo 256.

    The same as ``irfft2`` of ``rfft2`` with all frequencies up to the cutoff in both axes zeroed, rounded to the
    nearest integer, but exact: the filter is separable, so it is two products with a fixed-point matrix whose every
    term and sum is an integer below 2**53. An FFT's last bit differs between libraries, and with it some rounding.

    Parameters
    ----------
    squares
        ``[n, size, size]``, ADC steps.
    weights
        Of `low_pass_weights`.
    """
    xp = namespace_of(squares)
    size = squares.shape[-1]
    filtering = beside(weights, squares)
    offsets = xp.permute_dims(squares - squares[:, :1, :1], (1, 0, 2))
    by_row = xp.astype(xp.reshape(offsets, (-1, size)), xp.float64)
    by_row = xp.minimum(xp.maximum(by_row, -FILTER_SPAN), FILTER_SPAN)
    low = xp.reshape(filtering @ xp.reshape(by_row @ filtering, (size, -1)), by_row.shape)
    high = low_bytes(xp.astype(xp.round(by_row - low * (1 / FILTER_ONE**2)), xp.int32))
    views: npt.NDArray[np.uint8] = xp.permute_dims(xp.reshape(high, offsets.shape), (1, 0, 2))
    return views
