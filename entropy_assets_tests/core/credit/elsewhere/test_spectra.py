"""Among many remembered frames those are found, by spectra alone, that a frame was made of or that were made of it."""

import numpy as np
import pytest

from entropy_assets.core.credit.elsewhere.kinds import Made
from entropy_assets.core.credit.elsewhere.spectra import HALVES, LEAST_ERRORS, SpectralQuestions, halves_of
from entropy_assets.core.credit.memory import Remembered, SensorMemory, lookup_of
from entropy_assets.core.credit.sketches import INDEXED, Sketch, sketch_of, spectrum_of
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white
from entropy_assets_tests.scenarios.masked_copies import alternated, halved

EXPOSURE = white((384, 448), sigma=9, seed=1)
CUT = EXPOSURE[5:, 2:]


def sketch(pixels: np.ndarray) -> Sketch:
    image = frame(np.ascontiguousarray(pixels))
    return sketch_of(image, survey_frame(image, STANDARD))


WHOLE = sketch(EXPOSURE)


def test_a_look_up_has_a_spectrum_of_each_half_that_can_be_made() -> None:
    halves = halves_of(WHOLE.fold)
    assert (len(halves), len(lookup_of(WHOLE))) == (HALVES, INDEXED + HALVES)
    rows = halves.reshape(8, -1).astype(np.float64)
    alike = np.corrcoef(rows)
    assert abs(alike[:4, :4] - np.eye(4)).max() < 0.4, "the four single pixels have noise of their own"


def test_errors_of_independent_frames_are_standard_errors() -> None:
    """Of every question, so that a limit in standard errors means what it says."""
    asked = SpectralQuestions(WHOLE.fold)
    folds = [sketch(white((128, 160), sigma=9, seed=500 + n)).fold for n in range(40)]
    spectra = np.stack([spectrum_of(fold) for fold in folds])
    for columns in (asked.of_signs, asked.of_others):
        errors = columns.errors(spectra, spectra.shape[1] ** 0.5)
        assert abs(errors.std() - 1) < 0.1
        assert abs(errors).max() < LEAST_ERRORS


def test_theerrors_of_halves_are_those_of_the_best_of_eight() -> None:
    half = SpectralQuestions(sketch(halved(EXPOSURE, 2, 2, (0, 0, 1, 0))).fold)
    folds = [sketch(white((128, 160), sigma=9, seed=500 + n)).fold for n in range(40)]
    halves = [halves_of(fold).astype(np.float32) for fold in (*folds, WHOLE.fold)]
    errors = half.errors_of_halves(np.stack([each / np.linalg.norm(each) * 8**0.5 for each in halves]))
    best = [max(np.random.default_rng(n).normal(size=8)) for n in range(1000)]
    assert abs(errors[:-1].mean() - np.mean(best)) < 0.3
    assert errors[-1].max() == errors[-1, 0] > 7


def memory_of(*sketches: Sketch, is_old: bool = False) -> SensorMemory:
    memory = SensorMemory(10_000)
    for each in sketches:
        index = lookup_of(each)[: INDEXED if is_old else None]
        memory.add(Remembered(each.name, each.sensor, each.live_pixels, index))
    return memory


@pytest.mark.slow
def test_the_index_finds_what_was_made_of_a_frame_among_others() -> None:
    others = [sketch(white((96 + 32 * (n % 5), 160), sigma=9, seed=300 + n)) for n in range(60)]
    half = halved(np.rot90(CUT[3:, 3:]), 2, 2, (1, 1, 1, 1))
    for changed in (half, halved(CUT, 1, 2, (1, 0)), alternated(CUT, 1, 1)):
        one = sketch(changed)
        for new, old in ((one, WHOLE), (WHOLE, one)):
            shelf = {each.name: each for each in (old, *others)}
            shown = memory_of(*shelf.values()).recollect(new, lambda names, shelf=shelf: [shelf[n] for n in names])
            assert (shown.of, bool(shown.made)) == (old.name, True)


def test_frames_that_were_remembered_without_spectra_of_halves_are_looked_through_all_the_same() -> None:
    rows = sketch(EXPOSURE[::2])
    shown = memory_of(WHOLE, is_old=True).recollect(rows, lambda names: [WHOLE] * len(names))
    assert shown.made == Made.FEWER_ROWS.value
