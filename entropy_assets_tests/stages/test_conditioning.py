"""Conditioning: the same noise gives the same bytes, and no other noise is hashed."""

import numpy as np
import pytest

from entropy_assets.errors import BatchError
from entropy_assets.stages import assessments, conditioning
from entropy_assets.stages.manifest import Manifest
from entropy_assets_tests.stages.batches_made import Place, files_of, frame


def test_every_stage_run_again_writes_the_same_bytes(place: Place) -> None:
    """A retry, a re-execution or a backfill of any stage reproduces the batch, so it can't be published as another."""
    contents = [("a.fits", frame(1)), ("b.fits", frame(2))]
    before = files_of(place.validated(contents))
    assert files_of(place.validated(contents)) == before


@pytest.mark.parametrize(
    "stage", [Manifest.of, assessments.noise_rows, conditioning.read_blocks, conditioning.hash_blocks]
)
def test_a_missing_stage_is_named_with_what_makes_it(place: Place, stage: object) -> None:
    batch = place.open([("a.fits", frame(1))])
    with pytest.raises(BatchError, match=r"materialise \w+ first"):
        stage(batch)  # type: ignore[operator]


@pytest.mark.parametrize("shape", [(1,), (-1,), (1, -1), (1, 1, -1)], ids=["one bit", "flat", "one row", "three axes"])
def test_altered_noise_is_not_hashed(place: Place, shape: tuple[int, ...]) -> None:
    """Neither other samples nor the same ones in another shape pass for what was assessed."""
    batch = place.hashed([("a.fits", frame(1))])
    path = next((batch.root / "noise").glob("*[0-9a-f].npy"))
    samples = np.load(path)
    if shape == (1,):
        samples[0, 0] ^= 1
    else:
        samples = samples.reshape(shape)
    np.save(path, samples)
    with pytest.raises(BatchError, match="not the noise that was assessed"):
        conditioning.hash_blocks(batch)
