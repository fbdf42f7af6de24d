"""The picture of the live map, as Dagster shows it; with ``--keep-screenshots`` one goes to docs/."""

import base64
import io
from pathlib import Path

import dagster as dg
import numpy as np
from PIL import Image

from entropy_assets.core.extraction.squares import Verdict
from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.defs import plots
from entropy_assets.images.decode import decode
from entropy_assets.recipe import STANDARD

SHOWN = {
    "a night sky": "startracker_imx265_alt40_azi45.tif",
    "Jupiter": "cassini_iss_jupiter_raw12.fits.fz",
    "CCD with overscan": "saao_1m_ccd_raw16_b.fits",
    "a composite": "earth_bluemarble_2048.jpg",
}
"""Titles of the bundled images that docs/reasons.md shows: frames that are live for the most part, and a dead one."""
SMALL = 50_000
"""Bytes of the largest picture that an event keeps, and of the one in docs/."""


def picture(markdown: dg.MarkdownMetadataValue) -> Image.Image:
    """Give the picture inside what Dagster shows."""
    data = base64.b64decode(str(markdown.value).partition("base64,")[2].removesuffix(")"))
    assert len(data) < SMALL
    return Image.open(io.BytesIO(data)).convert("RGB")


def test_the_live_map_shows_bundled_frames_beside_what_masks_them(samples: Path, screenshots: Path) -> None:
    frames = {title: decode((samples / name).read_bytes()) for title, name in SHOWN.items()}
    surveys = {title: survey_frame(frame, STANDARD) for title, frame in frames.items()}
    assert surveys["a night sky"].live_fraction > 0.8
    assert 0.1 < surveys["Jupiter"].live_fraction < 0.95
    assert surveys["a composite"].live_fraction < STANDARD.min_live_share
    names = [verdict.name.lower().replace("_", " ") for verdict in Verdict]
    parts = [
        picture(plots.thumbnails([(title, frame.pixels[0, ::8, ::8]) for title, frame in frames.items()])),
        picture(plots.live_areas([(title, survey.verdict) for title, survey in surveys.items()], names)),
    ]
    kept = Image.fromarray(np.concatenate([np.asarray(part) for part in parts])).quantize(64)
    path = screenshots / "live-map.png"
    kept.save(path, optimize=True)
    assert path.stat().st_size < SMALL
