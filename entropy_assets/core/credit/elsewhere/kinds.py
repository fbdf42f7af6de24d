"""How a frame can be made of an earlier one by the same rule everywhere, so that its fold is made like that too."""

from enum import StrEnum
from typing import Final, NamedTuple


class Made(StrEnum):
    """How a frame is made of an earlier one: signs that alternate, or rows or columns of which there are half as many.

    They may be every second ones, or of two neighbours what any weights make of them, as a sum or a mean. `MORE_ROWS`
    and the like: the earlier one was made of the frame.
    """

    ROW_SIGNS = "row_signs"
    COLUMN_SIGNS = "column_signs"
    CHECKERED_SIGNS = "checkered_signs"
    FEWER_ROWS = "fewer_rows"
    FEWER_COLUMNS = "fewer_columns"
    FEWER_PIXELS = "fewer_pixels"
    MORE_ROWS = "more_rows"
    MORE_COLUMNS = "more_columns"
    MORE_PIXELS = "more_pixels"


class Making(NamedTuple):
    """The geometry of a `Made`.

    Attributes
    ----------
    rows, columns
        How many of the larger frame are one of the smaller frame.
    signs
        Whether signs alternate from row to row, and from column to column.
    is_larger
        Whether the frame is the larger one.
    """

    rows: int = 1
    columns: int = 1
    signs: tuple[int, int] = (0, 0)
    is_larger: bool = False

    @property
    def steps(self) -> tuple[int, int]:
        """Return rows and columns."""
        return self.rows, self.columns

    @property
    def phases(self) -> int:
        """Return how many pixels of the larger frame are one of the smaller."""
        return self.rows * self.columns

    @property
    def transposed(self) -> "Making":
        """Return the rule of frames whose rows are the columns of these."""
        return self._replace(rows=self.columns, columns=self.rows, signs=self.signs[::-1])


RULES: Final = {
    Made.ROW_SIGNS: Making(signs=(1, 0)),
    Made.COLUMN_SIGNS: Making(signs=(0, 1)),
    Made.CHECKERED_SIGNS: Making(signs=(1, 1)),
    Made.FEWER_ROWS: Making(2, 1),
    Made.FEWER_COLUMNS: Making(1, 2),
    Made.FEWER_PIXELS: Making(2, 2),
    Made.MORE_ROWS: Making(2, 1, is_larger=True),
    Made.MORE_COLUMNS: Making(1, 2, is_larger=True),
    Made.MORE_PIXELS: Making(2, 2, is_larger=True),
}


def made_of(rule: Making) -> Made:
    """Return what has this rule."""
    return next(made for made, each in RULES.items() if each == rule)


TOLD: Final = {
    Made.ROW_SIGNS: "with signs that alternate by rows",
    Made.COLUMN_SIGNS: "with signs that alternate by columns",
    Made.CHECKERED_SIGNS: "with signs that alternate by pixels",
    Made.FEWER_ROWS: "with one row of two",
    Made.FEWER_COLUMNS: "with one column of two",
    Made.FEWER_PIXELS: "with one row and column of two",
    Made.MORE_ROWS: "which has one row of two",
    Made.MORE_COLUMNS: "which has one column of two",
    Made.MORE_PIXELS: "which has one row and column of two",
}
"""How a frame lies on the earlier one, in words."""
