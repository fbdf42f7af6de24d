"""A camera that a program reads: V4L2, INDI, gphoto2, RTSP. The program is run once for an image, without a shell.

It sees no variable of the environment but those that its table names, gets no input, is ended with all that it started
after its time (`keeper`), and what it writes is bounded: a file of its own, or bare pixels, which become a FITS file
here. A decoded video, as that of RTSP, must be declared as decoded: its noise is a coder's, and `configuration`
lets it be claimed as nothing more than a picture.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePath
from typing import IO, Final
from urllib.parse import quote

import numpy as np

from entropy_assets.sources.feeds import keeper
from entropy_assets.sources.feeds.documents.times import stamp
from entropy_assets.sources.feeds.fetching import Clock, origin_of, present
from entropy_assets.sources.feeds.interface import (
    Candidate,
    Discovery,
    FeedError,
    FeedLies,
    FeedUnavailable,
    FetchedImage,
)
from entropy_assets.sources.feeds.tables.local import CommandTable
from entropy_assets.sources.feeds.web.hiding import Secrets
from entropy_assets.stores.file_names import printable
from entropy_assets.stores.inboxes.origins import Origin

BLOCK: Final = 2880
"""Length of a block of FITS, bytes."""
MOST_WORDS: Final = 4096
"""What is kept of a program's messages, bytes."""
MOST_OF_BYTE: Final = 6
"""Letters that one byte of a secret takes where it is escaped, as in JSON."""
LOOK_S: Final = 0.05
"""Between two looks at how much a program has written, seconds."""
END_S: Final = keeper.LONGEST_END_S + 1.0
"""Time for a program's keeper to end it and itself once it was told to, seconds."""
FILE: Final = "{file}"
PROGRAMS: Final = "/usr/local/bin:/usr/bin:/bin"
"""Where a program is looked for whose path is not told."""


class CommandFeed:
    """See the module.

    Parameters
    ----------
    name, table
        The feed.
    variables
        The variables of the environment that the program may see, with their values.
    clock
        Tells the present.
    """

    def __init__(
        self, name: str, table: CommandTable, variables: Mapping[str, str] | None = None, clock: Clock = present
    ) -> None:
        self.name = name
        self.clock = clock
        self.read_bytes = 0
        self._table = table
        self._variables = dict(variables or {})
        bytes_of = {variable: os.fsencode(value) for variable, value in self._variables.items()}
        # read as a program's messages are, so that a letter that is none is the same in both
        self._secrets = Secrets({variable: value.decode("utf-8", "replace") for variable, value in bytes_of.items()})
        self._longest = MOST_OF_BYTE * max(map(len, bytes_of.values()), default=0)

    @property
    def host(self) -> str:
        """What stands for this camera: no other feed waits for it."""
        return f"{self._table.host}:{self.name}"

    def discover(self, cursor: str) -> Discovery:
        """As `Feed.discover`: where the program is there an image can always be had; as many as a look may fetch."""
        self._refuse_absent()
        program = quote(PurePath(self._table.command[0]).name)
        at = f"{self.clock():%Y%m%dT%H%M%S%fZ}"
        candidates = [Candidate(url=f"camera:{self.name}/{program}/{at}-{n}") for n in range(self._table.max_files)]
        return Discovery(candidates, cursor)

    def fetch(self, candidate: Candidate, known: Origin | None = None) -> FetchedImage | None:
        """As `Feed.fetch`: run the program. An image that was taken can't be taken again."""
        taken = self.clock()
        with tempfile.TemporaryDirectory(prefix="entropy-assets-camera-") as folder:
            data = self._run(Path(folder))
        self.read_bytes += len(data)
        if not data:
            raise self._lies("it wrote nothing")
        if self._table.output == "pixels":
            data = self._fits(data, taken)
        dated = Candidate(url=candidate.url, dated_at=stamp(taken))
        ending = ".fits" if self._table.output == "pixels" else self._table.ending
        name = f"{self.name}-{candidate.url.rpartition('/')[2]}{ending}"
        return FetchedImage(name, data, origin_of(self.name, self._table, dated, self.clock(), None))

    def _run(self, folder: Path) -> bytes:
        """Run the program and return what it wrote."""
        target = folder / f"image{self._table.ending}"
        to_file = any(FILE in part for part in self._table.command)
        command = [part.replace(FILE, str(target)) for part in self._table.command]
        with tempfile.TemporaryFile(dir=folder) as output, tempfile.TemporaryFile(dir=folder) as words:
            code = self._ended(command, folder, output, words)
            if code != 0:
                message = f"{command[0]} failed ({code}): {self._told(words)}"
                raise FeedUnavailable(self._secrets.hidden(message), **self._facts)
            if not to_file:
                output.seek(0)
                return output.read(self._table.max_file_bytes)
        if target.is_symlink() or not target.is_file():
            raise self._lies("it wrote no file where it was told to")
        return target.read_bytes()

    def _ended(self, command: list[str], folder: Path, output: IO[bytes], words: IO[bytes]) -> int:
        """Start the program and return its exit code once it ended by itself, within its time and length.

        Nothing that it started outlives it; see `keeper` for where that holds.
        """
        self._refuse_absent()
        try:
            child = subprocess.Popen(  # noqa: S603 - the operator's own command, and no shell
                [sys.executable, "-I", "-S", keeper.__file__, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=words,
                cwd=folder,
                env={"PATH": PROGRAMS, "HOME": str(folder), **self._variables},
                start_new_session=True,
            )
        except OSError as error:
            raise FeedError(f"{command[0]} can't be started: {error.strerror}", **self._facts) from error
        ends = time.monotonic() + self._table.timeout_seconds
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return child.wait(LOOK_S)
                if time.monotonic() > ends:
                    message = f"{command[0]} did not end within {self._table.timeout_seconds:g} s and was ended"
                    raise FeedUnavailable(message, **self._facts)
                self._refuse_longer(folder, output, words)
        finally:
            _end(child)
            self._refuse_longer(folder, output, words)

    def _refuse_absent(self) -> None:
        program = self._table.command[0]
        if shutil.which(program, path=PROGRAMS) is None:
            why = "it is not there, or no program"
            raise FeedError(f"{program} can't be started: {why}; give its whole path, or install it", **self._facts)

    def _refuse_longer(self, folder: Path, output: IO[bytes], words: IO[bytes]) -> None:
        """Raise if more was written than an image may have, whatever it was written to."""
        written = sum(os.fstat(file.fileno()).st_size for file in (output, words))
        for inner, _, names in os.walk(folder):  # follows no link
            for name in names:
                with suppress(FileNotFoundError):
                    written += os.lstat(f"{inner}/{name}").st_size
        if written > self._table.max_file_bytes:
            raise self._lies(f"it wrote more than {self._table.max_file_bytes} bytes")

    def _fits(self, pixels: bytes, taken: datetime) -> bytes:
        """Return bare pixels as a FITS file, which says what they are."""
        width, height = self._table.width or 0, self._table.height or 0
        kind = np.dtype("u1") if self._table.bits == 8 else np.dtype("<u2")
        if len(pixels) != (wanted := width * height * kind.itemsize):
            raise self._lies(f"{width} x {height} pixels have {wanted} bytes, and it wrote {len(pixels)}")
        zero = 0 if self._table.bits == 8 else 1 << 15
        # FITS has signed integers, the highest byte first: 16 bits are stored less their zero
        stored = (np.frombuffer(pixels, kind).astype(np.int32) - zero).astype("u1" if zero == 0 else ">i2")
        cards = {
            "SIMPLE": "T",
            "BITPIX": str(self._table.bits),
            "NAXIS": "2",
            "NAXIS1": str(width),
            "NAXIS2": str(height),
            "BSCALE": "1",
            "BZERO": str(zero),
            "DATE-OBS": f"'{taken:%Y-%m-%dT%H:%M:%S}'",
        }
        return _header(cards) + _filled(stored.tobytes(), b"\0")

    @property
    def _facts(self) -> dict[str, str]:
        return {"feed": self.name, "host": self.host}

    def _lies(self, message: str) -> FeedLies:
        return FeedLies(f"{self._table.command[0]}: {message}", **self._facts)

    def _told(self, words: IO[bytes]) -> str:
        """Return the first of a program's messages. No secret is cut in two, or escaped, before it is looked for."""
        words.seek(0)
        told = words.read(MOST_WORDS + self._longest)
        shown = self._secrets.hidden(told.decode("utf-8", "replace"))
        if len(told) == MOST_WORDS + self._longest:
            shown = shown[: len(shown) - self._longest]
        return printable(shown.strip())


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Have the keeper of a program end all that it started, and end what is left of its group of processes."""
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(END_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _header(cards: Mapping[str, str]) -> bytes:
    """Return a header of FITS cards in fixed format (FITS 4.0, 4.2)."""
    lines = [f"{name:<8}= {value if value.startswith(chr(39)) else value.rjust(20)}" for name, value in cards.items()]
    return _filled("".join(f"{line:<80}" for line in (*lines, "END")).encode("ascii"), b" ")


def _filled(data: bytes, fill: bytes) -> bytes:
    return data + fill * (-len(data) % BLOCK)
