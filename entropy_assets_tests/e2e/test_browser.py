"""What a person sees: the lineage, a check with its plot, the documents of the HTTP service.

With ``--keep-screenshots`` the pictures go to docs/, where the README shows them.
"""

from pathlib import Path

import pytest

from entropy_assets.core.extraction.squares import Verdict
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.defs import plots
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD
from entropy_assets.stores.batches import Batch
from entropy_assets_tests.e2e.browser import Browser
from entropy_assets_tests.e2e.running import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

GROUPS = ("ingest", "extraction", "conditioning", "validation", "publication")
ASSETS = ("raw_images", "noise_arrays", "hashed_blocks", "validated_blocks", "published_blocks", "entropy_pool")
MAPPED = {
    "a night sky": "startracker_imx265_alt40_azi45.tif",
    "Jupiter": "cassini_iss_jupiter_raw12.fits.fz",
    "CCD with overscan": "saao_1m_ccd_raw16_b.fits",
    "a composite": "earth_bluemarble_2048.jpg",
}
"""Titles of the bundled images that docs/reasons.md shows."""
SMALL_MAP = 80_000
SMALL = 300_000
"""Bytes of the largest screenshot that the repository keeps."""


def expand_groups(browser: Browser) -> None:
    """Press Alt+E, the short-cut of the lineage page for 'expand all groups'."""
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, modifiers=1, code="KeyE", key="e", windowsVirtualKeyCode=69)


def test_the_lineage_shows_every_group_and_asset_with_its_state(
    installation: Installation, batch: Batch, browser: Browser, screenshots: Path
) -> None:
    browser.resize(2200, 940)
    browser.open(f"{installation.dagster}/asset-groups")
    browser.wait_for("Global asset lineage", *GROUPS)
    browser.click("Hide navigation")
    browser.evaluate("[...document.querySelectorAll('[aria-label=panel_show_right]')].pop().closest('button').click()")
    expand_groups(browser)
    text = browser.wait_for(*GROUPS, *ASSETS, "Asset checks", "100% filled")
    assert "5 / 5 Passed" in text, "the four tests of the blocks, and their rejection rate"
    browser.still()
    assert browser.screenshot(screenshots / "lineage.png").stat().st_size < SMALL


def test_a_check_of_a_batch_shows_its_result_and_the_batch_its_plot(
    installation: Installation, batch: Batch, browser: Browser, screenshots: Path
) -> None:
    browser.resize(1760, 860)
    browser.open(f"{installation.dagster}/assets/hashed_blocks?view=checks&checkDetail=chi_square")
    text = browser.wait_for("shannon_entropy", "chi_square", "runs", "autocorrelation", "Latest execution", "Metadata")
    assert "This is a blocking asset check." in text
    assert "smallest_p" in text
    browser.click("Execution history")
    browser.wait_for(batch.key, "Passed")
    browser.open(f"{installation.dagster}/assets/validated_blocks?view=partitions&partition={batch.key}")
    browser.click("Hide navigation")
    plot = "document.querySelector('img[alt^=\"P-values\"]')"
    browser.wait_until(f"!!{plot} && {plot}.complete && {plot}.naturalWidth > 100")
    browser.still()
    assert browser.screenshot(screenshots / "check.png").stat().st_size < SMALL


def test_the_live_map_shows_bundled_frames_beside_what_masks_them(
    samples: Path, tmp_path: Path, browser: Browser, screenshots: Path
) -> None:
    """As Dagster shows them, but half as large again: docs/reasons.md has the picture."""
    frames = {title: decode((samples / name).read_bytes()) for title, name in MAPPED.items()}
    maps = [(title, survey_frame(frame, STANDARD).verdict) for title, frame in frames.items()]
    drawings = (
        plots.thumbnails([(title, frame.pixels[0]) for title, frame in frames.items()]),
        plots.live_areas(maps, [verdict.name.lower().replace("_", " ") for verdict in Verdict]),
    )
    addresses = [str(drawing.value).partition("](<")[2].removesuffix(">)") for drawing in drawings]
    page = tmp_path / "page.html"
    page.write_text("".join(f'<img width="660" style="display:block" src="{address}">' for address in addresses))
    browser.resize(676, 400)
    browser.open(page.as_uri())
    browser.wait_until(
        "[...document.images].filter(image => image.complete && image.naturalWidth === 440).length === 2"
    )
    assert browser.whole_page(screenshots / "live-map.png").stat().st_size < SMALL_MAP


def test_the_documents_of_the_service_load_without_any_other_host(
    installation: Installation, browser: Browser, screenshots: Path
) -> None:
    browser.open(f"{installation.http}/docs")
    text = browser.wait_for("/random/{n}", "/blocks/{block_id}", "/stats", "/health")
    assert "never use them for keys" in text
    hosts = "[...new Set(performance.getEntriesByType('resource').map(e => new URL(e.name).origin))]"
    assert browser.evaluate(hosts) == [installation.http]
    browser.still()
    assert browser.screenshot(screenshots / "http-docs.png").stat().st_size < SMALL
