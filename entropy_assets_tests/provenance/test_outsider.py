"""An outsider makes a served block again from what the service tells and the images, and finds every other story."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entropy_assets.core.conditioning.conditioner import Conditioner
from entropy_assets.errors import ChainBroken, EntropyAssetsError, ImageMissing, InputRefused
from entropy_assets.provenance.outsider import images_in, make_again
from entropy_assets.provenance.trail import Trail
from entropy_assets.recipe import recipe_named
from entropy_assets.stages.assessments import noise_inputs
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.stages.batches_made import Place, frame

OTHER = "ab" * 32


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, valkey_url: str) -> tuple[dict[str, Any], bytes, Path]:
    """Publish two images; give what is told of a later block, its bytes as they left the pool, and the images."""
    root = tmp_path_factory.mktemp("story")
    place = Place(root / "installation")
    batch = place.validated([("a.fits", frame(1)), ("b.fits", frame(2))])
    pool = PoolClient.from_url(valkey_url, prefix=f"witness:{root.name}")
    publish_batch(batch, place.ledger(), pool, run_id="the-run", now_us=5)
    blocks = {leased.block.block_id: leased.block.data for leased in pool.lease(100).blocks}
    pool.close()
    trail = Trail.of(place)
    provenance = max((trail.find(block_id) or {} for block_id in blocks), key=lambda each: each["index"])
    folder = root / "images"
    folder.mkdir()
    for seed in (1, 2, 3):
        (folder / f"picture {seed}").write_bytes(frame(seed))
    return json.loads(json.dumps(provenance)), blocks[provenance["block_id"]], folder


def test_the_images_and_what_is_told_give_the_bytes_that_were_served(story: tuple[dict[str, Any], bytes, Path]) -> None:
    provenance, data, folder = story
    assert provenance["index"] > 0
    assert make_again(provenance, images_in(folder)) == data


@pytest.mark.parametrize(
    "field, value",
    [
        ("block_id", "00000000-0000-8000-8000-000000000000"),
        ("block_sha256", OTHER),
        ("link", OTHER),
        ("previous_link", OTHER),
        ("manifest_sha256", OTHER),
        ("timestamp_us", 1),
        ("index", 0),
        ("credit_bits", 1),
        ("recipe", "ea-2026-1-strict"),
        ("sampling", {"time_ns": 1, "os_bytes": "07" * 32, "source": "raw-ccd"}),
        ("sampling", {"time_ns": 1, "os_bytes": "", "source": "raw-ccd"}),
    ],
)
def test_another_story_is_found(field: str, value: object, story: tuple[dict[str, Any], bytes, Path]) -> None:
    provenance, _, folder = story
    with pytest.raises(ChainBroken):
        make_again({**provenance, field: value}, images_in(folder))


@pytest.mark.parametrize("recipe, nonce", [("ea-2026-2", OTHER), ("ea-2026-2", ""), ("ea-2026-1", OTHER)])
def test_a_block_whose_nonce_somebody_chose_is_found(
    story: tuple[dict[str, Any], bytes, Path], recipe: str, nonce: str
) -> None:
    """Everything that is told fits together, but a nonce that was tried until the bytes pleased is not the batch's."""
    provenance, _, folder = story
    batch = Place(folder.parent / "installation").batches().batch(provenance["batch"])
    images = {noise.image_sha256: noise for noise in noise_inputs(batch)}
    inputs = [images[image["image_sha256"]] for image in provenance["images"]]
    conditioner = Conditioner(recipe_named(recipe), provenance["manifest_sha256"], provenance["timestamp_us"], inputs)
    place, plan = (provenance["index"], provenance["previous_link"]), np.array(provenance["slices"])
    record = conditioner.record(*place, plan, nonce, conditioner.condition(*place, plan, nonce))
    forged = {name: getattr(record, name) for name in ("recipe", "block_sha256", "block_id", "link", "nonce")}
    with pytest.raises(ChainBroken) as caught:
        make_again({**provenance, **forged}, images_in(folder))
    assert caught.value.field == "block_sha256"


def test_other_slices_are_found(story: tuple[dict[str, Any], bytes, Path]) -> None:
    """Another order, one slice for another, and a region that is spent twice."""
    provenance, _, folder = story
    first, second, *rest = provenance["slices"]
    for slices in ([second, first, *rest], [first, first, *rest], [[0, 0, 10**9], second, *rest], [[-1, 0, 1], *rest]):
        with pytest.raises(ChainBroken):
            make_again({**provenance, "slices": slices}, images_in(folder))


def test_another_credit_of_an_image_is_found(story: tuple[dict[str, Any], bytes, Path]) -> None:
    """More than its noise is worth, and so little that the slices hold too little."""
    provenance, _, folder = story
    for factor in (2, 0.5):
        images = [{**image, "credit_bits": int(factor * image["credit_bits"])} for image in provenance["images"]]
        with pytest.raises(ChainBroken) as caught:
            make_again({**provenance, "images": images}, images_in(folder))
        assert caught.value.field == "credit_bits"


def test_an_exchanged_image_is_found(story: tuple[dict[str, Any], bytes, Path]) -> None:
    provenance, _, _ = story
    with pytest.raises(ChainBroken) as caught:
        make_again(provenance, lambda _: frame(3))
    assert caught.value.field == "image_sha256"


def test_a_missing_image_is_named(story: tuple[dict[str, Any], bytes, Path], tmp_path: Path) -> None:
    provenance, _, _ = story
    with pytest.raises(ImageMissing) as caught:
        make_again(provenance, images_in(tmp_path))
    assert caught.value.data["image_sha256"] == provenance["images"][0]["image_sha256"]


@pytest.mark.parametrize("gone", ["recipe", "images", "sampling", "slices", "previous_link", "index"])
def test_what_is_no_answer_of_the_service_is_refused(gone: str, story: tuple[dict[str, Any], bytes, Path]) -> None:
    provenance, _, folder = story
    with pytest.raises(InputRefused):
        make_again({name: value for name, value in provenance.items() if name != gone}, images_in(folder))


@pytest.mark.parametrize("field", ["slices", "images", "sampling", "index", "timestamp_us", "previous_link", "recipe"])
@pytest.mark.parametrize("value", [None, "x", 1.5, [], {}, [[1]], -1])
def test_nonsense_is_a_typed_error(field: str, value: object, story: tuple[dict[str, Any], bytes, Path]) -> None:
    provenance, _, folder = story
    with pytest.raises(EntropyAssetsError):
        make_again({**provenance, field: value}, images_in(folder))
