"""A server whose clock a test can step: libfaketime stands between it and the kernel, for wall time only."""

import os
from pathlib import Path

import pytest

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


class SteppedClock:
    """The wall clock of one server; it begins with the true time.

    Redis 6.2 and 8.2 and Valkey 8.1 see a step with the very next command. Valkey 9.1 sees it some milliseconds later,
    and Debian's Redis 7.0 does not start with the library.

    Parameters
    ----------
    folder
        Where the offset and the program are kept.
    """

    def __init__(self, folder: Path) -> None:
        if LIBRARY is None:
            pytest.skip("needs libfaketime: apt-get install libfaketime")
        self._folder = folder
        self._offset = folder / "offset"
        self.step_to(0)

    def step_to(self, offset_s: float) -> None:
        """Set the clock to `offset_s` from the true time, seconds; see above for when the server sees it."""
        beside = self._folder / "offset.new"
        beside.write_text(f"{offset_s:+.3f}\n")
        beside.replace(self._offset)

    def binary(self, server: Path) -> Path:
        """Return a program that runs `server` by this clock."""
        program = self._folder / "server-by-stepped-clock"
        # The file is read at every look; the monotonic clock, by which the server times its own work, stays true.
        program.write_text(
            "#!/bin/sh\n"
            f"export LD_PRELOAD={LIBRARY} FAKETIME_TIMESTAMP_FILE={self._offset}\n"
            "export FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_RESET=1\n"
            f'exec {server} "$@"\n'
        )
        os.chmod(program, 0o755)  # noqa: PTH101, S103 - run by this test's own user
        return program
