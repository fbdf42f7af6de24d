"""What images were worth is what their batches say."""

import hashlib
from pathlib import Path

from entropy_assets.stages.assessments import noise_rows
from entropy_assets.stages.reports.worth import Worth, worth_of
from entropy_assets_tests.stages.batches_made import Place, frame


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_images_are_worth_what_they_were_assessed_at(tmp_path: Path) -> None:
    """A refused one counts with its reason, whether it could be read or not; of an unknown one nothing is told."""
    place = Place(tmp_path)
    live, dead, text = frame(1, side=512), frame(1, side=16), b"no image"
    place.hashed([("a.fits", live), ("b.fits", dead), ("c.fits", text)])
    images = [sha256(live), sha256(dead), sha256(text), "ab" * 32]
    worth = worth_of(place.batches(), images)
    assert (worth.assessed, worth.credited, sum(worth.reasons.values())) == (3, 1, 2)
    assert worth.credit_bits == sum(row.credit_bits for row in noise_rows(next(iter(place.batches()))))
    assert worth_of(place.batches(), []) == Worth(0, 0, 0, {})
