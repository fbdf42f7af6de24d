"""The checker itself: it sees what it is there to see."""

import json
from pathlib import Path

import numpy as np
import pytest

from entropy_assets_tests.chaos.draws import Draws, Known, merged, overlaps
from entropy_assets_tests.pool_blocks import pool_blocks

FIRST, SECOND = pool_blocks(2)


def written(path: Path, *answers: tuple[str, bytes]) -> Draws:
    """Give what the checker reads of such answers."""
    known = Known()
    for block in (FIRST, SECOND):
        known.add(block)
    bodies = [body for _, body in answers]
    np.savez(
        path / "log.npz",
        times=np.arange(len(answers), dtype=float),
        lengths=np.array([len(body) for body in bodies]),
        bodies=np.frombuffer(b"".join(bodies), np.uint8),
        cuts=np.frombuffer("\n".join(cuts for cuts, _ in answers).encode(), np.uint8),
        counts=np.frombuffer(json.dumps({"503": 2, "broken": 1}).encode(), np.uint8),
        stalled_s=0.0,
    )
    return known.read(path / "log.npz")


def honest(start: int, end: int) -> tuple[str, bytes]:
    """Give an answer as the service gives it."""
    return f"{FIRST.block_id}:{start}-{end}", FIRST.data[start:end]


def test_ranges_side_by_side_are_no_duplicates(tmp_path: Path) -> None:
    both = f"{FIRST.block_id}:4080-4096,{SECOND.block_id}:0-16", FIRST.data[-16:] + SECOND.data[:16]
    draws = written(tmp_path, honest(16, 48), honest(0, 16), both)
    assert (draws.draws, draws.served_bytes, draws.duplicates) == (3, 80, 0)
    assert (draws.foreign, draws.altered, draws.refused) == (0, 0, 2)


@pytest.mark.parametrize("again", [(0, 16), (15, 31), (4, 8), (0, 64)])
def test_a_range_that_was_given_out_is_seen_whole_or_in_part(tmp_path: Path, again: tuple[int, int]) -> None:
    assert written(tmp_path, honest(0, 16), honest(100, 116), honest(*again)).duplicates == 1


def test_the_same_bytes_under_another_name_are_seen(tmp_path: Path) -> None:
    draws = written(tmp_path, honest(0, 16), (f"{SECOND.block_id}:0-16", FIRST.data[:16]))
    assert (draws.duplicates, draws.altered) == (1, 1)


def test_bytes_of_no_block_are_seen(tmp_path: Path) -> None:
    draws = written(tmp_path, ("00000000-0000-0000-0000-000000000000:0-16", bytes(16)), ("", b"nothing"))
    assert (draws.foreign, draws.altered) == (2, 2)


def test_a_range_of_another_phase_is_seen(tmp_path: Path) -> None:
    phase = written(tmp_path, honest(0, 16))
    assert merged([phase, phase]).duplicates == 1


def test_a_long_range_hides_none_behind_a_short_one() -> None:
    begins, ends = np.array([0, 10, 50, 100]), np.array([60, 20, 55, 110])
    assert overlaps(begins, ends) == 2


def test_a_private_part_that_comes_again_is_seen_in_either_lane(tmp_path: Path) -> None:
    whole = SECOND.data[:64]
    draws = written(tmp_path, ("private", whole), ("private", SECOND.data[64:80]), honest(0, 16))
    assert (draws.draws, draws.private_draws, draws.private_bytes, draws.public_bytes) == (3, 2, 80, 16)
    assert (draws.duplicates, draws.foreign, draws.altered) == (0, 0, 0)
    assert written(tmp_path, ("private", whole), ("private", whole[32:48])).duplicates == 1
    assert written(tmp_path, ("private", FIRST.data[:64]), honest(16, 32)).duplicates == 1
