"""Assessments: what is kept of the noise of a batch can be read without an image or its decoder."""

import numpy as np

from entropy_assets.core.extraction.squares import Verdict
from entropy_assets.stages import assessments
from entropy_assets.stages.assessments import AssessmentRow
from entropy_assets_tests.stages.batches_made import Place, flat_png, frame


def test_a_rejected_image_keeps_its_map_of_dead_squares(place: Place) -> None:
    batch = place.hashed([("live.fits", frame(1)), ("flat.png", flat_png())])
    maps = dict(assessments.live_maps(batch))
    assert set(np.unique(maps["flat.png"])) == {Verdict.CONSTANT}
    assert Verdict.LIVE in maps["live.fits"]


def test_an_assessment_has_the_fields_that_are_named(place: Place) -> None:
    (row,) = assessments.noise_rows(place.hashed([("a.fits", frame(1))]))
    assert set(row.assessment) == set(AssessmentRow.__annotations__)
