"""Which remembered frames may be those that a frame was made of: found by the spectra that the index has of each.

No shift and no sign changes the power of a frequency, so one product of matrices asks all frames about all places. Of
a frame with signs that alternate the spectrum is that of the earlier one, shifted by half. Of one with half of the rows
each frequency is the sum of two of the earlier one: its power correlates with theirs, without being told by it. And of
an earlier frame that was made of this one the spectrum is known, since this one is here as a whole.
"""

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from entropy_assets.core.credit.elsewhere.kinds import RULES, Made, Rule, made_of
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
    HALF_PLANE,
    LOWEST,
    LYING,
    SIDE,
    Floats,
    Fold,
    Wide,
)

LEAST_ERRORS: Final = 4.5
"""Standard errors beyond which a frame is a candidate: of 10,000 frames there is about one by chance."""
LEAST_ERRORS_OF_FEWER_PIXELS: Final = 3.2
"""The same where a frequency is the sum of four, which tells less: a copy is 5.5 of them away, give or take one."""
BEST: Final = 8
"""Candidates of each kind at most."""


class Question(NamedTuple):
    """What a column of the matrix asks for: how the frame may be made, and orientations that it may have then."""

    made: Made
    ways: tuple[int, int]


class Asked:
    """What is asked of the spectra of others, made once of the fold of a frame.

    Attributes
    ----------
    questions
        What each column of the matrix asks for.
    """

    def __init__(self, fold: Fold) -> None:
        asked = list(_asked(fold))
        self.questions = [question for question, _ in asked]
        spectra = np.stack([spectrum for _, spectrum in asked])[:, HALF_PLANE].astype(np.float32)
        lengths = np.linalg.norm(spectra, axis=1, keepdims=True)
        self._matrix: Floats = np.ascontiguousarray((spectra / np.maximum(lengths, np.float32(1e-12))).T)
        self._least = np.array([_least_errors(question.made) for question in self.questions])

    def of(self, spectrum: Floats) -> dict[Made, set[int]]:
        """Return how the frame may be made of the one that has this spectrum, and in which orientations it is then.

        Parameters
        ----------
        spectrum
            ``float32[n]`` of `spectrum_of`.
        """
        beyond = self._errors(spectrum[np.newaxis], math.sqrt(len(spectrum)))[0] > self._least
        found: dict[Made, set[int]] = {}
        for place in np.flatnonzero(beyond):
            made, ways = self.questions[place]
            found.setdefault(made, set()).update(ways)
        return found

    def among(self, indexes: Floats) -> list[int]:
        """Return the places of the frames of which this one may be made, in order.

        Parameters
        ----------
        indexes
            ``float32[frame, 1507]``, each an index with the length 1.
        """
        errors = self._errors(indexes[:, LYING * LYING :], math.sqrt(indexes.shape[1]))
        places: set[int] = set()
        for made in Made:
            columns = [n for n, question in enumerate(self.questions) if question.made == made]
            best = errors[:, columns].max(axis=1)
            beyond = np.flatnonzero(best > _least_errors(made))
            places |= {int(place) for place in beyond[np.argsort(-best[beyond], kind="stable")[:BEST]]}
        return sorted(places)

    def _errors(self, spectra: Floats, scale: float) -> Floats:
        """Return by how many standard errors of unlike frames each spectrum fits each question."""
        return np.asarray((spectra @ self._matrix) * np.float32(scale))


def _least_errors(made: Made) -> float:
    return LEAST_ERRORS_OF_FEWER_PIXELS if made is Made.FEWER_PIXELS else LEAST_ERRORS


def _asked(fold: Fold) -> Iterator[tuple[Question, Reals]]:
    """Yield what is asked of others, ``float64[32, 32]`` by frequency, for orientations that have one spectrum."""
    for made, spectrum in _asked_as_it_lies(fold):
        mirrored, turned = np.roll(spectrum[:, ::-1], 1, axis=1), made_of(RULES[made].transposed)
        yield Question(made, (0, 2)), spectrum
        yield Question(made, (4, 6)), mirrored
        yield Question(turned, (5, 7)), spectrum.T
        yield Question(turned, (1, 3)), np.roll(spectrum.T[:, ::-1], 1, axis=1)


def _asked_as_it_lies(fold: Fold) -> Iterator[tuple[Made, Reals]]:
    pixels = refolded(whitened(fold, kept_frequencies(SIDE, SIDE)), LYING, LYING)
    whole = _power(fold, LYING, LYING)
    for made, rule in RULES.items():
        if any(rule.signs):
            yield made, np.roll(whole, tuple(LYING // 2 * sign for sign in rule.signs), axis=(0, 1))
        elif not rule.is_larger:
            power = np.tile(_power(fold, LYING // rule.rows, LYING // rule.columns), rule.steps)
            yield made, power
            yield made, power * _binned(rule)
        else:
            for smaller in _halves(pixels, rule):
                spread = np.zeros((LYING, LYING))
                spread[:: rule.rows, :: rule.columns] = _clipped(np.abs(np.fft.fft2(smaller)) ** 2)
                yield made, spread


def _halves(pixels: Wide, rule: Rule) -> Iterator[Wide]:
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


def _binned(rule: Rule) -> Reals:
    """Return what a sum over neighbours leaves of the power of each frequency of the larger frame."""
    of_side = np.cos(np.pi * np.fft.fftfreq(LYING)) ** 2
    down, across = (of_side if step > 1 else np.ones(LYING) for step in rule.steps)
    return np.asarray(down[:, np.newaxis] * across)
