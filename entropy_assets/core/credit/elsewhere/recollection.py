"""What is remembered of a frame's noise: which earlier frames show it, how much of it, and where they lie."""

import math
from typing import Any, NamedTuple, Self


class Recollection(NamedTuple):
    """What is remembered of a frame's noise.

    Attributes
    ----------
    frames
        Remembered frames of the same sensor, before it.
    known_parts
        Share of its noise that one of the frames before it shows as well, parts of 10,000, rounded up.
    cells
        The same for each of 16 cells of the frame where it lies as that one does: then it is a share of the variance.
        Empty where it lies otherwise: then it may be a share of the area.
    of
        `Sketch.name` of that frame: SHA-256 of its file, and of one of several parts a slash and its place; None if
        none shows a significant share.
    orientation, shift
        How it lies on that one: mirrored first if 4 to 7, then turned by so many quarters, then moved by so many rows
        and columns, both modulo 128.
    together
        Names of the further frames that show the share with that one, in order; empty where it shows it alone.
    left_parts
        What is left of a pair difference at most, parts of 10,000 bits, rounded down, where that one shows that fresh
        noise takes a few values only, so that its variance tells little; else None.
    made
        How it is made of that one, or that one of it, as `Made` tells; None if it isn't. The shift then is in pixels of
        the larger one.
    """

    frames: int
    known_parts: int = 0
    cells: tuple[int, ...] = ()
    of: str | None = None
    orientation: int = 0
    shift: tuple[int, int] = (0, 0)
    together: tuple[str, ...] = ()
    left_parts: int | None = None
    made: str | None = None

    @property
    def rank(self) -> tuple[int, float]:
        """Return how much is known, to be compared: the share, then how little is left of what takes a few values."""
        return self.known_parts, -math.inf if self.left_parts is None else -self.left_parts

    def to_row(self) -> dict[str, Any]:
        """Return it as JSON-able values; `together`, `left_parts` and `made` only where there are any."""
        row = {**self._asdict(), "cells": list(self.cells), "shift": list(self.shift)}
        row["together"] = list(self.together) or None
        return {name: value for name, value in row.items() if value is not None or name == "of"}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Return what `to_row` gave."""
        lists = {name: tuple(row[name]) for name in ("cells", "shift")}
        return cls(**{**row, **lists, "together": tuple(row.get("together", ()))})
