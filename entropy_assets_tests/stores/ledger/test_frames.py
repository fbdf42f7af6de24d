"""What spent frames showed is recollected alike by whoever asks again, and the ledger keeps no more than it needs."""

from dataclasses import replace

import numpy as np

from entropy_assets.core.credit.memory import PARTS
from entropy_assets.core.credit.sketches import Sketch
from entropy_assets.stores.ledger.frames import SpentFrames
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.sketches import SketchShelf
from entropy_assets_tests.stores.ledger.places import Places


def sketch(number: int, pattern: int = 0, sensor: str = "64x64 cam") -> Sketch:
    """Give the sketch of a frame whose noise is, by half, the pattern of that number."""
    folds = [
        np.random.default_rng(seed).normal(0, 17, 16_384 + 8192) for seed in (1000 + number, pattern or 2000 + number)
    ]
    data = np.clip(np.rint(folds[0] + folds[1]), -127, 127).astype(np.int8).tobytes()
    return replace(Sketch.from_bytes(f"{number:064x}", sensor, 4096, data), sigma=9.0, cell_pixels=(256,) * 16)


def test_a_frame_is_compared_with_those_before_it_and_a_repeated_run_with_the_same(
    ledger: Ledger, places: Places
) -> None:
    """Frames that came in between, or after it, change nothing for a frame that is remembered."""
    first = SpentFrames(ledger, 10)
    assert first.recollect(sketch(1, pattern=7)).frames == 0
    assert first.recollect(sketch(2)).known_parts == 0
    second = SpentFrames(ledger, 10)
    found = second.recollect(sketch(3, pattern=7))
    assert (found.frames, found.of) == (2, f"{1:064x}")
    assert 0.45 < found.known_parts / PARTS < 0.6
    for again in (first, SpentFrames(ledger, 10)):
        again.recollect(sketch(4, pattern=7))
        assert again.recollect(sketch(3, pattern=7)) == found
        assert again.recollect(sketch(1, pattern=7)).frames == 0
    assert SpentFrames(Ledger(places.of(), readonly=True), 10).recollect_again(sketch(3, pattern=7)) == found


def test_two_batches_at_the_same_time_see_each_others_frames_once(ledger: Ledger) -> None:
    """Whichever frame is remembered first keeps its credit, and the other one has seen it."""
    one, other = SpentFrames(ledger, 10), SpentFrames(ledger, 10)
    shown = [one.recollect(sketch(1, pattern=7)).of, other.recollect(sketch(2, pattern=7)).of]
    shown.append(one.recollect(sketch(3, pattern=7)).of)
    assert shown == [None, f"{1:064x}", shown[2]]
    assert shown[2] is not None


def test_of_the_oldest_frames_a_quarter_more_is_kept_than_is_looked_at(ledger: Ledger) -> None:
    frames = SpentFrames(ledger, 8)
    for number in range(1, 31):
        frames.recollect(sketch(number))
    assert [int(image, 16) for image, *_ in SketchShelf(ledger).indexes(0, 1000)] == list(range(21, 31))
    assert len(SketchShelf(ledger).sketches([f"{number:064x}" for number in range(1, 31)])) == 10
    again = SpentFrames(ledger, 8)
    assert again.recollect_again(sketch(30)) is not None
    assert again.recollect_again(sketch(28)) is None, "it saw frames that are dropped now"
    assert again.recollect_again(sketch(5)) is None
