"""Batches of frames whose noise is what a test wants it to be, kept as the stages keep it."""

import dataclasses
import hashlib

import numpy as np

from entropy_assets.core.extraction.noise import drawn_regions, noise_digest, row_length
from entropy_assets.recipe import STANDARD
from entropy_assets.stages.assessments import AssessmentRow, NoiseRow
from entropy_assets.stages.manifest import ImageRow
from entropy_assets.stores.batches import MANIFEST, NOISE, Batch, live_map_of, samples_of
from entropy_assets.stores.home import Home
from entropy_assets.stores.intakes import Intake, IntakeFile

SIDE = 128
PAIRS = (SIDE, SIDE // 2)
"""Shape of the pair differences of a frame."""
BITS = 4


def kept(home: Home, *frames: np.ndarray, credited: float = 2.4, source: str = "raw-ccd", claim: float = 4.0) -> Batch:
    """Keep frames as one more batch: of each the pair differences, ``uint8[128, 64]`` of four bits."""
    number = len(list(home.batches()))
    names = [hashlib.sha256(f"{number} {n}".encode()).hexdigest() for n in range(len(frames))]
    intake = Intake(
        key=f"{source}-20261101T00{number // 60:02d}{number % 60:02d}Z-{number:08x}",
        source=source,
        files=tuple(IntakeFile(file=f"{n}.fits", image_sha256=name, file_bytes=1) for n, name in enumerate(names)),
        time_ns=number * 10**9,
        os_bytes="07" * 32,
        recipe=STANDARD.name,
        max_file_bytes=1,
        max_pixels=1,
        lane="public",
    )
    batch = home.batches().create(intake)
    images = [
        ImageRow(file=f"{n}.fits", image_sha256=name, file_bytes=1, accepted=True, width=SIDE, height=SIDE, channels=1)
        for n, name in enumerate(names)
    ]
    rows = [
        _noise(batch, name, n, frame, credited, claim)
        for n, (name, frame) in enumerate(zip(names, frames, strict=True))
    ]
    batch.write_json(MANIFEST, {"rows": [image.told() for image in images]})
    batch.write_json(NOISE, {"rows": [dataclasses.asdict(row) for row in rows]})
    return batch


def _noise(batch: Batch, name: str, number: int, pairs: np.ndarray, credited: float, claim: float) -> NoiseRow:
    assert pairs.shape == PAIRS
    live = np.zeros((SIDE // STANDARD.survey_size,) * 2, dtype=np.uint8)
    regions = drawn_regions(live == 0, STANDARD.survey_size, bytes([number]) * 32, STANDARD)
    size = STANDARD.region_size
    samples = np.zeros((len(regions), row_length(size)), dtype=np.uint8)
    for row, (top, left) in zip(samples, regions, strict=True):
        row[: size * size // 2] = pairs[top : top + size, left // 2 : (left + size) // 2].reshape(-1)
    batch.write_array(samples_of(name), samples)
    batch.write_array(live_map_of(name), live)
    return NoiseRow(
        file=f"{number}.fits",
        image_sha256=name,
        accepted=True,
        nonce=(bytes([number]) * 32).hex(),
        noise_sha256=noise_digest(samples),
        regions=len(regions),
        samples=pairs.size,
        min_entropy=credited,
        credit_bits=int(credited * pairs.size),
        live_fraction=1.0,
        assessment=AssessmentRow(symbol_bits=BITS, caps={"claim": claim}),
    )
