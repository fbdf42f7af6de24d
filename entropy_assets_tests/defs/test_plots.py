"""The pictures of a batch, as a browser reads them; docs/ shows two of them (`e2e.test_browser`)."""

import re
from pathlib import Path

import numpy as np
import pytest

from entropy_assets.core.extraction.squares import Verdict
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.defs import plots
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD
from entropy_assets_tests.defs.drawings import SVG, drawn, pixels_of, root_of

SHOWN = {
    "a night sky": "startracker_imx265_alt40_azi45.tif",
    "Jupiter": "cassini_iss_jupiter_raw12.fits.fz",
    "CCD with overscan": "saao_1m_ccd_raw16_b.fits",
    "a composite": "earth_bluemarble_2048.jpg",
}
"""Titles of the bundled images that docs/reasons.md shows: frames that are live for the most part, and a dead one."""
NAMES = [verdict.name.lower().replace("_", " ") for verdict in Verdict]
LARGEST = 5000
"""Characters of the largest picture of a batch, whatever it holds."""


def test_the_live_map_tells_bundled_frames_from_what_masks_them(samples: Path) -> None:
    frames = {title: decode((samples / name).read_bytes()) for title, name in SHOWN.items()}
    surveys = {title: survey_frame(frame, STANDARD) for title, frame in frames.items()}
    assert surveys["a night sky"].live_fraction > 0.8
    assert 0.1 < surveys["Jupiter"].live_fraction < 0.95
    assert surveys["a composite"].live_fraction < STANDARD.min_live_share
    shown = plots.live_areas([(title, survey.verdict) for title, survey in surveys.items()], NAMES)
    *titles, legend = drawn(shown)
    assert titles == list(SHOWN)
    assert {"live", "constant", "saturated"} <= set(legend.replace("\u25a0", "").split())
    pixels = np.asarray(pixels_of(shown))
    live, white = ((pixels == tuple(bytes.fromhex(colour))).all(axis=2) for colour in (plots.ACCENT[1:], "ffffff"))
    cells = (np.split(each, 4, axis=1) for each in (live, white))
    for survey, here, beside in zip(surveys.values(), *cells, strict=True):
        assert abs(here.sum() / (~beside).sum() - (survey.verdict == Verdict.LIVE).mean()) < 0.03


def test_a_map_has_a_colour_of_its_own_for_each_verdict() -> None:
    area = np.arange(len(NAMES), dtype=np.uint8).reshape(3, 4)
    shown = plots.live_areas([("all", area)], NAMES)
    colours = {tuple(colour) for colour in np.asarray(pixels_of(shown)).reshape(-1, 3)}
    assert len(colours - {(255, 255, 255)}) == len(NAMES)
    assert drawn(shown)[-1].split("\u25a0")[1:] == [f" {name} " for name in NAMES]


@pytest.mark.slow
def test_pictures_of_a_thousand_images_and_blocks_are_as_small_as_those_of_twenty() -> None:
    """Of noise, which is what compresses worst."""
    noise = np.random.default_rng(7)
    images = [(f"{'n' * 200}{n}", noise.integers(0, 65535, (96, 96))) for n in range(1000)]
    maps = [(name, noise.integers(0, len(NAMES), (200, 300)).astype(np.uint8)) for name, _ in images]
    tests = {name: noise.random(20_000) for name in ("shannon_entropy", "chi_square", "runs", "autocorrelation")}
    credits = {name: 300_000 + n for n, (name, _) in enumerate(images)}
    assert len(str(plots.thumbnails(images).value)) < LARGEST
    assert len(str(plots.live_areas(maps, NAMES).value)) < 2 * LARGEST
    assert len(str(plots.credit_by_image(credits).value)) < LARGEST
    assert len(str(plots.p_values(tests, 1e-6).value)) < 1000, "shown without a click"


def test_nothing_is_drawn_of_nothing() -> None:
    assert [str(plots.thumbnails([]).value), str(plots.live_areas([], NAMES).value)] == ["no image", "no image"]
    assert drawn(plots.credit_by_image({})) == []
    assert drawn(plots.p_values({"runs": np.zeros(0)}, 1e-6)) == ["P-values, over those expected", "runs"]


def walked(steps: str) -> list[tuple[int, int]]:
    """Give the points that a path comes to."""
    points: list[tuple[int, int]] = []
    for kind, x, y in re.findall(r"([Ml])(-?\d+)\s?(-?\d+)", steps):
        from_x, from_y = (0, 0) if kind == "M" else points[-1]
        points.append((from_x + int(x), from_y + int(y)))
    return points


@pytest.mark.parametrize("count", [1, 8, 9, 117])
def test_p_values_are_dots_or_a_curve_through_the_smallest_and_the_largest(count: int) -> None:
    values = np.linspace(0.05, 0.9, count)
    root = root_of(plots.p_values({"runs": values[::-1], "chi_square": values}, 1e-6))
    assert root is not None
    steps = {path.attrib["stroke"]: path.attrib["d"] for path in root.iter(f"{SVG}path")}
    points = walked(steps[plots.ACCENT])
    whole = [(2 + round(90 * (n + 0.5) / count), 104 - round(90 * value)) for n, value in enumerate(values)]
    here = points[: len(points) // 2]
    assert (here[0], here[-1]) == (whole[0], whole[-1])
    assert set(here) <= set(whole)
    assert points[len(here) :] == [(x + 110, y) for x, y in here]
    assert (steps[plots.ACCENT].count("M") == 2) == (count in (1, 9, 117))
    assert plots.BAD not in steps


def test_a_p_value_under_the_limit_is_a_cross() -> None:
    root = root_of(plots.p_values({"runs": np.array([0.5, 1e-7, 0.9])}, 1e-6))
    assert root is not None
    steps = {path.attrib["stroke"]: path.attrib["d"] for path in root.iter(f"{SVG}path")}
    assert walked(steps[plots.BAD])[0] == (2 + 15 - 3, 104 - 3)
    assert walked(steps[plots.ACCENT]) == [(2 + 45, 104 - 45), (2 + 75, 104 - 81)]


def test_an_unreadable_image_is_a_grey_field() -> None:
    pixels = np.asarray(pixels_of(plots.thumbnails([("broken", None)])))
    assert abs(int(np.median(pixels[20:60])) - 204) < 4
