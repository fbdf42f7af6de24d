"""A worker that takes a batch to its verdicts and is killed (SIGKILL) before its n-th change of the store.

``python -m entropy_assets_tests.stages.killed_worker FOLDER STORE_URL BATCH N``; -1 is never.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from entropy_assets.stores.blobs.objects import ObjectBlobs
from entropy_assets_tests.stages.batches_made import Place


def mortal(changes: int) -> None:
    """Kill this process before the change of that number."""
    left = [changes]

    def counted(name: str) -> None:
        real = getattr(ObjectBlobs, name)

        def change(self: ObjectBlobs, *args: Any, **named: Any) -> Any:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return real(self, *args, **named)

        setattr(ObjectBlobs, name, change)

    for name in ("create", "replace", "delete"):
        counted(name)


if __name__ == "__main__":
    folder, url, key, number = sys.argv[1:]
    mortal(int(number))
    place = Place(Path(folder), url)
    place.finished(place.batches().batch(key))
