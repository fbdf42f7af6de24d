"""Planes, groups, pages and amplifiers of one file: what they share is credited once, and what is fresh is kept."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from entropy_assets.core.credit.assessment import AssessedImage, assess_image
from entropy_assets.core.credit.gaussian import pair_entropy
from entropy_assets.core.credit.shared_parts import credited_once, part_of_regions
from entropy_assets.core.extraction.survey import survey_of
from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.core.frames import frame, white

SHAPE = (128, 128)
SAMPLES = 128 * 128 // 2
"""Pair differences of one part."""


def tall(planes: list[np.ndarray]) -> Frame:
    return frame(np.concatenate([np.rint(plane).astype(np.int64) for plane in planes]), parts=len(planes))


def fresh(seed: int, sigma: float = 8.0) -> np.ndarray:
    return white(SHAPE, sigma=sigma, seed=seed)


def worth(planes: list[np.ndarray]) -> AssessedImage:
    return assess_image(tall(planes), bytes(32), STANDARD)


def parts_used(image: AssessedImage, count: int) -> list[int]:
    rows = np.split(image.noise.survey.live, count)
    return [place for place, live in enumerate(rows) if live.any()]


def test_fresh_planes_are_worth_what_single_frames_are() -> None:
    """Nothing is taken off where nothing is shared; the estimate is that of the worst plane."""
    image = worth([fresh(n) for n in range(5)])
    alone = worth([fresh(0)]).assessment
    assert image.assessment.samples > 0.95 * 5 * SAMPLES
    assert "shared_parts" not in image.assessment.caps
    assert 4.4 * alone.credit_bits < image.assessment.credit_bits < 5.2 * alone.credit_bits


def test_the_pattern_of_a_sensor_is_taken_off() -> None:
    """Half the variance is pattern: what is left is as much poorer than a Gaussian as the whole is."""
    pattern = fresh(90) - 1000
    found = worth([fresh(n) + pattern for n in range(4)]).assessment
    share = pair_entropy(8) / min(pair_entropy(8 * math.sqrt(2)), found.symbol_bits)
    first, *others = found.of_parts.values()
    assert found.caps["shared_parts"] == pytest.approx(min(first, share * min(others)), abs=0.03)
    assert found.limited_by == "shared_parts"
    assert found.min_entropy == pytest.approx(found.caps["shared_parts"], abs=2e-6)
    assert found.samples == 4 * SAMPLES


def test_what_is_shared_is_taken_off_before_a_claim_caps_it() -> None:
    """A source that vouches for two bits keeps them where more than two are fresh; its parts are chosen by them."""
    pattern = fresh(90) - 1000
    both = tall([fresh(n) + pattern for n in range(4)])
    found = assess_image(both, bytes(32), STANDARD, submitter="drop").assessment
    assert (found.limited_by, found.min_entropy) == ("claim", 2.0)
    mixed = tall([fresh(0, sigma=1.5), *(fresh(n) for n in range(1, 4))])
    for source, used in (("raw-ccd", 3), ("nasa-images", 4)):
        survey = assess_image(mixed, bytes(32), STANDARD, submitter=source).noise.survey
        assert sum(live.any() for live in np.split(survey.live, 4)) == used


def test_a_pattern_that_leaves_nothing_leaves_one_plane() -> None:
    """One plane for what it is, rather than eight for next to nothing."""
    pattern = fresh(91, sigma=20) - 1000
    image = worth([fresh(n, sigma=2.5) + pattern for n in range(8)])
    assert parts_used(image, 8) == [0]
    assert image.assessment.samples == SAMPLES
    assert set(image.noise.survey.counts) == {"live", "left_out"}
    used = {int(part) for part in part_of_regions(image.noise.regions, tall([fresh(n) for n in range(8)]))}
    assert used == {0}


@pytest.mark.parametrize(
    "copies",
    [
        lambda plane: [plane] * 6,
        lambda plane: [np.rot90(side, turns) for side in (plane, plane[:, ::-1]) for turns in range(4)],
        lambda plane: [plane, 2000 - plane, plane + 300],
        lambda plane: [plane, 2 * plane - 1000, np.roll(plane, (3, -5), axis=(0, 1))],
    ],
    ids=["same", "turned", "negative", "stretched and shifted"],
)
def test_one_exposure_several_times_is_one_exposure(copies: object) -> None:
    """In any orientation, sign, gain, offset and small shift."""
    planes = copies(fresh(5))  # type: ignore[operator]
    image = worth(planes)
    assert parts_used(image, len(planes)) == [0]
    assert image.assessment.samples == SAMPLES


@pytest.mark.parametrize(
    "planes, share",
    [
        (lambda a, b, pattern: [a + pattern, b + pattern], 0.5),
        (lambda a, b, pattern: [a + pattern, b - pattern], 0.5),
        (lambda a, b, pattern: [a, -a], 1),
        (lambda a, b, pattern: [a, b, a + b], 1),
    ],
    ids=["pattern", "negative pattern", "negative", "sum"],
)
def test_the_whole_area_is_compared_and_not_the_middle_alone(planes: Any, share: float) -> None:
    """Without a look at other orientations, of which only the middle is seen, pairs and all together still are."""
    both = tall([1000 + plane for plane in planes(*(fresh(n) - 1000 for n in (5, 6, 90)))])
    known = credited_once(both, survey_of(both, STANDARD), replace(STANDARD, remembered_frames=0), 4)
    shares = [part.known_share for part in known.used]
    assert shares == ([0.0] * (both.parts - 1) if share == 1 else [0.0, pytest.approx(share, abs=0.06)])


def test_sums_of_planes_are_no_planes() -> None:
    """Two exposures and what can be computed from them: no pair shows it, all together do."""
    a, b = fresh(6) - 1000, fresh(7) - 1000
    image = worth([1000 + plane for plane in (a, b, a + b, a - b, 2 * a - b)])
    assert parts_used(image, 5) == [0, 1]
    two = worth([1000 + a, 1000 + b]).assessment
    assert image.assessment.credit_bits <= 1.01 * two.credit_bits


def test_a_copied_half_is_worth_nothing() -> None:
    """The half that a plane repeats is masked, the other half counts."""
    first, second = fresh(8), fresh(9)
    second[64:] = first[64:]
    image = worth([first, second])
    assert image.noise.survey.counts == {"live": 24, "repeated": 8}


def patchwork(plane: np.ndarray, seed: int) -> np.ndarray:
    """Give squares of a plane in another order, each turned."""
    rng = np.random.default_rng(seed)
    tiles = plane.reshape(4, 32, 4, 32).swapaxes(1, 2).reshape(16, 32, 32)[rng.permutation(16)]
    turned = np.stack([np.rot90(tile, n % 4) for n, tile in enumerate(tiles)])
    return turned.reshape(4, 4, 32, 32).swapaxes(1, 2).reshape(SHAPE)


def test_a_patchwork_of_another_plane_is_worth_nothing() -> None:
    """Turned tiles in another order, with a little noise on them; a plane that is none of it stays."""
    planes = [fresh(1), fresh(2), *(patchwork(fresh(1), n) + fresh(n, sigma=0.5) - 1000 for n in (3, 4))]
    assert parts_used(worth(planes), 4) == [0, 1]


def test_a_pattern_at_the_same_place_is_no_patchwork() -> None:
    """However strong: it is taken off, and not refused."""
    pattern = 3 * (fresh(90) - 1000)
    assert parts_used(worth([fresh(n) + pattern for n in range(4)]), 4) == [0, 1, 2, 3]


def test_groups_of_a_ramp_are_worth_the_read_noise_and_the_new_charge() -> None:
    """Each group shows the charge of those before it: to who knows that, what is left has the width of what is new."""
    rng = np.random.default_rng(10)
    read, new = 6.0, 4.0
    charge = np.cumsum(rng.normal(50, new, (8, *SHAPE)), axis=0) + rng.normal(1000, 25, SHAPE)
    found = worth(list(charge + rng.normal(0, read, charge.shape))).assessment
    sigma = math.sqrt(2 * (read**2 + new**2))
    left = math.log2(sigma * math.sqrt(2 * math.pi))
    assert 0 < found.credit_bits < 0.75 * left * found.samples
    assert found.credit_bits > 0.25 * left * 8 * SAMPLES


def test_running_means_are_worth_what_is_new_in_each() -> None:
    """Each plane is the mean of all exposures so far: the parts that would cost more than they bring are left out."""
    rng = np.random.default_rng(11)
    means = 1000 + np.cumsum(rng.normal(0, 8, (6, *SHAPE)), axis=0) / np.arange(1, 7)[:, np.newaxis, np.newaxis]
    found = worth(list(means)).assessment
    alone = worth(list(means[:1])).assessment
    new = sum(math.log2(8 / count * math.sqrt(4 * math.pi)) for count in range(1, 7))
    assert 0.95 * alone.credit_bits <= found.credit_bits < 0.75 * new * SAMPLES


def test_a_quiet_plane_does_not_pull_the_others_down() -> None:
    """All samples are worth what those of the worst part are, so a part that would cost more is left out."""
    noisy = [fresh(n) for n in range(1, 4)]
    image = worth([fresh(0, sigma=0.8), *noisy])
    assert parts_used(image, 4) == [1, 2, 3]
    assert image.assessment.credit_bits > 0.9 * worth(noisy).assessment.credit_bits


def test_amplifiers_of_different_gain_are_judged_each_at_its_own_level() -> None:
    """Offsets of hundreds of codes are no pattern; the symbols are as wide as those of the quietest."""
    planes = [fresh(n, sigma=8 * gain) + 150 * n for n, gain in enumerate((1, 0.7, 1.25, 0.9))]
    found = worth(planes)
    assert parts_used(found, 4) == [0, 1, 2, 3]
    assert found.assessment.symbol_bits == 4
    assert found.assessment.credit_bits > 0.6 * 3 * 4 * SAMPLES


def test_a_plane_of_made_noise_takes_no_other_with_it() -> None:
    """Searches of a whole frame are those of a plane."""
    tile = np.tile(fresh(3)[:32, :32], (4, 4))
    image = worth([fresh(1), tile, fresh(2)])
    assert parts_used(image, 3) == [0, 2]


def test_parts_too_small_to_be_assessed_are_left_out() -> None:
    """All of them together would be enough, and whatever they share would be credited again and again."""
    small = fresh(1)[:32, :32]
    with pytest.raises(ImageRejected) as caught:
        worth([small + fresh(n, sigma=0.3)[:32, :32] for n in range(16)])
    assert caught.value.reason is RejectionReason.NOT_ENOUGH_CREDIT


def test_dead_parts_are_refused_for_what_they_are() -> None:
    """No part with enough live area: the map stays, and the reason is that of most squares."""
    dead = tall([np.full(SHAPE, 7), np.full(SHAPE, 9)])
    found = credited_once(dead, survey_of(dead, STANDARD), STANDARD, 4)
    assert set(found.survey.counts) == {"constant"}
    assert not found.used
