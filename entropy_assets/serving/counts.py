"""What the workers of a service did, in integers that they share and that outlive a worker that was killed.

Each worker counts into a small file of its own that is mapped into its memory, so counting costs no call and a reader
sees every worker at once. The file is locked while its worker lives: a file without a holder belongs to a worker that
is gone, and what that one held is lost. Nobody else reads or writes the folder, which is of mode 0700.
"""

import fcntl
import mmap
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from entropy_assets.serving.problems import PROBLEMS
from entropy_assets.stores.lanes import LANES, Lane

LANE_COUNTS: Final = ("leased_{}_blocks", "leased_{}_bytes", "served_{}_bytes", "burned_{}_bytes", "{}_answers")
"""What is counted in each lane."""
COUNTS: Final = (
    *(name.format(lane) for name in LANE_COUNTS for lane in LANES),
    "altered_blocks",
    "waited_answers",
    "dry_answers",
    "undelivered_bytes",
    "streams_opened",
    "streams_ended",
    "streams_closed_dry",
    "streams_closed_quota",
    "downloads_begun",
    "downloads_finished",
    "downloads_cut",
    "pool_failures",
    *(f"refused_{code}" for code in sorted(PROBLEMS)),
)
"""Everything that is counted since a worker began; `totals` adds them up."""
LATEST: Final = ("last_lease_us",)
"""Moments in microseconds since 1970; `totals` takes the latest."""
_PLACES: Final = {name: place for place, name in enumerate((*COUNTS, *LATEST))}
_SIZE: Final = 8 * len(_PLACES)
_SUFFIX: Final = ".counts"
_OVER_BOTH: Final = (
    ("leased", "blocks"),
    *((what, "bytes") for what in ("leased", "burned", "buffered", "lost")),
)


def place_of(name: str) -> int:
    """Return where `name` is counted in `Counts.cells`."""
    return _PLACES[name]


class Counts:
    """The counts of one worker.

    Parameters
    ----------
    memory
        At least as many bytes as there are counts, zero at first; by default memory of this process alone.

    Attributes
    ----------
    cells
        One signed 64-bit integer per count, at `place_of` its name.
    """

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        self._memory = memory
        self.cells = memoryview(memory if memory is not None else bytearray(_SIZE)).cast("q")

    def add(self, name: str, n: int = 1) -> None:
        """Count `n` more."""
        self.cells[_PLACES[name]] += n

    def set(self, name: str, value: int) -> None:
        """Note a moment."""
        self.cells[_PLACES[name]] = value

    def __getitem__(self, name: str) -> int:
        return self.cells[_PLACES[name]]

    def close(self) -> None:
        """Give the memory back; the counts are not usable afterwards."""
        self.cells.release()
        if self._memory is not None:
            self._memory.close()


class Board:
    """The counts of all workers of a service.

    Parameters
    ----------
    folder
        Folder that the workers of one service share. Without it this process is the only worker, and its counts are
        in its own memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._own: Path | None = None
        self._file: int | None = None
        self.counts = Counts() if folder is None else self._claim(folder)

    def totals(self) -> dict[str, int]:
        """Return every count over all workers that ever were, the workers that are, and what the departed lost.

        ``workers`` is how many live; ``buffered_bytes`` is what they hold; ``lost_bytes`` is what workers held that
        ended without accounting for it: killed ones. These and ``leased_blocks``, ``leased_bytes`` and
        ``burned_bytes`` are over both lanes; ``buffered_public_bytes`` and so on are those of one.
        """
        living: list[list[int]] = [list(self.counts.cells)]
        departed: list[list[int]] = []
        if self._folder is not None:
            with _locked(self._folder, fcntl.LOCK_SH):
                living, departed = self._rows(self._folder)
        totals = {name: sum(row[_PLACES[name]] for row in (*living, *departed)) for name in COUNTS}
        totals |= {name: max(row[_PLACES[name]] for row in (*living, *departed)) for name in LATEST}
        totals["workers"] = len(living)
        for lane in LANES:
            totals[f"buffered_{lane}_bytes"] = sum(_unaccounted(row, lane) for row in living)
            totals[f"lost_{lane}_bytes"] = sum(_unaccounted(row, lane) for row in departed)
        for what, unit in _OVER_BOTH:
            totals[f"{what}_{unit}"] = sum(totals[f"{what}_{lane}_{unit}"] for lane in LANES)
        return totals

    def close(self) -> None:
        """Leave the board; what was counted stays on it."""
        self.counts.close()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _claim(self, folder: Path) -> Counts:
        with _locked(folder, fcntl.LOCK_EX):
            self._own = folder / f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
            self._file = os.open(self._own, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            # written, not only made long: on a full disk that fails here, where a hole would kill at the first count
            os.write(self._file, bytes(_SIZE))
            return Counts(mmap.mmap(self._file, _SIZE))

    def _rows(self, folder: Path) -> tuple[list[list[int]], list[list[int]]]:
        # its own row is in memory, also when somebody who cleans up temporary files removed the file
        living: list[list[int]] = [list(self.counts.cells)]
        departed: list[list[int]] = []
        for path in folder.glob("*" + _SUFFIX):
            if path != self._own:
                (living if _is_alive(path) else departed).append(_read(path))
        return living, departed


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Hold the folder's lock: so a file that appears is locked itself before anybody can look at it."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)


def _unaccounted(row: list[int], lane: Lane) -> int:
    spent = row[_PLACES[f"served_{lane}_bytes"]] + row[_PLACES[f"burned_{lane}_bytes"]]
    return row[_PLACES[f"leased_{lane}_bytes"]] - spent


def _read(path: Path) -> list[int]:
    row = path.read_bytes()
    return list(memoryview(row.ljust(_SIZE, b"\0")).cast("q"))  # who was killed before it wrote had counted nothing


def _is_alive(path: Path) -> bool:
    """Tell whether the worker that counts into this file lives: then it holds the file's lock."""
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
