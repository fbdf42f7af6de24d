"""A file that says it is no raw frame is refused or capped; a picture that nobody vouches for is worth a picture."""

import dataclasses
import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.core.credit.assessment import (
    NOT_RAW,
    AssessedImage,
    assess_image,
    credit_of,
    expected_entropy,
    rounded_down,
)
from entropy_assets.core.frame import Statement, StatementKind
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import RECIPES, STANDARD, STRICT, Recipe, recipe_named
from entropy_assets_tests.core.frames import frame, white

EARLIER = [recipe for name, recipe in RECIPES.items() if name.startswith("ea-2026-1")]
NOISE = white((256, 256), sigma=20)


def assessed(recipe: Recipe, *kinds: StatementKind, submitter: str = "raw-ccd", **known: object) -> AssessedImage:
    said = tuple(Statement(kind, f"CARD = {kind}") for kind in kinds)
    return assess_image(frame(NOISE, statements=said, **known), bytes(32), recipe, submitter=submitter)


@pytest.mark.parametrize("recipe", [STANDARD, STRICT], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("kind", NOT_RAW)
def test_what_is_no_exposure_of_a_sensor_is_refused_with_the_card(recipe: Recipe, kind: StatementKind) -> None:
    with pytest.raises(ImageRejected, match=f"the file says CARD = {kind}: ") as caught:
        assessed(recipe, "calibrated", kind)
    assert caught.value.reason is RejectionReason.NOT_RAW
    assert caught.value.data["words"] == f"CARD = {kind}"


def test_the_simulated_camera_is_credited_only_as_what_it_is() -> None:
    image = assessed(STANDARD, "simulated", source="simulated", submitter="simulated")
    assert image.assessment.min_entropy > 3
    for declared in ("raw-ccd", "drop", "samples"):
        with pytest.raises(ImageRejected, match="only the source 'simulated'"):
            assessed(STANDARD, "simulated", source="simulated", submitter=declared)


@pytest.mark.parametrize("declared", ["simulated", "raw-ccd", "drop"])
def test_another_simulator_is_refused_whatever_was_declared(declared: str) -> None:
    with pytest.raises(ImageRejected, match="whoever has the program"):
        assessed(STANDARD, "simulator", submitter=declared)


@pytest.mark.parametrize("kind, most", [("calibrated", 2.0), ("developed", 0.25)])
def test_what_was_processed_is_capped(kind: StatementKind, most: float) -> None:
    image = assessed(STANDARD, kind).assessment
    assert (image.min_entropy, image.limited_by, image.caps["statement"]) == (most, "statement", most)
    assert assessed(STANDARD).assessment.min_entropy > 3
    assert "statement" not in assessed(STANDARD).assessment.caps


@pytest.mark.parametrize("kind", get_args(StatementKind))
def test_earlier_recipes_hear_nothing(kind: StatementKind) -> None:
    for recipe in EARLIER:
        assert assessed(recipe, kind).assessment == assessed(recipe).assessment


@pytest.mark.parametrize(
    "container, bits, claim",
    [
        ("fits", 16, 2.0), ("tiff", 16, 2.0), ("fits", 8, 0.25), ("tiff", 8, 0.25), ("png", 16, 0.25),
        ("png", 8, 0.25), ("webp", 8, 0.25), ("jpeg", 8, 0.25), ("jpeg2000", 16, 0.25), ("bmp", 8, 0.25),
    ],
)  # fmt: skip
def test_an_undeclared_picture_is_worth_a_picture_whatever_its_pixels_look_like(
    container: str, bits: int, claim: float
) -> None:
    known = {"container": container, "bit_depth": bits}
    assert assessed(STANDARD, source="drop", submitter="drop", **known).assessment.caps["claim"] == claim
    assert assessed(STANDARD, source="raw-ccd", **known).assessment.caps["claim"] == 4.0
    for recipe in EARLIER:
        assert assessed(recipe, source="drop", submitter="drop", **known).assessment.caps["claim"] == 2.0


@given(st.floats(0, 8), st.integers(0, 10**8))
def test_credit_is_arithmetic_of_integers_and_never_above_what_was_assessed(entropy: float, samples: int) -> None:
    rounded = rounded_down(entropy, STANDARD)
    assert entropy - 1.000001e-6 <= rounded <= entropy
    assert rounded_down(entropy, recipe_named("ea-2026-1")) == entropy
    millionths = round(rounded * 10**6)
    assert math.isclose(millionths, entropy * 10**6, abs_tol=1.001)
    assert credit_of(rounded, samples, STANDARD) == millionths * samples // 10**6 * 3 // 4


def test_the_last_digits_of_an_estimate_decide_nothing() -> None:
    lower, upper = 2.4983210000001, 2.4983219999999
    assert {credit_of(rounded_down(h, STANDARD), 10**9, STANDARD) for h in (lower, upper)} == {1_873_740_750}
    unrounded = dataclasses.replace(STANDARD, entropy_parts=0)
    assert credit_of(lower, 10**9, unrounded) != credit_of(upper, 10**9, unrounded)


def test_the_health_tests_of_a_picture_expect_what_a_source_in_order_gives() -> None:
    """Expecting a quarter of a bit they would pass a source that fails; see also the compressed noise of a rover."""
    raw = assessed(STANDARD, source="drop", submitter="drop")
    picture = assessed(STANDARD, "developed", source="drop", submitter="drop", container="png")
    assert picture.assessment.min_entropy == 0.25
    assert picture.assessment.health == raw.assessment.health
    assert expected_entropy({"lag": 3.0, "mcv": 1.5}, ("drop", "raw-ccd"), STANDARD) == 1.5
    assert expected_entropy({"lag": 3.0}, ("drop", "raw-ccd"), STANDARD) == 2.0
