"""What workers count is seen by all of them, adds up, and outlives a worker that is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from entropy_assets.serving.counts import COUNTS, Board

COUNTING = """
import sys, time
from pathlib import Path
from entropy_assets.serving.counts import Board
board = Board(Path(sys.argv[1]))
board.counts.add("leased_public_bytes", 1000)
board.counts.add("served_public_bytes", 600)
print("counted", flush=True)
time.sleep(60)
"""


def _worker(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", COUNTING, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "counted\n"
    return process


def test_the_workers_add_up(tmp_path: Path) -> None:
    with Board(tmp_path) as first, Board(tmp_path) as second:
        first.counts.add("public_answers", 2)
        second.counts.add("public_answers", 3)
        first.counts.set("last_lease_us", 7)
        second.counts.set("last_lease_us", 5)
        for board in (first, second):
            totals = board.totals()
            assert (totals["public_answers"], totals["last_lease_us"], totals["workers"]) == (5, 7, 2)


def test_a_killed_workers_counts_stay_and_what_it_held_is_lost(tmp_path: Path) -> None:
    with Board(tmp_path) as board, _worker(tmp_path) as process:
        alive = board.totals()
        assert (alive["workers"], alive["buffered_bytes"], alive["lost_bytes"]) == (2, 400, 0)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        dead = board.totals()
        assert (dead["workers"], dead["buffered_bytes"], dead["lost_bytes"]) == (1, 0, 400)
        assert dead["leased_bytes"] == 1000


def test_a_worker_that_left_in_good_order_lost_nothing(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        with Board(tmp_path) as leaving:
            leaving.counts.add("leased_public_bytes", 10)
            leaving.counts.add("burned_public_bytes", 10)
        assert (board.totals()["leased_bytes"], board.totals()["lost_bytes"]) == (10, 0)


def test_a_worker_that_was_killed_at_its_first_step_does_not_spoil_the_sums(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        (tmp_path / "1-00000000.counts").touch()
        board.counts.add("public_answers")
        assert (board.totals()["public_answers"], board.totals()["workers"]) == (1, 1)


def test_a_row_that_a_cleaner_of_temporary_files_took_away_still_counts_for_its_worker(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        board.counts.add("public_answers", 3)
        for path in tmp_path.iterdir():
            path.unlink()
        assert (board.totals()["public_answers"], board.totals()["workers"]) == (3, 1)


def test_a_board_without_a_folder_is_this_process_alone() -> None:
    board = Board()
    for name in COUNTS:
        board.counts.add(name)
    assert all(board.totals()[name] == 1 for name in COUNTS)
    assert board.totals()["workers"] == 1
