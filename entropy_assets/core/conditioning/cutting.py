"""What a slice takes of the samples of an image, where it may begin and end within a region.

A slice is a run of *lines*, numbered over all regions in draw order: line ``p`` is line ``p % n`` of region
``p // n``, with ``n = recipe.lines_per_region``. Of a region that lies in it as a whole a slice takes all samples. Of
one that is cut it takes what follows from its own lines alone: of each plane the pair differences of these lines, and
then the rows of the Laplacian whose three lines are among them. So no two slices hold anything of the same pixel, and
what stays outside was credited nothing.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from entropy_assets.errors import InputRefused
from entropy_assets.recipe import Recipe

AHEAD: Final = 512
"""Slices that are cut at once: the next ones of an image are mostly asked for next."""


class SliceCutter:
    """Gives the raw slices of one image; it keeps the last ones that it cut, which changes nothing but its speed.

    Parameters
    ----------
    samples
        ``uint8[n_regions, row_len]``, C-contiguous.
    recipe
        Size of a region, and whether slices are cut at lines.

    Raises
    ------
    InputRefused
        If slices are cut at lines and a row does not hold whole planes of such regions.
    """

    def __init__(self, samples: NDArray[np.uint8], recipe: Recipe) -> None:
        self._recipe = recipe
        self._raw, self._row_len = samples.data.cast("B"), int(samples.shape[1])
        self._size, self._ahead = 0, dict[int, memoryview]()
        if not recipe.line_slices:
            return
        plane_len = _plane_len(recipe)
        if self._row_len % plane_len:
            raise InputRefused(
                f"rows of {self._row_len} samples are no planes of {plane_len}, and can't be cut at lines",
                row_len=self._row_len,
            )
        self._planes = samples.reshape(len(samples), -1, plane_len)

    def piece(self, first: int, end: int) -> memoryview:
        """Return the samples of the lines from `first` to ``end - 1``."""
        if not self._recipe.line_slices:
            return self._raw[first * self._row_len : end * self._row_len]
        if end - first != self._size or first not in self._ahead:
            self._size, self._ahead = end - first, self._cut_ahead(first, end - first)
        return self._ahead[first]

    def length(self, first: int, end: int) -> int:
        """Return the length of a piece, bytes."""
        if not self._recipe.line_slices:
            return (end - first) * self._row_len
        lines = self._recipe.lines_per_region
        whole, last = -(-first // lines), end // lines
        ends = (end - first,) if whole > last else (whole * lines - first, end - last * lines)
        own = sum(cut * (lines // 2) + max(cut - 2, 0) * (lines - 2) for cut in ends)
        return max(last - whole, 0) * self._row_len + own * int(self._planes.shape[1])

    def _cut_ahead(self, first: int, size: int) -> dict[int, memoryview]:
        """Return the piece of `size` lines from `first` on and those that follow it, by first line."""
        lines = self._recipe.lines_per_region
        count = min(AHEAD, max(1, (len(self._planes) * lines - first) // size))
        period = lines // math.gcd(size, lines)  # so many pieces on, one begins at the same line of a region again
        pieces: dict[int, memoryview] = {}
        for turn in range(min(period, count)):
            begins = range(first + turn * size, first + count * size, period * size)
            rows = self._cut_alike(begins, size)
            joined, length = rows.reshape(-1).data, rows.shape[1]
            pieces |= {begin: joined[at * length : (at + 1) * length] for at, begin in enumerate(begins)}
        return pieces

    def _cut_alike(self, begins: range, size: int) -> NDArray[np.uint8]:
        """Return ``uint8[piece, length]``, the pieces from `begins`, which all lie at the same line of a region."""
        lines = self._recipe.lines_per_region
        region, line = divmod(begins.start, lines)
        if line + size < lines:
            return self._own(self._every(begins, region), line, line + size)
        pieces = []
        if line > 0:
            pieces.append(self._own(self._every(begins, region), line, lines))
            region += 1
        count, tail = divmod(size - -line % lines, lines)
        pieces += [self._every(begins, region + place).reshape(len(begins), -1) for place in range(count)]
        if tail > 0:
            pieces.append(self._own(self._every(begins, region + count), 0, tail))
        return np.concatenate(pieces, axis=1)

    def _every(self, begins: range, region: int) -> NDArray[np.uint8]:
        """Return ``uint8[piece, plane, sample]``, a view: `region` of the first piece, and that of each other piece."""
        step = begins.step // self._recipe.lines_per_region
        return self._planes[region : region + step * (len(begins) - 1) + 1 : step]

    def _own(self, regions: NDArray[np.uint8], first: int, end: int) -> NDArray[np.uint8]:
        """Return what the lines from `first` to ``end - 1`` of each region give by themselves."""
        size = self._recipe.region_size
        pairs, inner, start = size // 2, size - 2, size**2 // 2
        taken = (
            regions[:, :, first * pairs : end * pairs],
            regions[:, :, start + first * inner : start + max(first, end - 2) * inner],
        )
        return np.concatenate(taken, axis=2).reshape(len(regions), -1)


def _plane_len(recipe: Recipe) -> int:
    """Return the samples of one region and plane: pair differences, Laplacian interior, high frequencies."""
    size = recipe.region_size
    return size**2 // 2 + (size - 2) ** 2 + size**2
