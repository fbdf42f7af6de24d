"""The process that reads raw files: what it gives up before it reads."""

import subprocess
import sys
from pathlib import Path

from entropy_assets.images import raw_reader


def test_the_reader_can_open_nothing_once_it_reads() -> None:
    """Neither a file nor a socket, while what it has open still works."""
    program = (
        "import socket, sys; from entropy_assets.images import raw_reader; raw_reader._shut()\n"
        "for what in (lambda: open('/dev/null'), socket.socket):\n"
        "    try: what()\n"
        "    except OSError as error: print(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["24", "24"]


def test_it_imports_nothing_of_this_package() -> None:
    """It is started by its path, where no package is known, and it must not load more than it needs."""
    program = Path(raw_reader.__file__).read_text(encoding="utf-8")
    assert "entropy_assets" not in program


def test_its_output_is_bounded(tmp_path: Path) -> None:
    """Whatever takes the reader over can't fill the disk."""
    program = "from entropy_assets.images import raw_reader; raw_reader._confine(1000); print('x' * 10_000)"
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run([sys.executable, "-c", program], stdout=out, stderr=subprocess.DEVNULL, check=False)
    assert done.returncode != 0
    assert (tmp_path / "out").stat().st_size <= 1000
