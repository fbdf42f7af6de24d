"""The manifest: what the chain starts from, and what it does not cover."""

from hashlib import sha256
from pathlib import Path

import pytest

from entropy_assets.stages import conditioning, extraction, ingest
from entropy_assets.stages.assessments import NoiseRow
from entropy_assets.stages.manifest import ImageRow, Manifest, binding_of, hashed_row, manifest_hash
from entropy_assets.stores.batches import INTAKE, MANIFEST
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets.stores.intakes import IntakeFile
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


def test_an_origin_is_told_in_its_row_and_reaches_neither_hash_nor_blocks(tmp_path: Path) -> None:
    """Only the intake has it, and what binds that: an image that no feed brought gives the same blocks."""
    data = frame(1)
    origin = Origin(feed="sdo", url="https://example.org/a", fetched_at="2026-11-29T08:33:00Z", credit="NASA/SDO")
    batches = []
    for name, note in (("plain", None), ("fetched", origin)):
        place = Place(tmp_path / name)
        if note:
            place.origins().keep(sha256(data).hexdigest(), note)
        batches.append(place.hashed([("a.fits", data), ("z.jpg", b"junk")], os_bytes=b""))
    plain, fetched = batches
    assert [row.origin for row in Manifest.of(fetched).rows] == [origin, None]
    assert "origin" not in plain.path(MANIFEST).read_text() + plain.path(INTAKE).read_text()
    assert Manifest.of(plain).sha256 == Manifest.of(fetched).sha256
    assert conditioning.read_blocks(plain).chain_head == conditioning.read_blocks(fetched).chain_head
    assert binding_of(plain) != binding_of(fetched)


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
