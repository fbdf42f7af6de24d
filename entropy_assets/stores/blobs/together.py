"""One question about many blobs: an object store is asked several at once, since each answer is waited for."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final, TypeVar

from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.blobs.interface import Blobs

AT_ONCE: Final = 16
AHEAD: Final = 4 * AT_ONCE
"""Questions that are asked before the first answer is looked at; who stops there asked no more."""
T = TypeVar("T")


def together(blobs: Blobs, ask: Callable[[str], T], names: Iterable[str]) -> Iterator[T]:
    """Yield what `ask` says of each of `names`, in their order; `ask` must be safe for several threads."""
    if isinstance(blobs, FolderBlobs):
        yield from map(ask, names)
        return
    left = iter(names)
    with ThreadPoolExecutor(AT_ONCE) as askers:
        while some := list(islice(left, AHEAD)):
            yield from askers.map(ask, some)
