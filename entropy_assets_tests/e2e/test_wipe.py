"""``dagster run wipe`` while everything runs: Dagster counts its events from 1 again, and no batch is left lying.

The sensors keep their cursors over it, which is why none of them may hold what was seen.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from entropy_assets.stores.batches import VERDICTS
from entropy_assets_tests.e2e.running import SLOW, Installation, clean_environment, eventually
from entropy_assets_tests.stages.batches_made import frame

pytestmark = pytest.mark.e2e

SENSOR = "publish_validated_blocks"


def wipe(home: Path) -> None:
    """Do what an operator does who wants an empty list of runs."""
    command = [sys.executable, "-m", "dagster", "run", "wipe", "--force"]
    environment = clean_environment(DAGSTER_HOME=str(home / "dagster"))
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=SLOW)


def test_batches_before_and_after_a_wipe_are_published(tmp_path: Path) -> None:
    """One was published before it, one waits for its publish run when everything is wiped, one comes afterwards."""
    with Installation.running(tmp_path) as installation:
        first = installation.drop({"a.fits": frame(1, side=512)})
        eventually("publication of the first", lambda: installation.published(first))
        with installation.stopped(SENSOR):
            waiting = installation.drop({"b.fits": frame(2, side=512)})
            eventually("its verdicts", lambda: waiting.has(VERDICTS))
            eventually("the end of all runs", installation.idle)
            wipe(tmp_path)
            assert not installation.runs(first)
        eventually("publication of what waited", lambda: installation.published(waiting))
        later = installation.drop({"c.fits": frame(3, side=512)})
        eventually("publication of what came later", lambda: installation.published(later))
        eventually("the end of all runs", installation.idle)
        wipe(tmp_path)
        last = installation.drop({"d.fits": frame(4, side=512)})
        eventually("publication of the last", lambda: installation.published(last))
        installation.ledger.verify()
