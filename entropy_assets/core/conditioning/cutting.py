"""What a slice takes of the samples of an image, where it may begin and end within a region.

A slice is a run of *parts*, numbered over all regions in draw order: part ``p`` is line ``p % n`` of region
``p // n``, with ``n = recipe.parts_per_region``. Of a region that lies in it as a whole a slice takes all samples. Of
one that is cut it takes what follows from its own lines alone: of each plane the pair differences of these lines, and
then the rows of the Laplacian whose three lines are among them. So no two slices hold anything of the same pixel, and
what stays outside was credited nothing.
"""

import numpy as np
from numpy.typing import NDArray

from entropy_assets.errors import InputRefused
from entropy_assets.recipe import Recipe


class SliceCutter:
    """Gives the raw slices of one image.

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
        self._raw = samples.data.cast("B")
        self._row_len = samples.shape[1]
        self._lines = size = recipe.parts_per_region
        self._pairs, self._inner = size // 2, max(size - 2, 0)
        plane_len = size * self._pairs + self._inner**2 + size**2
        self._planes = range(0, self._row_len, plane_len)
        if recipe.line_slices and self._row_len % plane_len:
            raise InputRefused(
                f"rows of {self._row_len} samples are no planes of {plane_len}, and can't be cut at lines",
                row_len=self._row_len,
            )

    def piece(self, first: int, end: int) -> bytes | memoryview:
        """Return the samples of the parts from `first` to ``end - 1``; only those of cut regions are copied."""
        whole, last = -(-first // self._lines), end // self._lines
        body = self._raw[whole * self._row_len : last * self._row_len]
        head, tail = whole * self._lines - first, end - last * self._lines
        if not (head or tail):
            return body
        if whole > last:  # within one region
            return b"".join(self._cut(last, self._lines - head, tail))
        return b"".join((*self._cut(whole - 1, self._lines - head, self._lines), body, *self._cut(last, 0, tail)))

    def lengths(self, first: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the length of each piece, bytes."""
        whole, last = -(-first // self._lines), end // self._lines
        head, tail = whole * self._lines - first, end - last * self._lines
        inside = whole > last
        head, tail = np.where(inside, end - first, head), np.where(inside, 0, tail)
        return np.asarray(np.maximum(last - whole, 0) * self._row_len + self._cut_len(head) + self._cut_len(tail))

    def _cut(self, region: int, first: int, end: int) -> list[memoryview]:
        """Return what the lines from `first` to ``end - 1`` of a region give by themselves."""
        pieces = []
        for plane in self._planes if first < end else ():
            start = region * self._row_len + plane
            pieces.append(self._raw[start + first * self._pairs : start + end * self._pairs])
            start += self._lines * self._pairs
            pieces.append(self._raw[start + first * self._inner : start + (end - 2) * self._inner])
        return pieces

    def _cut_len(self, lines: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(len(self._planes) * (lines * self._pairs + np.maximum(lines - 2, 0) * self._inner))
