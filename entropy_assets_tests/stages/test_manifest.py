"""The manifest: what the chain starts from, and what it does not cover."""

from pathlib import Path

import pytest

from entropy_assets.stages import conditioning, extraction, ingest
from entropy_assets.stages.assessments import NoiseRow
from entropy_assets.stages.manifest import ImageRow, Manifest, hashed_row, manifest_hash
from entropy_assets.stores.batches import MANIFEST, IntakeFile
from entropy_assets_tests.stages.batches_made import LIMITS, Place, alter_json, frame


def test_names_and_words_of_errors_do_not_reach_the_blocks(tmp_path: Path) -> None:
    """The chain covers images and pixels: another file name, or another wording of an error, changes no block."""
    heads = []
    for good, bad in (("a.fits", b"junk"), ("renamed.fits", b"junk")):
        place = Place(tmp_path / good)
        batch = place.open([(good, frame(1)), ("z.jpg", bad)], os_bytes=b"")
        ingest.read_images(batch, place.images(), LIMITS)
        alter_json(batch, MANIFEST, lambda value: value["rows"][1].update(detail="other words"))
        extraction.extract_noise(batch, place.images(), place.ledger(), LIMITS)
        conditioning.hash_blocks(batch)
        heads.append(conditioning.read_blocks(batch).chain_head)
    assert heads[0] == heads[1]


@pytest.mark.parametrize("kind", [IntakeFile, ImageRow, NoiseRow])
def test_no_row_of_a_batch_holds_text_that_is_not_safe(kind: type) -> None:
    """Whatever a file is called or says of itself, and whichever version wrote the row."""
    odd = "\udcff\n\x1b[2J"
    given = {"image_sha256": "", "file_bytes": 1, "accepted": False, "detail": odd, "captured_at": odd}
    known = {name: value for name, value in given.items() if name in kind.__dataclass_fields__}
    row = kind(file=odd, **known)
    texts = [value for name in kind.__dataclass_fields__ if isinstance(value := getattr(row, name), str)]
    assert row.file == r"\xff\n\x1b[2J"
    assert all(text.isprintable() for text in texts)


def test_its_hash_covers_four_columns_of_each_row_in_order(tmp_path: Path) -> None:
    """Who is told these columns can make the hash again, and every change of them gives another one."""
    place = Place(tmp_path)
    batch = place.hashed([("a.fits", frame(1)), ("z.jpg", b"junk")])
    manifest = Manifest.of(batch)
    rows = [hashed_row(row) for row in manifest.rows]
    assert manifest_hash(rows) == manifest.sha256
    changes = [{"image_sha256": "ab" * 32}, {"accepted": False}, {"pixel_sha256": None}, {"source": "drop"}]
    others = [manifest_hash([{**rows[0], **change}, rows[1]]) for change in changes]  # type: ignore[typeddict-item]
    assert len({manifest.sha256, manifest_hash(rows[::-1]), *others}) == 2 + len(changes)
