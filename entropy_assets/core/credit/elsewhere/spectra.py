"""Which remembered frames may be those that a frame was made of: found by the spectra that the index has of each.

No shift and no sign changes the power of a frequency, so one product of matrices asks all frames about all places. Of
a frame with signs that alternate the spectrum is that of the earlier one, shifted by half. Of one with half of the rows
each frequency is the sum of two of the earlier one: its power correlates with theirs, without being told by it. And of
an earlier frame that was made of this one the spectrum is known, since this one is here as a whole.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.elsewhere.kinds import RULES, Made, Making, made_of
from entropy_assets.core.credit.elsewhere.whitened import (
    Flags,
    Reals,
    kept_frequencies,
    refolded,
    response,
    whitened,
)
from entropy_assets.core.credit.sketches import (
    CLIPPED_POWER,
    CODE_RMS,
    HALF_PLANE,
    INDEXED,
    LOWEST,
    LYING,
    SIDE,
    Floats,
    Fold,
    Wide,
    spectrum_of,
)

LEAST_ERRORS: Final = 4.5
"""Standard errors beyond which a frame is a candidate: of 10,000 frames there is about one by chance."""
LEAST_ERRORS_OF_HALVES: Final = 3.0
"""The same of the spectra of halves, which have fewer frequencies: a copy is 8 standard errors away, and one of half of
the frame 4; the best ones count."""
BEST: Final = 8
"""Candidates of each kind at most."""


WAYS: Final = ((0, 2), (4, 6), (5, 7), (1, 3))
"""Orientations by two that have the same spectrum."""
LOWEST_OF_PIXELS: Final = 6
"""As `whitened.LOWEST`, of what candidates are found by: a binned frame has most of its noise at low frequencies."""


class SpectralQuestion(NamedTuple):
    """What a column of the matrix asks for: how the frame may be made, and orientations that it may have then."""

    made: Made
    ways: tuple[int, int]


def halves_of(fold: Fold) -> npt.NDArray[np.int8]:
    """Return the spectra of all frames with half of the rows and columns that can be made of one, ``int8[920]``.

    They stand behind the index. Of four pixels each may be the one, or their sum, which may begin in four places; which
    it is can't be told from the spectrum of the whole.
    """
    codes = np.rint(_halved(fold) * (CODE_RMS * math.sqrt(OF_HALF)))
    return np.asarray(np.clip(codes, -127, 127).astype(np.int8).ravel())


class _Columns:
    """Questions, and the matrix whose columns ask them."""

    def __init__(self, asked: Iterable[tuple[SpectralQuestion, Reals]]) -> None:
        questions, spectra = zip(*asked, strict=True)
        self.questions: tuple[SpectralQuestion, ...] = questions
        self._matrix = _units([spectrum[HALF_PLANE] for spectrum in spectra]).T

    def errors(self, spectra: Floats, scale: float) -> Floats:
        """Return by how many standard errors of unlike frames each spectrum fits each question."""
        return np.asarray((spectra @ self._matrix) * np.float32(scale))


class SpectralQuestions:
    """What is asked of the spectra of others, made once of the fold of a frame."""

    def __init__(self, fold: Fold) -> None:
        self._fold = fold

    @cached_property
    def of_signs(self) -> _Columns:
        """Return what is asked of frames of any shape."""
        return _Columns(_asked_of_signs(self._fold))

    @cached_property
    def of_others(self) -> _Columns:
        """Return what is asked of frames of other shapes."""
        return _Columns(_asked_of_others(self._fold))

    @cached_property
    def _halved(self) -> Floats:
        power = _power(self._fold, LYING // 2, LYING // 2)
        return _units([each[_HALF_PLANE_OF_HALF] for _, each in _turned(Made.FEWER_PIXELS, power)]).T

    def of(self, fold: Fold, *, may_be_half: bool) -> dict[Made, set[int]]:
        """Return how the frame may be made of the one with this fold, and in which orientations it is then.

        Parameters
        ----------
        may_be_half
            Whether one of both may be the half of the other.
        """
        spectrum = spectrum_of(fold)
        found: dict[Made, set[int]] = {}
        for asked in (self.of_signs, self.of_others) if may_be_half else (self.of_signs,):
            errors = asked.errors(spectrum[np.newaxis], math.sqrt(len(spectrum)))[0]
            for place in np.flatnonzero(errors > LEAST_ERRORS):
                made, ways = asked.questions[place]
                found.setdefault(made, set()).update(ways)
        if may_be_half:
            halved = self.errors_of_halves(_halved(fold).ravel()[np.newaxis])[0]
            for place in np.flatnonzero(halved > LEAST_ERRORS_OF_HALVES):
                found.setdefault(Made.FEWER_PIXELS, set()).update(WAYS[place])
        return found

    def among(self, spectra: Floats, halves: Floats, may_be_halves: Flags) -> list[int]:
        """Return the places of the frames of which this one may be made, in order.

        Parameters
        ----------
        spectra
            ``float32[frame, 483]``, of each the spectrum in its index, which has the length 1 as a whole.
        halves
            ``float32[frame, 920]``, what `halves_of` gave of each, in units in which each of eight has the length 1; 0
            of frames that are remembered without.
        may_be_halves
            ``bool[frame]``, which may be the half of this one or it of them: most of what is asked is of these alone.
        """
        places = self._of_columns(self.of_signs, spectra)
        if may_be_halves.any():
            halved = self.errors_of_halves(halves).max(axis=1)
            places |= _beyond(np.where(may_be_halves, halved, 0), LEAST_ERRORS_OF_HALVES)
            places |= self._of_columns(self.of_others, spectra, may_be_halves[:, np.newaxis])
        return sorted(places)

    def _of_columns(self, asked: _Columns, spectra: Floats, of: Flags | bool = True) -> set[int]:
        errors = np.where(of, asked.errors(spectra, math.sqrt(INDEXED)), 0)
        places: set[int] = set()
        for made in dict.fromkeys(question.made for question in asked.questions):
            columns = [n for n, question in enumerate(asked.questions) if question.made == made]
            places |= _beyond(errors[:, columns].max(axis=1), LEAST_ERRORS)
        return places

    def errors_of_halves(self, halves: Floats) -> Floats:
        """Return by how many standard errors the best of the eight halves of each frame fits, by `WAYS`."""
        fits = halves.reshape(-1, OF_HALF) @ self._halved
        best: Floats = fits.reshape(len(halves), -1, len(WAYS)).max(axis=1) * np.float32(math.sqrt(OF_HALF))
        return best


def _beyond(errors: Floats, least: float) -> set[int]:
    """Return the places that are beyond so many standard errors, at most `BEST` of them."""
    beyond = np.flatnonzero(errors > least)
    return {int(place) for place in beyond[np.argsort(-errors[beyond], kind="stable")[:BEST]]}


def _units(spectra: Sequence[Reals]) -> Floats:
    """Return spectra as rows of the length 1."""
    rows = np.stack(spectra).astype(np.float32)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12)))


def _halved(fold: Fold) -> Floats:
    """Return what `halves_of` does, ``float32[8, 115]``, as rows of the length 1."""
    smaller = _halves(_pixels(fold), RULES[Made.FEWER_PIXELS])
    powers = [_clipped(np.abs(np.fft.fft2(each)) ** 2) for each in smaller]
    return _units([power[_HALF_PLANE_OF_HALF] for power in powers])


def _pixels(fold: Fold) -> Wide:
    return refolded(whitened(fold, _TOLD), LYING, LYING)


def _turned(made: Made, spectrum: Reals) -> Iterator[tuple[SpectralQuestion, Reals]]:
    """Yield a spectrum as it is in each of `WAYS`, in their order."""
    turned = made_of(RULES[made].transposed)
    yield SpectralQuestion(made, WAYS[0]), spectrum
    yield SpectralQuestion(made, WAYS[1]), np.roll(spectrum[:, ::-1], 1, axis=1)
    yield SpectralQuestion(turned, WAYS[2]), spectrum.T
    yield SpectralQuestion(turned, WAYS[3]), np.roll(spectrum.T[:, ::-1], 1, axis=1)


def _asked_of_signs(fold: Fold) -> Iterator[tuple[SpectralQuestion, Reals]]:
    """Yield what is asked of others, ``float64[32, 32]`` by frequency, for orientations that have one spectrum."""
    whole = _power(fold, LYING, LYING)
    for made, rule in RULES.items():
        if any(rule.signs):
            yield from _turned(made, np.roll(whole, tuple(LYING // 2 * sign for sign in rule.signs), axis=(0, 1)))


def _asked_of_others(fold: Fold) -> Iterator[tuple[SpectralQuestion, Reals]]:
    """Yield the same where one frame may be half of the other."""
    pixels = _pixels(fold)
    for made, rule in RULES.items():
        if rule.is_larger:
            for smaller in _halves(pixels, rule):
                spread = np.zeros((LYING, LYING))
                spread[:: rule.rows, :: rule.columns] = _clipped(np.abs(np.fft.fft2(smaller)) ** 2)
                yield from _turned(made, spread)
        elif rule.phases == 2:
            power = np.tile(_power(fold, LYING // rule.rows, LYING // rule.columns), rule.steps)
            yield from _turned(made, power)
            yield from _turned(made, power * _binned(rule))


def _halves(pixels: Wide, rule: Making) -> Iterator[Wide]:
    """Yield the smaller frames that may be made of `pixels`: every second ones, and sums."""
    rows, columns = rule.steps
    whole = sum(np.roll(pixels, (-a, -b), axis=(0, 1)) for a in range(rows) for b in range(columns))
    for values in (pixels, np.asarray(whole)):
        for a, b in np.ndindex(rows, columns):
            yield values[a::rows, b::columns]


def _power(fold: Fold, rows: int, columns: int) -> Reals:
    """Return the power of each frequency of a fold over that of a Laplacian of white noise, less its mean; clipped."""
    spectrum = np.fft.fft2(refolded(fold, rows, columns))
    return _clipped(np.abs(spectrum) ** 2 / np.maximum(response(rows, columns) ** 2, 1e-3))


def _clipped(power: Reals) -> Reals:
    kept = _beyond_lowest(*power.shape)
    mean = max(1e-12, float(power[kept].mean()))
    return np.asarray((np.clip(power / mean, 0.0, CLIPPED_POWER) - 1.0) * kept)


def _beyond_lowest(rows: int, columns: int) -> Flags:
    """Return which frequencies are not of the scene, ``bool[rows, columns]``."""
    down, across = (np.abs(np.fft.fftfreq(side, 1 / side)) for side in (rows, columns))
    beyond = (down > LOWEST * rows / LYING)[:, np.newaxis] | (across > LOWEST * columns / LYING)
    return np.asarray(beyond)


def _binned(rule: Making) -> Reals:
    """Return what a sum over neighbours leaves of the power of each frequency of the larger frame."""
    of_side = np.cos(np.pi * np.fft.fftfreq(LYING)) ** 2
    down, across = (of_side if step > 1 else np.ones(LYING) for step in rule.steps)
    return np.asarray(down[:, np.newaxis] * across)


def _half_plane_of_half() -> Flags:
    """Return which frequencies of a half are kept: of each pair of opposite ones one, without the lowest."""
    side = LYING // 2
    down, across = np.meshgrid(*(np.fft.fftfreq(side, 1 / side),) * 2, indexing="ij")
    return np.asarray(((down > 0) | ((down == 0) & (across > 0))) & _beyond_lowest(side, side))


_TOLD: Final = kept_frequencies(SIDE, SIDE, LOWEST_OF_PIXELS)
_HALF_PLANE_OF_HALF: Final = _half_plane_of_half()
OF_HALF: Final = int(np.count_nonzero(_HALF_PLANE_OF_HALF))
"""Frequencies that are kept of a half."""
HALVES: Final = 8 * OF_HALF
"""Bytes of `halves_of`."""
