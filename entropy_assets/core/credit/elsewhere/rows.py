"""The newest rows of a matrix, to which one after the other is added and from which the oldest are dropped."""

from typing import Final

import numpy as np

from entropy_assets.core.credit.sketches import Floats

SPARE: Final = 256
"""Rows at least that can be added before all are copied."""


class NewestRows:
    """Rows in one piece of memory: whoever multiplies them again and again should not have to stack them first.

    Parameters
    ----------
    most
        How many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: Floats = np.empty((0, 0), dtype=np.float32)
        self._first = self._end = 0

    @property
    def all(self) -> Floats:
        """Return the rows, the oldest first; they may change once another is added."""
        return self._rows[self._first : self._end]

    def add(self, row: Floats) -> None:
        """Add a row, and drop the oldest if there are too many."""
        if self._end == len(self._rows):
            kept = self.all.reshape(-1, len(row))
            self._rows = np.empty((len(kept) + max(SPARE, len(kept) // 4), len(row)), dtype=np.float32)
            self._rows[: len(kept)] = kept
            self._first, self._end = 0, len(kept)
        self._rows[self._end] = row
        self._end += 1
        self._first = max(self._first, self._end - self._most)
