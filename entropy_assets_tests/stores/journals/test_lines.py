"""Lines of JSON: what is no object is left out, and who has the file open has it alone."""

import subprocess
import sys
from pathlib import Path

from entropy_assets.stores.journals.lines import append_line, objects_in, opened

APPENDS = """
import pathlib, sys
from entropy_assets.stores.journals.lines import append_line, objects_in, opened
for _ in range(50):
    with opened(pathlib.Path(sys.argv[1])) as file:
        append_line(file, {"number": len(objects_in(file.read()))})
"""


def test_lines_that_hold_no_object_are_left_out() -> None:
    assert objects_in(b'{"a": 1}\n[]\n5\n{"b"\n\xff\n' + b"[" * 9999 + b'\n{"b": 2}') == [{"a": 1}, {"b": 2}]


def test_what_is_read_and_appended_at_once_is_one_step_for_all_processes(tmp_path: Path) -> None:
    """Two processes count the lines and append the number that they found: none is written twice."""
    path = tmp_path / "lines.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", APPENDS, str(path)]) for _ in range(2)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert [row["number"] for row in objects_in(path.read_bytes())] == list(range(100))


def test_a_line_behind_a_torn_one_stands_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"torn"')
    with opened(path) as file:
        append_line(file, {"whole": True})
    assert objects_in(path.read_bytes()) == [{"whole": True}]
