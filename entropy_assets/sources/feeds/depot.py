"""From a fetched image to a file in an inbox: once for each hash, with a note of where it came from before it."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from entropy_assets.sources.feeds.interface import FetchedImage
from entropy_assets.stores.images import ImageStore
from entropy_assets.stores.inboxes.bucket import Inbox
from entropy_assets.stores.inboxes.folder import hindrance_of_name
from entropy_assets.stores.inboxes.origins import OriginStore

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]+", re.ASCII)
_LONGEST_STEM: Final = 100
_ENDING: Final = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9]{0,7}){1,2}$", re.ASCII)
_HASH_DIGITS: Final = 16


_OF: Final = "_"
"""Between a feed's name, which has none, and the rest of the name of its file: no other feed's begins with both."""


class Arrival(Enum):
    """What became of an image that was fetched."""

    DEPOSITED = auto()
    DUPLICATE = auto()


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in an inbox, or in batches that are not settled: files and bytes in all, and those of one feed."""

    files: int = 0
    bytes: int = 0
    own_files: int = 0
    own_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Depot:
    """Where fetched images go.

    Attributes
    ----------
    origins
        The notes of where images were fetched.
    images
        The images that were taken into batches.
    inbox_of
        Gives the inbox of a claim.
    """

    origins: OriginStore
    images: ImageStore
    inbox_of: Callable[[str], Inbox]

    def knows(self, image_sha256: str) -> bool:
        """Tell whether an image of that hash came before, by any feed or other way."""
        return self.origins.of(image_sha256) is not None or image_sha256 in self.images

    def backlog(self, claim: str, feed: str) -> Backlog:
        """Return what waits in the inbox of `claim`, or in batches that are not settled, and what of it is of `feed`.

        Whose a file is stands in its name, so who may write into the inbox can fill the share of a feed.
        """
        inbox = self.inbox_of(claim)
        # By a clock that lies behind all others: one that was put there a moment ago waits as well.
        files = [*inbox.ready(math.inf), *(file for key in inbox.taken() for file in inbox.files_of(key))]
        own = [file.size for file in files if file.name.startswith(f"{feed}{_OF}")]
        return Backlog(len(files), sum(file.size for file in files), len(own), sum(own))

    def most_bytes(self, claim: str) -> int:
        """Return how long a file may be that the inbox of `claim` takes in; a longer one would lie there for ever."""
        return self.inbox_of(claim).max_file_bytes

    def deposit(self, image: FetchedImage, image_sha256: str, claim: str, *, was_begun: bool, now_s: float) -> Arrival:
        """Keep the image's origin, put it into the inbox of `claim`, and return what became of it.

        Of several who bring the same bytes, one deposits them. Repeating it for an image that was begun, and whose
        end nobody knows, deposits it only where it isn't found, neither in the inbox nor behind it.
        """
        if not self.origins.keep(image_sha256, image.origin) and not was_begun:
            return Arrival.DUPLICATE
        inbox, name = self.inbox_of(claim), name_in_inbox(image, image_sha256)
        if not (was_begun and self._is_there(inbox, name, image_sha256, now_s)):
            inbox.deposit(name, image.data)
        return Arrival.DEPOSITED

    def _is_there(self, inbox: Inbox, name: str, image_sha256: str, now_s: float) -> bool:
        """Tell whether an image is in its inbox or was taken from it. The looks go the way of the images."""
        ready, pending = inbox.scan(now_s)
        return (
            any(name == file.name for file in ready)
            or any(name == file.name for file in pending)
            or any(name == file.name for key in inbox.taken() for file in inbox.files_of(key))
            or image_sha256 in self.images
        )


def name_in_inbox(image: FetchedImage, image_sha256: str) -> str:
    """Return the name of an image's file: its feed, its own name, a part of its hash, and its ending.

    The same bytes of a feed have the same name again, other bytes another one, and no name is one that an inbox leaves
    alone.
    """
    name = _UNSAFE.sub("_", image.name)
    ending = found[0] if (found := _ENDING.search(name)) else ""
    stem = name.removesuffix(ending)[:_LONGEST_STEM]
    named = f"{image.origin.feed}{_OF}{stem}-{image_sha256[:_HASH_DIGITS]}"
    return named if hindrance_of_name(named + ending) else named + ending
