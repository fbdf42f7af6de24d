"""Publish a batch whose folder is on a disk that is full, with the ledger on another one; then make room.

``python -m entropy_assets_tests.stages.full_disk FOLDER BATCH POOL_URL``, in a mount namespace of its own: the batches
are moved to a small file system in memory. It prints how each try ended.
"""

import ctypes
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from entropy_assets.stages.publication import publish_batch
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.stages.batches_made import Place


def mount_small(folder: Path) -> None:
    """Lay a file system of 16 MiB over `folder`, with what was in it."""
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", bytes(folder), b"tmpfs", 0, b"size=16m"):
        raise OSError(ctypes.get_errno(), "no mount")
    shutil.copytree(kept, folder, dirs_exist_ok=True)


if __name__ == "__main__":
    root, key, url = sys.argv[1:]
    place = Place(Path(root))
    mount_small(place.batches_folder)
    filler = place.batches_folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    batch, pool = place.batches().batch(key), PoolClient.from_url(url)
    try:
        publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1)
    except OSError as error:
        print(error.strerror)
    filler.unlink()
    print(publish_batch(batch, place.ledger(), pool, run_id="run", now_us=1).pushed)
