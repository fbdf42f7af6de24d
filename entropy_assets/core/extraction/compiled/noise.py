"""The three views of regions of 8 x 8 pixels."""

from typing import Any, Final

import numpy as np

from entropy_assets.core.compiling import kernel

LANES: Final = 32
"""Regions that are worked on side by side."""


@kernel
def write_views(steps: Any, regions: Any, weights: Any, span: float, unit: float, samples: Any, plane: int) -> None:
    """Write pair differences, Laplacian and high frequencies of every region, each modulo 256.

    Parameters
    ----------
    steps
        ``[ny, nx]``, ADC steps.
    regions
        ``int32[n, 2]``, top and left pixel.
    weights
        ``float64[8, 8]`` of `noise.low_pass_weights`, which is symmetric.
    span, unit
        `noise.FILTER_SPAN`, and one over the square of `noise.FILTER_ONE`.
    samples
        ``uint8[n, plane, 132]``.
    plane
        Which one of them.
    """
    pixels = np.zeros((8, 8, LANES), dtype=steps.dtype)
    relative, by_row = np.empty((8, 8, LANES), dtype=np.float64), np.empty((8, 8, LANES), dtype=np.float64)
    views = np.empty((132, LANES), dtype=np.uint8)
    for start in range(0, len(regions), LANES):
        count = min(LANES, len(regions) - start)
        for lane in range(count):
            top, left = np.intp(regions[start + lane, 0]), np.intp(regions[start + lane, 1])
            for y in range(8):
                line = steps[top + y, left : left + 8]
                for x in range(8):
                    pixels[y, x, lane] = line[x]
        _differences(pixels, views)
        for y in range(8):
            for x in range(8):
                for lane in range(LANES):
                    offset = np.float64(pixels[y, x, lane]) - np.float64(pixels[0, 0, lane])
                    relative[y, x, lane] = min(max(offset, -span), span)
        _high_frequencies(relative, by_row, weights, unit, views)
        for lane in range(count):
            row = samples[start + lane, plane]
            for place in range(132):
                row[place] = views[place, lane]


@kernel
def _differences(pixels: Any, views: Any) -> None:
    """Fill in the pair differences and the Laplacian."""
    for y in range(8):
        for x in range(4):
            for lane in range(LANES):
                views[4 * y + x, lane] = np.uint8(pixels[y, 2 * x + 1, lane] - pixels[y, 2 * x, lane])
    for y in range(6):
        for x in range(6):
            for lane in range(LANES):
                around = pixels[y, x + 1, lane] + pixels[y + 2, x + 1, lane]
                around += pixels[y + 1, x, lane] + pixels[y + 1, x + 2, lane]
                views[32 + 6 * y + x, lane] = np.uint8(4 * pixels[y + 1, x + 1, lane] - around)


@kernel
def _high_frequencies(relative: Any, by_row: Any, weights: Any, unit: float, views: Any) -> None:
    """Fill in the high frequencies; every product and sum is a whole number below 2**53."""
    for y in range(8):
        for x in range(8):
            a, b, c, d = weights[x, 0], weights[x, 1], weights[x, 2], weights[x, 3]
            e, f, g, h = weights[x, 4], weights[x, 5], weights[x, 6], weights[x, 7]
            for lane in range(LANES):
                by_row[y, x, lane] = (
                    (a * relative[y, 0, lane] + b * relative[y, 1, lane])
                    + (c * relative[y, 2, lane] + d * relative[y, 3, lane])
                    + (e * relative[y, 4, lane] + f * relative[y, 5, lane])
                    + (g * relative[y, 6, lane] + h * relative[y, 7, lane])
                )
    for y in range(8):
        a, b, c, d = weights[y, 0], weights[y, 1], weights[y, 2], weights[y, 3]
        e, f, g, h = weights[y, 4], weights[y, 5], weights[y, 6], weights[y, 7]
        for x in range(8):
            for lane in range(LANES):
                low = (
                    (a * by_row[0, x, lane] + b * by_row[1, x, lane])
                    + (c * by_row[2, x, lane] + d * by_row[3, x, lane])
                    + (e * by_row[4, x, lane] + f * by_row[5, x, lane])
                    + (g * by_row[6, x, lane] + h * by_row[7, x, lane])
                )
                views[68 + 8 * y + x, lane] = np.uint8(np.int32(np.rint(relative[y, x, lane] - low * unit)))
