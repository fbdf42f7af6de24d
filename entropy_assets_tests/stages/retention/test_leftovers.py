"""What killed writers left goes with the rest, and a full disk does not keep what would make room."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from entropy_assets.stages.retention.limits import GRACE_S
from entropy_assets_tests.stages.batches_made import Place
from entropy_assets_tests.stages.retention.installations import NOW_S, files_below, planned, publish, removed

KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from entropy_assets.stores.batches import BLOCKS, BatchStore, samples_of

batch = BatchStore(Path(sys.argv[1])).batch(sys.argv[2])
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
batch.write_array(BLOCKS if sys.argv[3] == "blocks" else samples_of(sys.argv[3]), np.zeros(4096, np.uint8))
"""


def kill_a_writer(place: Place, key: str, document: str) -> None:
    """Kill a process that has written a document of a batch and not renamed it yet."""
    code = subprocess.run([sys.executable, "-c", KILLED, place.batches_folder, key, document], check=False).returncode
    assert code == -signal.SIGKILL
    assert half_written(place)


KILLED_AT_AN_IMAGE = """
import os, signal, sys
from pathlib import Path
from entropy_assets.stores.images import ImageStore

os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
ImageStore(Path(sys.argv[1])).put(b"an image")
"""


def half_written(place: Place) -> list[str]:
    return [name for name in files_below(place.root) if name.endswith(".tmp")]


@pytest.mark.parametrize("limits", [{"noise_days": 60}, {"batches_days": 60}])
def test_what_a_killed_writer_left_of_noise_and_blocks_goes_with_them(
    old: Place, keys: dict[str, str], limits: dict[str, int]
) -> None:
    """It holds bytes of blocks too, under a name that no list shows."""
    kill_a_writer(old, keys["first"], "blocks")
    kill_a_writer(old, keys["first"], old.batches().batch(keys["first"]).intake.files[0].image_sha256)
    publish(old, keys["first"], days_ago=100)
    publish(old, keys["late"], days_ago=1)
    removed(old, planned(old, **limits))
    assert half_written(old) == []
    assert (old.batches_folder / keys["first"]).exists() == ("noise_days" in limits)


def test_what_is_being_written_stays(old: Place, keys: dict[str, str]) -> None:
    """A run of the batch may make its noise again at this moment."""
    kill_a_writer(old, keys["first"], "blocks")
    publish(old, keys["first"], days_ago=100)
    publish(old, keys["late"], days_ago=1)
    plan = planned(old, noise_days=60)
    [name] = half_written(old)
    at_work = old.root / name
    os.utime(at_work, (NOW_S, NOW_S))
    removed(old, plan)
    assert at_work.exists()


@pytest.mark.parametrize("age_s, stays", [(GRACE_S - 1, 1), (GRACE_S + 1, 0)])
def test_what_a_killed_writer_left_of_an_image_goes_after_a_day(old: Place, age_s: float, stays: int) -> None:
    """Whatever the settings say. One as large as its image was left by each kill."""
    command = [sys.executable, "-c", KILLED_AT_AN_IMAGE, old.images().root]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    [name] = half_written(old)
    os.utime(old.root / name, (NOW_S - age_s, NOW_S - age_s))
    removed(old, planned(old))
    assert len(half_written(old)) == stays


def test_on_a_full_disk_noise_goes_though_no_note_can_be_written(old: Place, keys: dict[str, str]) -> None:
    """So the next run has room for the notes."""
    publish(old, keys["first"], days_ago=100)
    publish(old, keys["again"], days_ago=70)
    publish(old, keys["late"], days_ago=1)
    plan = planned(old, noise_days=60, batches_days=90)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            removed(old, plan)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, heard)
    assert not list((old.batches_folder / keys["again"] / "noise").iterdir())
    assert old.batches().has(keys["first"])
