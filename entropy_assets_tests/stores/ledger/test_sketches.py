"""Sketches come back as they were kept, in the order in which they came first, and the newest of a sensor."""

from dataclasses import replace

import pytest

from entropy_assets.core.credit.sketches import Sketch
from entropy_assets.core.credit.squarewise.probes import Probes
from entropy_assets.errors import LedgerError
from entropy_assets.stores.ledger.frames import SpentFrames
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.sketches import SketchShelf
from entropy_assets_tests.stores.ledger.test_frames import sketch


def test_a_sketch_is_kept_once_and_comes_back(ledger: Ledger) -> None:
    shelf = SketchShelf(ledger)
    places = [shelf.keep(sketch(number), b"index", 10) for number in (1, 2, 1)]
    assert places == [1, 2, 1]
    (kept,) = shelf.sketches([f"{2:064x}", f"{9:064x}"])
    assert kept.to_bytes() == sketch(2).to_bytes()
    assert [row[0] for row in shelf.indexes(0, 9)] == [f"{1:064x}", f"{2:064x}"]
    assert [shelf.place_of(sketch(number)) for number in (1, 2, 3)] == [1, 2, None]


def test_the_newest_of_a_sensor_are_told_apart_from_others(ledger: Ledger) -> None:
    shelf = SketchShelf(ledger)
    for number in range(6):
        shelf.keep(sketch(number, sensor="64x64 " + "ab"[number % 2]), b"index", 10)
    assert [kept.image_sha256 for kept in shelf.newest_of("64x64 b", 2)] == [f"{5:064x}", f"{3:064x}"]


def test_how_much_of_a_sensor_is_fixed_is_told(ledger: Ledger) -> None:
    frames = SpentFrames(ledger, 10)
    for number in range(1, 5):
        frames.recollect(sketch(number, pattern=7))
    (found,) = frames.sensors([f"{1:064x}"]).values()
    assert found is not None
    assert (found.frames, round(found.share, 1)) == (4, 0.5)


def test_parts_of_a_file_are_frames_of_their_own(ledger: Ledger) -> None:
    """Each has its row beside those of files with one image, as ledgers held them before there were parts."""
    frames, shelf = SpentFrames(ledger, 10), SketchShelf(ledger)
    frames.recollect(sketch(1, pattern=7))
    parts = [replace(sketch(number, pattern=7), image_sha256=f"{2:064x}", part=number - 2) for number in (2, 3)]
    shown = [frames.recollect(part).of for part in parts]
    assert shown[0] == f"{1:064x}"
    assert [row[0] for row in shelf.indexes(0, 9)] == [f"{1:064x}", f"{2:064x}/0", f"{2:064x}/1"]
    (kept,) = shelf.sketches([parts[1].name])
    assert (kept.image_sha256, kept.part, kept.to_bytes()) == (f"{2:064x}", 1, parts[1].to_bytes())
    assert frames.recollect_again(parts[1]) == frames.recollect(parts[1])
    assert [*frames.sensors([f"{2:064x}"])] == ["64x64 cam"]


def test_what_a_sketch_without_probes_was_compared_by_is_not_known_any_more(ledger: Ledger) -> None:
    """Ledgers hold such ones; frames that come later are compared with them all the same."""
    frames, old = SpentFrames(ledger, 10), [sketch(number, pattern=7) for number in (1, 2)]
    for each in old:
        frames.recollect(each)
    probes = Probes.from_bytes(bytes(2 * 1024))
    assert frames.recollect_again(old[1]) == frames.recollect(old[1])
    assert frames.recollect_again(replace(old[1], probes=probes)) is None
    assert frames.recollect(replace(sketch(3, pattern=7), probes=probes)).of in {each.name for each in old}


def test_what_a_mosaic_without_its_period_was_compared_by_is_not_known_any_more(ledger: Ledger) -> None:
    """Ledgers hold such ones as well: with the period a copy that is not called a mosaic is told."""
    frames, old = SpentFrames(ledger, 10), replace(sketch(1), probes=Probes.from_bytes(bytes(2 * 1024)))
    frames.recollect(old)
    assert frames.recollect_again(replace(old, mosaic=2)) is None
    kept = replace(sketch(2), mosaic=6)
    found = frames.recollect(kept)
    assert frames.recollect_again(kept) == found
    (again,) = SketchShelf(ledger).sketches([kept.name])
    assert (again.mosaic, again.to_bytes()) == (6, kept.to_bytes())
    with pytest.raises(LedgerError, match="another sketch"):
        frames.recollect_again(replace(kept, mosaic=2))


def test_another_sketch_of_the_same_image_is_an_error(ledger: Ledger) -> None:
    SpentFrames(ledger, 8).recollect(sketch(1))
    other = Sketch.from_bytes(f"{1:064x}", "64x64 cam", 4096, sketch(2).to_bytes())
    with pytest.raises(LedgerError, match="another sketch"):
        SpentFrames(ledger, 8).recollect_again(other)
