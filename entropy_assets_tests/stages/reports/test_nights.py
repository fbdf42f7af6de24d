"""A night looks once, at what no night saw; a broken stream alarms, and a run that is repeated does not hide it."""

import numpy as np
import pytest

from entropy_assets.stages.reports.nights import ALPHA_YEAR, LEVEL, LOOKS_A_YEAR, StreamReport, report_on_stream
from entropy_assets.stages.reports.stream import SEQUENCE_BYTES
from entropy_assets_tests.stages.batches_made import Place
from entropy_assets_tests.stages.reports.streams import BLOCK, honest, published

BLOCKS_FOR_THREE = 92
"""Blocks that hold three sequences, and not four."""


def rows_of(report: StreamReport) -> set[str]:
    return {alarm.row.split()[0] for alarm in report.of_night.alarms}


def test_what_all_looks_of_a_year_may_spend_is_what_is_said() -> None:
    assert pytest.approx(ALPHA_YEAR) == 2 * LEVEL * LOOKS_A_YEAR


def test_an_honest_stream_passes_and_each_sequence_is_seen_once(place: Place) -> None:
    published(place, honest(BLOCKS_FOR_THREE, 1))
    first = report_on_stream(place, "2026-11-01")
    published(place, honest(BLOCKS_FOR_THREE, 2))
    second = report_on_stream(place, "2026-11-02")
    assert [night.sequences for night in second.nights] == [3, 3]
    assert not first.of_night.alarms
    assert not second.of_night.alarms
    assert not second.of_long_run.alarms
    assert second.life["frequency"].number == 6
    assert len(second.life) == 188


def repeated(rng: np.random.Generator) -> bytes:
    """Give a block over and over, but for its last bytes: the ledger takes none twice."""
    block = rng.bytes(BLOCK - 8)
    return b"".join(block + rng.bytes(8) for _ in range(BLOCKS_FOR_THREE))


def biased(rng: np.random.Generator) -> bytes:
    """Give bytes whose highest bit is 1 in 54 of 100."""
    data = np.frombuffer(rng.bytes(BLOCK * BLOCKS_FOR_THREE), dtype=np.uint8)
    return np.where(rng.random(len(data)) < 0.08, data | 0x80, data).astype(np.uint8).tobytes()


def stuck(rng: np.random.Generator) -> bytes:
    """Give good blocks with one among them in which a byte is stuck."""
    data = bytearray(rng.bytes(BLOCK * BLOCKS_FOR_THREE))
    data[5 * BLOCK : 6 * BLOCK] = bytes(BLOCK)
    return bytes(data)


@pytest.mark.parametrize("broken, seen_by", [(repeated, "serial"), (biased, "frequency"), (stuck, "block_frequency")])
def test_a_broken_stream_alarms(place: Place, broken, seen_by: str) -> None:
    published(place, broken(np.random.default_rng(1)))
    assert seen_by in rows_of(report_on_stream(place, "2026-11-01"))


def test_a_night_that_is_looked_at_again_shows_the_same_look(place: Place) -> None:
    """A run that is repeated, or a new batch of that day, hides no alarm and spends no more than a night may."""
    published(place, repeated(np.random.default_rng(1)))
    first = report_on_stream(place, "2026-11-01")
    published(place, honest(BLOCKS_FOR_THREE))
    again = report_on_stream(place, "2026-11-01")
    assert (first.is_new, again.is_new) == (True, False)
    assert again.nights == first.nights
    assert again.of_night.alarms == first.of_night.alarms
    assert again.waiting == 3


def test_what_is_too_much_for_a_night_is_passed_over_and_counted(place: Place) -> None:
    published(place, honest(BLOCKS_FOR_THREE, 1))
    (night,) = report_on_stream(place, "2026-11-01", most_sequences=1).nights
    assert (night.sequences, night.skipped) == (1, 2)
    assert report_on_stream(place, "2026-11-02").waiting == 0


def test_less_than_a_sequence_is_no_night(place: Place) -> None:
    published(place, honest(SEQUENCE_BYTES // BLOCK))
    report = report_on_stream(place, "2026-11-01")
    assert report.newest is None
    assert report.of_night.smallest_p == 1.0
    assert not place.nights_file.exists()


def test_a_line_that_a_crash_tore_off_is_looked_at_again(place: Place) -> None:
    published(place, honest(BLOCKS_FOR_THREE))
    whole = report_on_stream(place, "2026-11-01")
    text = place.nights_file.read_bytes()
    place.nights_file.write_bytes(text[:-20])
    assert report_on_stream(place, "2026-11-01").nights == whole.nights
    place.nights_file.write_bytes(b'{"night": "2026-10-31", "rows": 5}\n' + text)
    assert report_on_stream(place, "2026-11-01").nights == whole.nights


def test_the_log_of_nights_holds_no_byte_of_a_block(place: Place) -> None:
    data = honest(BLOCKS_FOR_THREE)
    published(place, data)
    report_on_stream(place, "2026-11-01")
    text = place.nights_file.read_text()
    assert not any(data[n : n + 4].hex() in text for n in range(0, len(data), 4))
