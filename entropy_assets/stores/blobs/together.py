"""One question about many blobs: an object store is asked several at once, since each answer is waited for."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Final, TypeVar

from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.durable import sync_folder

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


def delete_all(blobs: Blobs, names: Iterable[str]) -> None:
    """Let nothing be under any of `names`, in no order; until it returns a power cut may bring some back."""
    if not isinstance(blobs, FolderBlobs):
        for _ in together(blobs, blobs.delete, names):
            pass
        return
    paths = [blobs.path(name) for name in names]
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in dict.fromkeys(path.parent for path in paths):
        with suppress(FileNotFoundError):
            sync_folder(folder)
