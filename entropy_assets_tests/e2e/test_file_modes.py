"""Nobody but its user reads what an installation keeps: noise, nonces, blocks, or the order in which they are used."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from entropy_assets.stores.home import Home
from entropy_assets_tests.e2e.running import Installation, eventually
from entropy_assets_tests.file_modes import open_to_others
from entropy_assets_tests.stages.batches_made import frame

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


@pytest.fixture
def usual_umask() -> Iterator[None]:
    """Let this test and what it starts make files that all may read, as most systems do."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
def test_everything_that_up_makes_is_its_users_alone(tmp_path: Path) -> None:
    """From an open installation, over a whole batch: the home, and the folders of the pool, code server and workers."""
    home = Home(tmp_path / "home")
    home.batches_folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="ea-") as temporary:
        with Installation.running(home.root, TMPDIR=temporary) as installation:
            assert "files and folders could be read by others" in installation.up.line("home     ")
            installation.inbox.chmod(0o700)  # made by this test, as by somebody at the keyboard
            batch = installation.drop({"live.fits": frame(77)})
            eventually("publication", lambda: installation.published(batch))
            eventually("the end of all runs", installation.idle)
            assert installation.get("/random/32").status_code == 200
            made = {path.name.split("-")[1] for path in Path(temporary).iterdir() if path.name.startswith("ea-")}
            assert made == {"board", "code", "pool"}
            assert open_to_others(home.root) == []
            assert open_to_others(Path(temporary)) == []
        assert open_to_others(home.root) == []
