"""FITS files with several exposures: cubes, ramps and mosaics become parts of one frame, and what was taken is told."""

import gzip
import time
from functools import partial

import numpy as np
import pytest

from entropy_assets.core.frame import Frame
from entropy_assets.errors import RejectionReason
from entropy_assets.images import decode as decoder
from entropy_assets.images import fits as reader
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import recipe_named
from entropy_assets_tests.images import image_files
from entropy_assets_tests.images.image_files import NOISE, compressed, fits
from entropy_assets_tests.images.test_several_images import EMPTY, image

decode = partial(decoder.decode, reading=3)
reason = partial(image_files.reason, reading=3)
EARLIER = recipe_named("ea-2026-1").reading
CUBE = np.random.default_rng(8).normal(1000, 9, (6, 70, 64)).astype(np.int64)
ROWS = 64
"""Rows of a plane in whole squares."""
CUBE_OF_SQUARES = np.random.default_rng(9).normal(1000, 9, (6, 128, 128)).astype(np.int64)
TALL = CUBE[:, :ROWS].reshape(-1, 64)


def told(frame: Frame) -> tuple[int, str]:
    return frame.parts, frame.selection


@pytest.mark.parametrize("shape", [(6, 70, 64), (2, 3, 70, 64), (6, 1, 70, 64)], ids=["cube", "ramps", "axis of one"])
def test_planes_lie_below_each_other(shape: tuple[int, ...]) -> None:
    """Cubes, and groups of several integrations in four axes: whole squares of each plane, in their order."""
    frame = decode(fits(CUBE.reshape(shape)))
    assert np.array_equal(frame.pixels[0], TALL)
    assert told(frame) == (6, "all 6 images of the file, below each other")
    assert frame.coded_bytes == 2 * TALL.size
    first = decode(fits(CUBE.reshape(shape)), reading=EARLIER)
    assert np.array_equal(first.pixels[0], CUBE[0])
    assert told(first) == (1, "")


def test_by_the_rules_of_2_it_is_the_first_that_can_be_one_and_the_others_are_told() -> None:
    """Of a cube, of extensions and of flat planes: nothing is left out in silence."""
    flat_first = fits(np.concatenate([np.full((1, 70, 64), 7), CUBE]))
    for data, total in ((fits(CUBE), 6), (EMPTY + image(CUBE[0]) + image(CUBE[1]), 2), (flat_first, 7)):
        frame = decode(data, reading=2)
        assert np.array_equal(frame.pixels[0], CUBE[0])
        assert frame.coded_bytes == 2 * CUBE[0].size
        assert frame.parts == 1
        assert frame.selection.startswith(f"1 of the {total} images of the file, the first that an exposure can be in")


def test_a_frame_is_split_into_its_parts() -> None:
    """Each is a frame of its own plane, with the hash of the file."""
    frame = decode(fits(CUBE))
    parts = frame.split()
    assert [np.array_equal(part.pixels[0], plane[:ROWS]) for part, plane in zip(parts, CUBE, strict=True)] == [True] * 6
    assert {(part.parts, part.shape, part.image_sha256) for part in parts} == {(1, (64, 64), frame.image_sha256)}
    whole = decode(fits(NOISE))
    assert whole.split()[0].pixels.shape == whole.pixels.shape


@pytest.mark.parametrize("codec", ["RICE_1", "GZIP_2"])
def test_a_cube_in_tiles_is_the_same_cube(codec: str) -> None:
    """The same pixels and hash; only the bytes of the planes that were taken count."""
    frame = decode(compressed(CUBE.astype(np.int16), codec))
    assert frame.pixel_sha256 == decode(fits(CUBE)).pixel_sha256
    assert 0 < frame.coded_bytes < 2 * TALL.size
    many = decode(compressed(np.concatenate([CUBE] * 3).astype(np.int16), codec))
    assert told(many)[0] == 16
    assert many.coded_bytes < 16 / 6 * frame.coded_bytes * 1.01


def test_extensions_of_one_shape_are_parts() -> None:
    """Amplifiers or chips of a mosaic; another shape, another type, a plane of errors and a flat one are not."""
    plane, other = CUBE[0], CUBE[1]
    data = (
        EMPTY
        + image(plane)
        + image(CUBE[2], EXTNAME="'ERR     '")
        + image(CUBE[3][:40])
        + image(np.full_like(plane, 7))
        + image(np.concatenate([CUBE[4], CUBE[5]]), BITPIX=32, NAXIS2=70)
        + image(other)
    )
    frame = decode(data)
    assert np.array_equal(frame.pixels[0], np.concatenate([plane[:ROWS], other[:ROWS]]))
    assert frame.parts == 2
    assert frame.selection.startswith("2 of the 5 images of the file, the first that an exposure can be in; the others")
    assert frame.coded_bytes == 2 * frame.pixels.size


def test_planes_of_one_image_are_exposures_of_the_same_pixels_and_extensions_need_not_be() -> None:
    assert decode(fits(CUBE)).is_stack
    assert not decode(EMPTY + image(CUBE[0]) + image(CUBE[1])).is_stack
    assert not decode(fits(CUBE[0])).is_stack


def test_of_colour_mosaics_the_first_is_taken() -> None:
    """By their header or by their pixels: below each other the phases of X-Trans would not meet."""
    levels = np.tile([[300, 0], [0, -200]], (64, 64))
    shown = CUBE_OF_SQUARES + levels
    for data in (fits(shown), fits(CUBE, BAYERPAT="'RGGB'")):
        frame = decode(data)
        assert (frame.parts, frame.mosaic, frame.is_stack) == (1, 2, False)
        assert "1 of the 6 images" in frame.selection


def test_what_follows_the_first_exposure_can_not_spoil_it() -> None:
    """A damaged header or a cut image behind it leaves it as it is: it is told that there was more, or nothing."""
    for behind in (image(CUBE[1])[:4000], image(CUBE[1], BITPIX=12), compressed(CUBE[1] / 7, "RICE_1", 1)[2880:]):
        frame = decode(fits(CUBE[0]) + behind)
        assert np.array_equal(frame.pixels[0], CUBE[0])
        assert frame.parts == 1


def test_flat_planes_of_a_cube_are_passed_over() -> None:
    """A first plane without two values, as a reset frame may be, does not decide."""
    frame = decode(fits(np.concatenate([np.full((1, 70, 64), 7), CUBE[:2]])))
    assert np.array_equal(frame.pixels[0], TALL[: 2 * ROWS])
    assert frame.selection.startswith("2 of the 3 images")


def test_no_more_than_sixteen_planes_are_taken() -> None:
    """And no more pixels than one large frame has: what is left is told."""
    frame = decode(fits(np.concatenate([CUBE] * 67)[:400]))
    assert frame.parts == reader.MOST_PARTS == 16
    assert frame.selection == (
        "16 of the 400 images of the file, the first that an exposure can be in; the others are not used"
    )
    assert decode(fits(np.concatenate([CUBE] * 3)[:16])).selection.startswith("all 16")


def test_the_pixels_of_all_planes_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a number that is no setting, since it decides bytes; what a setting allows beyond that is refused, not cut."""
    limits = DecodeLimits(max_pixels=3 * 70 * 64)
    assert reason(fits(CUBE), limits=limits) is RejectionReason.OVER_PIXEL_BUDGET
    monkeypatch.setattr(reader, "MOST_PIXELS_OF_PARTS", 3 * 70 * 64)
    assert decode(fits(CUBE), limits=limits).parts == 3
    monkeypatch.setattr(reader, "MOST_PIXELS_OF_PARTS", 1)
    assert np.array_equal(decode(fits(CUBE)).pixels[0], CUBE[0])


def test_headers_of_all_parts_are_heard() -> None:
    """A card of a later extension counts for the frame; that of an image that is not used may be heard too."""
    frame = decode(EMPTY + image(CUBE[0]) + image(CUBE[1], NCOMBINE=40))
    assert [said.words for said in frame.statements] == ["NCOMBINE = 40"]
    alone = decode(EMPTY + image(CUBE[0]) + image(CUBE[1][:40], NCOMBINE=40))
    assert not alone.statements


def test_planes_of_a_gzip_file_share_its_bytes() -> None:
    """Junk between two extensions, and behind them, codes nothing of either."""
    junk = np.random.default_rng(1).integers(-30000, 30000, (40, 2000))
    data = EMPTY + image(CUBE[0]) + image(junk, EXTNAME="'ERR     '") + image(CUBE[1])
    packed = gzip.compress(data)
    frame = decode(packed)
    assert frame.parts == 2
    assert frame.coded_bytes < len(packed) - 2 * junk.size * 0.9
    assert decode(gzip.compress(fits(CUBE)) + gzip.compress(b"")).parts == 6
    quiet = np.random.default_rng(2).normal(0, 2, (16, 70, 64)).astype(int)
    loud = np.random.default_rng(3).integers(-30000, 30000, (9, 70, 64))
    both, alone = (decode(gzip.compress(fits(planes))) for planes in (np.concatenate([quiet, loud]), quiet))
    assert both.parts == alone.parts == 16
    assert both.coded_bytes < 1.1 * alone.coded_bytes < 2 * quiet.size


def test_hostile_extensions_cost_no_more_than_one_image() -> None:
    """Bombs of another shape behind a small exposure are not unpacked, and flat ones of its shape are counted."""
    bomb = compressed(np.zeros((2048, 2048), dtype=np.int16), "GZIP_1", tile_shape=(2048, 2048))[2880:]
    began = time.process_time()
    assert decode(fits(NOISE) + bomb * 200).parts == 1
    limits = DecodeLimits(max_pixels=4 << 20, max_samples=4 << 20)
    first = np.zeros((2048, 2048), dtype=np.int16)
    first[0, 0] = 1
    assert decode(compressed(first, "GZIP_1", tile_shape=(2048, 2048)) + bomb * 200, limits=limits).parts == 1
    assert time.process_time() - began < 10


# Overscan


@pytest.mark.parametrize(
    "cards, rows, columns",
    [
        ({"TRIMSEC": "'[9:56,3:38]'"}, (2, 38), (8, 56)),
        ({"DATASEC": "'[ 9: 56, 1: 40]'"}, (0, 40), (8, 56)),
        ({"DATASEC": "'[1:56,1:40]'", "TRIMSEC": "'[9:56,1:40]'"}, (0, 40), (8, 56)),
        ({"BIASSEC": "'[49:56,1:40]'"}, (0, 40), (0, 48)),
        ({"BIASSEC": "'[1:8,1:40]'"}, (0, 40), (8, 56)),
        ({"BIASSEC": "'[1:56,36:40]'"}, (0, 35), (0, 56)),
        ({"DATASEC": "'[48:1,1:40]'"}, (0, 40), (0, 48)),
    ],
)
def test_overscan_is_left_out(cards: dict[str, str], rows: tuple[int, int], columns: tuple[int, int]) -> None:
    """Where the header says what was exposed, or what was not; the bytes that code the rest don't count."""
    frame = decode(fits(NOISE, **cards))
    assert np.array_equal(frame.pixels[0], NOISE[slice(*rows), slice(*columns)])
    assert frame.selection == "without its overscan"
    assert frame.coded_bytes == 2 * frame.pixels.size
    assert decode(fits(NOISE, **cards), reading=EARLIER).shape == NOISE.shape


@pytest.mark.parametrize(
    "value", ["'[1:56,1:40]'", "'[1:57,1:40]'", "'[0:50,1:40]'", "'[1:20,1:40]'", "'whole'", "12", "'[1:5]'", "T"]
)
def test_a_section_that_is_all_or_nonsense_changes_nothing(value: str) -> None:
    """Beyond the image, too small for a square, or no section."""
    for keyword in ("TRIMSEC", "DATASEC"):
        frame = decode(fits(NOISE, **{keyword: value}))
        assert (frame.shape, frame.selection) == (NOISE.shape, "")


def test_amplifiers_lose_their_overscan_each() -> None:
    """Extensions of a mosaic whose overscan lies on different sides go together if what is left has one shape."""
    left = image(CUBE[0], DATASEC="'[1:48,1:70]'", BIASSEC="'[49:64,1:70]'")
    right = image(CUBE[1], DATASEC="'[17:64,1:70]'", BIASSEC="'[1:16,1:70]'")
    frame = decode(EMPTY + left + right)
    assert np.array_equal(frame.pixels[0], np.concatenate([CUBE[0][:ROWS, :48], CUBE[1][:ROWS, 16:]]))
    assert frame.selection == "all 2 images of the file, below each other; without its overscan"
