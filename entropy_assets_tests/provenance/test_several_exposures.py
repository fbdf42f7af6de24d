"""Planes of one sensor get the same credit as one cube, as single files and over months, and audits follow each way."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entropy_assets.core.credit.memory import PARTS
from entropy_assets.errors import ChainBroken, ImageMissing, InputRefused
from entropy_assets.provenance.outsider import make_again
from entropy_assets.provenance.rewalk import rewalk
from entropy_assets.provenance.trail import Trail
from entropy_assets.stages.assessments import NoiseRow, noise_rows
from entropy_assets.stages.extraction import remember_again
from entropy_assets.stages.validation import validate_blocks
from entropy_assets.stores.batches import Batch
from entropy_assets_tests.provenance.forging import Told, by_hash
from entropy_assets_tests.scenarios.scenario import fits_file
from entropy_assets_tests.scenarios.stacks import cube_file
from entropy_assets_tests.stages.batches_made import Place

RNG = np.random.default_rng(20)
LEVELS = 1000 + RNG.normal(0, 6, (128, 128))
PLANES = np.rint(LEVELS + RNG.normal(0, 9, (8, 128, 128))).astype(np.int64)
"""Exposures of one sensor: 4/13 of the variance are its pattern."""
CUBE, LATER = cube_file(PLANES[:4]), cube_file(PLANES[4:])
SINGLES = [fits_file(plane) for plane in PLANES[:4]]
MONTH_NS = 30 * 86_400 * 10**9


def spent(place: Place, *files: bytes, month: int = 0) -> Batch:
    """Take a batch as far as its blocks."""
    contents = [(f"{month}-{number}.fits", data) for number, data in enumerate(files)]
    return place.hashed(contents, time_ns=10**18 + month * MONTH_NS)


def credit(place: Place, *files: bytes, month: int = 0) -> int:
    return sum(row.credit_bits for row in noise_rows(spent(place, *files, month=month)))


def only_row(batch: Batch) -> NoiseRow:
    (row,) = noise_rows(batch)
    return row


def told_of(place: Place, batch: Batch) -> Told:
    """Give what the service tells of the first block, as it comes over the line."""
    validate_blocks(batch)
    told: Told = json.loads(json.dumps(Trail.of(place).find(place.in_ledger(batch)[0])))
    assert "problem" not in told, told
    return told


def test_planes_get_the_same_credit_as_a_cube_as_single_files_and_one_by_one(tmp_path: Path) -> None:
    """The first single frame of a sensor is mostly taken for pattern; of a cube it can be told."""
    as_cube = credit(Place(tmp_path / "cube"), CUBE)
    together = credit(Place(tmp_path / "together"), *SINGLES)
    place = Place(tmp_path / "one by one")
    over_months = [credit(place, data, month=month) for month, data in enumerate(SINGLES)]
    assert 0.95 * together < sum(over_months) < 1.05 * together
    assert 0.85 * together < as_cube < 1.15 * together
    fresh = PLANES[0].size * 4 * np.log2(9 * np.sqrt(2 * np.pi))
    assert max(as_cube, together) < 0.5 * fresh, "half of the pixels are not credited"


def test_a_plane_is_known_again_and_a_later_cube_is_derated_as_single_frames_are(tmp_path: Path) -> None:
    """Alone, in another cube, and the other way round."""
    place = Place(tmp_path)
    first = credit(place, CUBE)
    alone = only_row(spent(place, SINGLES[3], month=1))
    assert (alone.accepted, alone.credit_bits) == (False, 0)
    (of_cube,) = by_hash(CUBE)
    assert alone.assessment["memory"]["of"] == f"{of_cube}/3"
    assert credit(place, cube_file(PLANES[[2, 1, 0]]), month=2) == 0
    later = only_row(spent(place, LATER, month=3))
    assert 0.85 * first < later.credit_bits < 1.15 * first
    shown = later.assessment["memory"]["parts"]
    assert [part["part"] for part in shown] == [0, 1, 2, 3]
    assert all(0.28 < part["known_parts"] / PARTS < 0.36 for part in shown)


def test_a_cube_of_spent_frames_earns_what_is_new_in_it_and_can_be_audited(tmp_path: Path) -> None:
    """Parts that earlier frames show are left out; both audits come to the same choice."""
    place = Place(tmp_path)
    files = [SINGLES[1], CUBE]
    for month, data in enumerate(files):
        batch = spent(place, data, month=month)
    row = only_row(batch)
    assert len(row.assessment["memory"]["parts"]) == 4
    assert row.samples == 3 * PLANES[0].size // 2
    assert row.credit_bits > 3 * 3 * PLANES[0].size // 2 * 3 // 4
    told = told_of(place, batch)
    assert rewalk(Trail.of(place), told["block_id"]).data == make_again(told, by_hash(*files)).data
    with pytest.raises(ImageMissing):
        make_again(told, by_hash(*files[:1]))
    unseen = [each for each in make_again(told, by_hash(CUBE)).not_checked if "known_parts" in each.fields]
    assert len(unseen) == 1


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Told:
    place = Place(tmp_path_factory.mktemp("cube"))
    return told_of(place, spent(place, CUBE))


def forget(parts: list[dict[str, Any]]) -> None:
    parts[1].update(known_parts=0, cells=[], of=None)


@pytest.mark.parametrize(
    "change",
    [
        forget,
        lambda parts: parts.pop(),
        lambda parts: parts[2].update(part=3),
        lambda parts: parts[2].update(part=2.0),
        lambda parts: parts[3].update(frames=0),
        lambda parts: parts[3].update(of=f"{parts[3]['of'][:64]}/17"),
        lambda parts: parts[3].update(of=f"{parts[3]['of'][:64]}/01"),
        lambda parts: parts[3].update(of=parts[3]["of"][:64]),
    ],
)
def test_no_other_story_of_a_cube_is_believed(story: Told, change: Any) -> None:
    """What earlier parts of the same file show is measured again, part by part."""
    told = copy.deepcopy(story)
    change(told["images"][0]["memory"]["parts"])
    with pytest.raises((ChainBroken, InputRefused)) as caught:
        make_again(told, by_hash(CUBE))
    assert isinstance(caught.value, InputRefused) or caught.value.data["field"] == "memory"


def test_parts_are_remembered_again_after_a_loss(tmp_path: Path) -> None:
    """All of them, whatever was used."""
    place = Place(tmp_path)
    batch = spent(place, CUBE)
    place.ledger_file.unlink()
    remember_again(batch, only_row(batch).image_sha256, place.images(), place.ledger())
    assert credit(place, SINGLES[2], month=1) == 0


def test_of_a_frame_computed_from_three_spent_ones_both_audits_say_what_they_show(tmp_path: Path) -> None:
    """An outsider measures it again if all files are there; a ledger always. It is less than half, so some is left."""
    place, rng = Place(tmp_path), np.random.default_rng(3)
    frames = [np.rint(rng.normal(0, 9, (288, 288))).astype(np.int64) for _ in range(3)]
    summed = np.rint(sum(frames) + rng.normal(0, 18, (288, 288))).astype(np.int64)
    parents, made = [fits_file(1000 + each) for each in frames], fits_file(1000 + summed)
    spent(place, *parents)
    batch = spent(place, made, month=1)
    told = told_of(place, batch)
    memory = told["images"][0]["memory"]
    assert {memory["of"], *memory["together"]} == set(by_hash(*parents))
    assert 0.4 < memory["known_parts"] / PARTS < 0.5
    assert "and 2 others together" in str(only_row(batch))
    images = by_hash(*parents, made)
    assert not [each for each in make_again(told, images).not_checked if "known_parts" in each.fields]
    for parent, name in zip(parents, by_hash(*parents), strict=True):
        here = {key: data for key, data in images.items() if data != parent}
        (unseen,) = (each for each in make_again(told, here).not_checked if "known_parts" in each.fields)
        assert name in unseen.sentence
    assert rewalk(Trail.of(place), told["block_id"]).data == make_again(told, images).data
    less = copy.deepcopy(told)
    less["images"][0]["memory"].update(known_parts=3000, cells=[3000] * 16)
    with pytest.raises(ChainBroken) as caught:
        make_again(less, images)
    assert caught.value.field == "memory"
