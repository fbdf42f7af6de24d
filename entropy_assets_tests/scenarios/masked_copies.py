"""Copies of spent frames with other masks, with spliced squares, with single pixels gone, or made into other frames.

Each function returns a `Scenario` from a seeded generator and the side of its frames, pixels: frames that were spent,
and one that is made of them. A copied pixel holds nothing, and neither does one that is blown out; a fresh one holds
what its law gives.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from entropy_assets_tests.scenarios.laws import Codes, Electrons, Gaussian, Reals, pixel_bits, rounded
from entropy_assets_tests.scenarios.scenario import Exposure, Scenario, Truth, fits_file
from entropy_assets_tests.scenarios.sensors import LEVEL, through_filters

SIGMA = 9.0
"""Noise of a spent frame, codes."""
SQUARE = 32
"""Side of the squares that are judged together, pixels."""
CELL = 4
"""Cells of a frame down, and across: their shares of a copy are measured apart."""
FULL = 65_535
"""Code of a blown out pixel."""

Mask = npt.NDArray[np.bool_]
Choice = Callable[[np.random.Generator, int], Mask]
"""Chooses pixels, ``bool[ny, nx]``, of a frame of this side."""


def squares_of(chosen: npt.NDArray[np.bool_]) -> Mask:
    """Return the pixels of chosen squares."""
    return np.kron(chosen, np.ones((SQUARE, SQUARE), dtype=np.bool_))


def some_squares(rng: np.random.Generator, side: int, share: float) -> Mask:
    """Choose so many of all squares at random."""
    return squares_of(rng.random((side // SQUARE, side // SQUARE)) < share)


def square_of_each_cell(_rng: np.random.Generator, side: int) -> Mask:
    """Choose the first square of each cell."""
    rows, columns = np.indices((side // SQUARE, side // SQUARE)) % (side // SQUARE // CELL)
    return squares_of((rows == 0) & (columns == 0))


def checkerboard(_rng: np.random.Generator, side: int, size: int = SQUARE) -> Mask:
    """Choose every second square of this size."""
    rows, columns = np.indices((side, side)) // size
    return (rows + columns) % 2 == 0


def diagonals(_rng: np.random.Generator, side: int) -> Mask:
    """Choose lines of one pixel, one in each square and more."""
    rows, columns = np.indices((side, side))
    return (rows + columns) % SQUARE == 0


def one_pixel_of_each_square(rng: np.random.Generator, side: int) -> Mask:
    """Choose a pixel of each square, anywhere in it."""
    chosen = np.zeros((side, side), dtype=np.bool_)
    corners = np.indices((side // SQUARE, side // SQUARE)).reshape(2, -1) * SQUARE
    chosen[tuple(corners + rng.integers(0, SQUARE, corners.shape))] = True
    return chosen


def some_pixels(rng: np.random.Generator, side: int, share: float) -> Mask:
    """Choose so many of all pixels at random."""
    return rng.random((side, side)) < share


def masked(
    rng: np.random.Generator,
    side: int,
    choice: Choice,
    change: Callable[[Codes], npt.NDArray[np.integer]] = np.asarray,
    fresh: float = 0.0,
    masks_before: Choice | None = None,
) -> Scenario:
    """A spent frame, changed, of which the chosen pixels are blown out; maybe with a little fresh noise on all of it.

    Parameters
    ----------
    masks_before
        Chooses what was blown out of the spent frame: there the copy holds what that frame would have shown.
    """
    law, levels = Gaussian(SIGMA), np.full((side, side), LEVEL)
    first = law.draw(rng, levels)
    hidden = masks_before(rng, side) if masks_before else np.zeros_like(first, dtype=np.bool_)
    copied = np.ascontiguousarray(change(first))
    bits = np.ascontiguousarray(change(hidden * 1)) * float(pixel_bits(law, LEVEL))
    if fresh:
        noise = Gaussian(fresh)
        bits = np.maximum(bits, pixel_bits(noise, copied.astype(np.float64)))
        copied = noise.draw(rng, copied.astype(np.float64))
    gone = choice(rng, side)[: copied.shape[0], : copied.shape[1]]
    exposure = Exposure(fits_file(np.where(gone, FULL, copied)), Truth(np.where(gone, 0.0, bits), None))
    return Scenario((exposure,), (fits_file(np.where(hidden, FULL, first)),))


def spliced(rng: np.random.Generator, side: int, choice: Choice, width: float = 1.0, turns: int = 0) -> Scenario:
    """A spent frame, turned, whose chosen pixels are replaced by fresh noise, so many times as wide as its own."""
    law, levels = Gaussian(SIGMA), np.full((side, side), LEVEL)
    first, other = law.draw(rng, levels), Gaussian(width * SIGMA)
    chosen = choice(rng, side)
    codes = np.where(chosen, other.draw(rng, levels + 10 * width * SIGMA * (width > 10)), np.rot90(first, turns))
    exposure = Exposure(fits_file(codes), Truth(chosen * float(pixel_bits(other, LEVEL)), None))
    return Scenario((exposure,), (fits_file(first),))


def regained(rng: np.random.Generator, side: int, gains: Callable[[np.random.Generator, int], Reals]) -> Scenario:
    """A spent frame, each pixel of which is multiplied about its level by a known gain."""
    first = Gaussian(SIGMA).draw(rng, np.full((side, side), LEVEL))
    codes = rounded(LEVEL + (first - LEVEL) * gains(rng, side))
    return Scenario((Exposure(fits_file(codes), Truth(np.zeros((side, side)), 0.0)),), (fits_file(first),))


def falling(_rng: np.random.Generator, side: int, least: float) -> Reals:
    """Return gains that fall from 1 to `least` from the left to the right."""
    return np.broadcast_to(np.linspace(1.0, least, side), (side, side))


def of_squares(rng: np.random.Generator, side: int, least: float) -> Reals:
    """Return a gain for each square, from `least` to 1."""
    return np.kron(rng.uniform(least, 1.0, (side // SQUARE, side // SQUARE)), np.ones((SQUARE, SQUARE)))


def patchwork(rng: np.random.Generator, side: int, count: int, size: int = SQUARE) -> Scenario:
    """A frame whose squares of this size come from as many spent frames, taking turns at random."""
    frames = [Gaussian(SIGMA).draw(rng, np.full((side, side), LEVEL)) for _ in range(count)]
    which = np.kron(rng.integers(0, count, (side // size, side // size)), np.ones((size, size), dtype=np.int64))
    codes = np.choose(which, frames)
    exposure = Exposure(fits_file(codes), Truth(np.zeros((side, side)), 0.0))
    return Scenario((exposure,), tuple(fits_file(each) for each in frames))


def in_turns(rng: np.random.Generator, side: int, rows: int, columns: int) -> Scenario:
    """A frame whose rows, columns or pixels come in turns from as many spent frames as there are turns."""
    frames = [Gaussian(SIGMA).draw(rng, np.full((side, side), LEVEL)) for _ in range(rows * columns)]
    down, across = np.indices((side, side))
    codes = np.choose(down % rows * columns + across % columns, frames)
    exposure = Exposure(fits_file(codes), Truth(np.zeros((side, side)), 0.0))
    return Scenario((exposure,), tuple(fits_file(each) for each in frames))


def under_stars(rng: np.random.Generator, side: int, multiple: float, sigma: float, spent: int) -> Scenario:
    """A frame of a known pattern, after others of it: each has half of its squares blown out, and no two the same."""
    levels = LEVEL + rng.normal(0, multiple * sigma, (side, side))
    files = []
    for _ in range(spent + 1):
        gone = some_squares(rng, side, 0.5)
        files.append(fits_file(np.where(gone, FULL, Gaussian(sigma).draw(rng, levels))))
    truth = Truth(np.where(gone, 0.0, pixel_bits(Gaussian(sigma), levels)), None)
    return Scenario((Exposure(files[-1], truth),), tuple(files[:-1]))


def turned(codes: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return a frame turned by a quarter."""
    return np.rot90(codes)


def cut(codes: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return what is left of a frame without its upper and its left parts, which are no whole squares."""
    return codes[codes.shape[0] // 5 :, codes.shape[1] // 6 :]


def halved(codes: npt.NDArray[np.integer], rows: int, columns: int, weights: tuple[int, ...]) -> Codes:
    """Return one pixel of so many rows and columns: their sum with these weights."""
    sides = codes.shape[0] // rows * rows, codes.shape[1] // columns * columns
    whole = codes[: sides[0], : sides[1]].astype(np.int64)
    parts = [whole[a::rows, b::columns] for a in range(rows) for b in range(columns)]
    return np.asarray(sum(weight * part for weight, part in zip(weights, parts, strict=True)))


def alternated(codes: npt.NDArray[np.integer], rows: int, columns: int) -> Codes:
    """Return a frame mirrored about its level in every second row, or column, or pixel of a checkerboard."""
    down, across = np.indices(codes.shape)
    return np.asarray(int(LEVEL) + (codes - int(LEVEL)) * (1 - 2 * ((rows * down + columns * across) % 2)))


def on_a_canvas(codes: Codes, side: int) -> Codes:
    """Return a smaller frame in a corner of one of so many rows and columns, which is black besides."""
    return np.pad(codes, [(0, side - length) for length in codes.shape])


def sloped(codes: npt.NDArray[np.integer], step: int) -> Codes:
    """Return a frame whose light rises by so many codes from column to column."""
    return np.asarray(codes + step * np.arange(codes.shape[1]))


def with_its_lower_part(codes: npt.NDArray[np.integer], change: Callable[[Codes], Codes]) -> Codes:
    """Return a frame less than half of whose rows were changed."""
    upper = 9 * len(codes) // 16
    return np.concatenate([codes[:upper], change(codes[upper:])])


def stripped(codes: npt.NDArray[np.integer], strips: int) -> Codes:
    """Return a frame in so many strips, each a pixel further than the one before."""
    return np.concatenate([np.roll(strip, n, axis=1) for n, strip in enumerate(np.array_split(codes, strips))])


def registered(codes: npt.NDArray[np.integer], by: float) -> Codes:
    """Return a frame moved by part of a pixel along both axes, by phases."""
    waves = ndimage.fourier_shift(np.fft.fft2(codes - LEVEL), by)
    return rounded(np.fft.ifft2(waves).real + LEVEL)


def splined(codes: npt.NDArray[np.integer], by: float) -> Codes:
    """Return the same by cubic splines."""
    return rounded(ndimage.shift(codes.astype(np.float64), by, order=3, mode="grid-wrap"))


REMADE: Final[dict[str, Callable[[Codes], Codes]]] = {
    "binned 2 x 2": partial(halved, rows=2, columns=2, weights=(1, 1, 1, 1)),
    "every second pixel of every second row": partial(halved, rows=2, columns=2, weights=(0, 0, 1, 0)),
    "every second row": partial(halved, rows=2, columns=1, weights=(0, 1)),
    "every second column": partial(halved, rows=1, columns=2, weights=(1, 0)),
    "every two columns added": partial(halved, rows=1, columns=2, weights=(1, 1)),
    "signs that alternate by rows": partial(alternated, rows=1, columns=0),
    "signs that alternate by columns": partial(alternated, rows=0, columns=1),
    "signs that alternate by pixels": partial(alternated, rows=1, columns=1),
    "cut, turned, then every second row": lambda codes: halved(np.rot90(cut(codes)), 2, 1, (1, 0)),
    "turned, then binned 2 x 2 from its second column on": lambda codes: halved(
        np.rot90(codes)[:, 1:], 2, 2, (1, 1, 1, 1)
    ),
    "binned 2 x 2, on a black canvas": lambda codes: on_a_canvas(halved(codes, 2, 2, (1, 1, 1, 1)), len(codes)),
    "added to itself shifted": lambda codes: codes + np.roll(codes, (5, 9), axis=(0, 1)),
    "less a part of itself turned": lambda codes: 500 + codes - rounded(0.5 * np.rot90(codes)),
    "a slope of 5 codes a column": partial(sloped, step=5),
    "a slope of 30 codes a column": partial(sloped, step=30),
    "its lower part moved by 100 columns": partial(with_its_lower_part, change=partial(np.roll, shift=100, axis=1)),
    "its lower part mirrored": partial(with_its_lower_part, change=np.fliplr),
    "in four strips a pixel apart": partial(stripped, strips=4),
    "registered by .4 pixels": partial(registered, by=0.4),
    "registered by .1 pixels, by splines": partial(splined, by=0.1),
    "signs that alternate by pixels, turned, cut": lambda codes: cut(np.rot90(alternated(codes, 1, 1))),
}
"""What may be made of a spent frame, by name."""


def remade(rng: np.random.Generator, side: int, change: Callable[[Codes], Codes], fresh: float = 0.0) -> Scenario:
    """What was made of a spent frame, the second of its sensor, with so much fresh noise on it."""
    first, other = (Gaussian(SIGMA).draw(rng, np.full((side, side), LEVEL)) for _ in range(2))
    made, of_another = (np.ascontiguousarray(change(each)) for each in (first, other))
    truth = Truth(np.zeros(made.shape), 0.0)
    if fresh:
        made = Gaussian(fresh).draw(rng, made.astype(np.float64))
        truth = Truth(np.full(made.shape, float(pixel_bits(Gaussian(fresh), 0.0))), None)
    return Scenario((Exposure(fits_file(made), truth),), (fits_file(first), fits_file(of_another)))


def pieces_first(rng: np.random.Generator, side: int, rows: int, columns: int) -> Scenario:
    """A frame of which all fields, or all colours, were spent before as frames of their own."""
    codes, other = (Gaussian(SIGMA).draw(rng, np.full((side, side), LEVEL)) for _ in range(2))
    pieces = [codes[a::rows, b::columns] for a in range(rows) for b in range(columns)]
    earlier = tuple(fits_file(np.ascontiguousarray(each)) for each in (other, *pieces))
    return Scenario((Exposure(fits_file(codes), Truth(np.zeros((side, side)), 0.0)),), earlier)


def colour_of_a_mosaic(rng: np.random.Generator, side: int) -> Scenario:
    """One colour of a spent mosaic as a frame of its own."""
    codes = Electrons(1.0, 3.0, 36.0).draw(rng, through_filters(side, "RGGB"))
    colour = np.ascontiguousarray(codes[1::2, ::2])
    return Scenario((Exposure(fits_file(colour), Truth(np.zeros(colour.shape), 0.0)),), (fits_file(codes),))


def grey_copy(rng: np.random.Generator, side: int, is_first: bool) -> Scenario:
    """A spent mosaic less the level of each colour, which looks like a grey frame; or that one first."""
    levels = through_filters(side, "RGGB")
    mosaic = Electrons(1.0, 3.0, 36.0).draw(rng, levels)
    grey = mosaic - rounded(levels) + int(LEVEL)
    files = [fits_file(each) for each in ((grey, mosaic) if is_first else (mosaic, grey))]
    return Scenario((Exposure(files[1], Truth(np.zeros((side, side)), 0.0)),), (files[0],))


def _remade() -> dict[str, Callable[[np.random.Generator, int], Scenario]]:
    return (
        {f"spent frame, {name}": partial(remade, change=change) for name, change in REMADE.items()}
        | {
            f"spent frame, {name}, + 4.5": partial(remade, change=REMADE[name], fresh=4.5)
            for name in ("every second row", "signs that alternate by pixels")
        }
        | {
            "frame whose two fields were spent": partial(pieces_first, rows=2, columns=1),
            "frame whose four colours were spent": partial(pieces_first, rows=2, columns=2),
            "one colour of a spent mosaic": colour_of_a_mosaic,
            "spent mosaic, as a grey copy": partial(grey_copy, is_first=False),
            "mosaic of which a grey copy was spent": partial(grey_copy, is_first=True),
        }
    )


def _catalogued() -> dict[str, Callable[[np.random.Generator, int], Scenario]]:
    squares, pixels = partial(partial, some_squares), partial(partial, some_pixels)
    twentieth, half = squares(share=0.05), squares(share=0.5)
    hidden = {
        "one square in 20 blown out": partial(masked, choice=twentieth),
        "one square in 2 blown out": partial(masked, choice=half),
        "one square in 2 blown out, + 0.4": partial(masked, choice=half, fresh=0.4),
        "one square in 20 blown out, + 3": partial(masked, choice=twentieth, fresh=3.0),
        "diagonal lines blown out": partial(masked, choice=diagonals),
        "a pixel of each square blown out": partial(masked, choice=one_pixel_of_each_square),
        "turned, 5 % of the pixels blown out": partial(masked, choice=pixels(share=0.05), change=turned),
        "cut, one square in 4 blown out": partial(masked, choice=squares(share=0.25), change=cut),
        "cut, 5 % of the pixels blown out": partial(masked, choice=pixels(share=0.05), change=cut),
        "one square in 4 blown out, as in itself": partial(
            masked, choice=squares(share=0.25), masks_before=squares(share=0.25)
        ),
        "gain falling to 0.9": partial(regained, gains=partial(falling, least=0.9)),
    }
    hidden |= {
        f"{share:g} % of the pixels blown out": partial(masked, choice=pixels(share=share / 100))
        for share in (0.5, 5, 20, 50)
    }
    others = {
        "a square of each cell": partial(spliced, choice=square_of_each_cell),
        "a square of each cell, 300 x as wide": partial(spliced, choice=square_of_each_cell, width=300.0),
        "one square in 10, 3 x as wide": partial(spliced, choice=squares(share=0.1), width=3.0),
        "every second 8 x 8 pixels": partial(spliced, choice=partial(checkerboard, size=8)),
        "5 % of the pixels": partial(spliced, choice=pixels(share=0.05)),
        "turned, one square in 10, 10 x as wide": partial(spliced, choice=squares(share=0.1), width=10.0, turns=1),
    }
    return (
        {f"spent frame, {name}": make for name, make in hidden.items()}
        | {f"spent frame, other noise in {name}": make for name, make in others.items()}
        | {
            f"{size} x {size} pixels of {count} spent frames in turns": partial(patchwork, count=count, size=size)
            for count, size in ((2, 32), (3, 8), (8, 32))
        }
        | {
            "columns of 2 spent frames in turns": partial(in_turns, rows=1, columns=2),
            "pixels of 4 spent frames in turns": partial(in_turns, rows=2, columns=2),
        }
        | _remade()
    )


CATALOGUED: Final = _catalogued()
"""Those that stand in the catalogue, by name."""
