"""A card gives what NumPy gives, digest by digest, for every frame at hand: `make gpu`.

Without a card every test here is skipped, and says why. ``GPU_ARRAYS=array-api-strict`` runs them by the array API
standard alone, in memory: that tries the tests, and the frames, not the card.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import array_api_strict
import pytest

from entropy_assets.core.arrays import Arrays, card
from entropy_assets.core.credit.assessment import assess_image
from entropy_assets.core.extraction.agreement import frame_digest, require_agreement
from entropy_assets.core.frame import Frame
from entropy_assets.core.sp800_90b.alphabets import bitstring
from entropy_assets.core.sp800_90b.non_iid import counted
from entropy_assets.errors import ExtraMissing, ImageRejected, StartFailed
from entropy_assets.images.decode import decode
from entropy_assets.recipe import RECIPES, STANDARD
from entropy_assets_tests.conftest import PROJECT, SHARED_DATA
from entropy_assets_tests.core.random_frames import random_frame
from entropy_assets_tests.core.sp800_90b.references import BITS_PER_SYMBOL, symbols_of
from entropy_assets_tests.scenarios.catalogue import CATALOGUE, scenario_named

pytestmark = pytest.mark.gpu
FOLDERS = (PROJECT / "entropy_assets" / "samples", SHARED_DATA / "sample", SHARED_DATA / "bench")
FILES = [path for folder in FOLDERS for path in sorted(folder.rglob("*")) if path.suffix.lower() not in (".csv", ".md")]
RANDOM_FRAMES = int(os.environ.get("GPU_FRAMES", "10000"))
AT_ONCE = 100
"""Random frames of one test: a part that several processes can share."""


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """Give the arrays of the card, or skip."""
    if os.environ.get("GPU_ARRAYS") == "array-api-strict":
        return Arrays("array-api-strict", array_api_strict, array_api_strict.__version__, "cpu")
    try:
        return card()
    except (ExtraMissing, StartFailed) as error:
        pytest.skip(f"needs an NVIDIA card: {error.message}")


def differing(arrays: Arrays, frames: Iterator[tuple[str, Frame]], *recipes: str) -> list[tuple[str, str]]:
    """Return the frames, each with a recipe, whose digests differ, or that the card did not compute."""
    return [
        (name, recipe)
        for name, known in frames
        for recipe in recipes
        if arrays.computed(known, partial(frame_digest, recipe=RECIPES[recipe]))
        != (frame_digest(known, RECIPES[recipe]), str(arrays))
    ]


def test_the_start_up_check_passes(arrays: Arrays) -> None:
    require_agreement(arrays)


@pytest.mark.parametrize("path", [path for path in FILES if path.is_file()], ids=lambda path: path.name)
def test_every_image_has_the_same_digest_by_every_recipe(arrays: Arrays, path: Path) -> None:
    """The bundled ones, and those beside the checkout where it has them."""
    try:
        known = decode(path.read_bytes(), source="drop", reading=STANDARD.reading)
    except ImageRejected as rejection:
        pytest.skip(f"no frame: {rejection.reason}")
    assert differing(arrays, iter([(path.name, known)]), *RECIPES) == []


@pytest.mark.parametrize("path", [path for path in FILES if path.is_file()], ids=lambda path: path.name)
def test_every_image_is_credited_alike(arrays: Arrays, path: Path) -> None:
    """All of its samples are counted, by the estimators that count; the assessment is the same, or the refusal."""
    try:
        known = decode(path.read_bytes(), source="raw-ccd", reading=STANDARD.reading)
    except ImageRejected as rejection:
        pytest.skip(f"no frame: {rejection.reason}")

    def assessed(placed: Frame) -> object:
        try:
            return assess_image(known, bytes(32), STANDARD, placed=placed).assessment
        except ImageRejected as rejection:
            return rejection.message, rejection.data

    found, told = arrays.computed(known, assessed)
    assert (found, told) == (assessed(known), str(arrays))


@pytest.mark.parametrize("name", BITS_PER_SYMBOL)
def test_every_file_that_nists_tool_was_run_on_is_counted_alike(arrays: Arrays, shared_data: Path, name: str) -> None:
    """Up to a million symbols, and eight million bits."""
    symbols, bits = symbols_of(shared_data, name), BITS_PER_SYMBOL[name]
    for sequence, alphabet in ((symbols, 1 << bits), (bitstring(symbols, bits), 2)):
        with arrays.apart():
            found = counted(arrays.namespace.asarray(sequence), alphabet, are_bits=alphabet == 2)
        assert found == counted(sequence, alphabet, are_bits=alphabet == 2)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_frame_of_known_entropy_has_the_same_digest(arrays: Arrays, name: str) -> None:
    def frames() -> Iterator[tuple[str, Frame]]:
        for place, exposure in enumerate(scenario_named(name).exposures):
            try:
                yield f"{name}, {place}", decode(exposure.data, source="raw-ccd", reading=STANDARD.reading)
            except ImageRejected:
                continue

    assert differing(arrays, frames(), STANDARD.name) == []


@pytest.mark.parametrize("first", range(0, RANDOM_FRAMES, AT_ONCE))
def test_random_frames_have_the_same_digest(arrays: Arrays, first: int) -> None:
    """Of all shapes and types; ``GPU_FRAMES`` says how many in all."""
    seeds = range(first, min(first + AT_ONCE, RANDOM_FRAMES))
    assert differing(arrays, ((str(seed), random_frame(seed)) for seed in seeds), STANDARD.name) == []
