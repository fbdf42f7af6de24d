"""Bytes of a service for the kernel's own generator: written, and never credited.

What is written to ``/dev/random`` is hashed into the kernel's pool and can't make its state any easier to guess. The
kernel is not told that it holds entropy (the ioctl RNDADDENTROPY, which also takes a privilege): a service that lies
then changes nothing, where a credited lie would have the kernel believe in bytes that somebody else knows.
"""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from entropy_assets.errors import FeedRefused, NoBytes

DEVICE: Final = Path("/dev/random")


class GivesBytes(Protocol):
    """Who gives bytes."""

    def random_bytes(self, n: int) -> bytes:
        """Return exactly `n` private random bytes."""
        ...


def feed_once(client: GivesBytes, device: Path, n: int) -> None:
    """Draw `n` bytes and write them to `device`.

    Raises
    ------
    FeedRefused
        If `device` can't be written, or is a file or folder: the bytes would lie there, over what it held.
    ClientError
        As the client.
    """
    try:
        # Neither created nor cut: a mistyped name must not leave random bytes on a disk. Unbuffered: each write is one
        # write(2), and no copy of the bytes stays behind.
        with open(device, "wb", buffering=0, opener=_opened) as target:
            left = memoryview(client.random_bytes(n))
            while left:
                left = left[target.write(left) or 0 :]
    except OSError as error:
        raise FeedRefused(f"can't write to {device}: {error.strerror}", device=str(device)) from error


def _opened(device: str, _: int) -> int:
    descriptor = os.open(device, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        return descriptor
    os.close(descriptor)
    raise FeedRefused(f"{device} is no device and no pipe; nothing was written to it", device=str(device))


def feed_always(
    client: GivesBytes,
    device: Path,
    n: int,
    every_s: float,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Feed `device` again and again; a time without bytes is said and passed over.

    Raises
    ------
    FeedRefused, RequestRefused
        As `feed_once`: these don't mend themselves.
    """
    while True:
        try:
            feed_once(client, device, n)
        except NoBytes as problem:
            say(problem.message)
        sleep(every_s)
