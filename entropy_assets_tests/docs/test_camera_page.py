"""The walk from a folder of frames to a verdict does what its page says, as a newcomer would type it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.docs.pages import blocks
from entropy_assets_tests.e2e.running import clean_environment

PAGE = PROJECT / "docs" / "is-my-camera-random.md"


@pytest.mark.slow
def test_its_commands_lead_from_frames_to_the_verdicts_that_it_tells(tmp_path: Path) -> None:
    """They build on each other, so they run in one folder, in their order."""
    commands = [text for _, text in blocks("sh", PAGE)]
    environment = clean_environment(PYTHONPATH=str(PROJECT))
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    (tmp_path / "entropy_assets").symlink_to(PROJECT / "entropy_assets")
    told = []
    for text in commands:
        done = subprocess.run(
            ["bash", "-euc", text],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    _, worth, standard, perfect, iid, restart, suite = told
    assert worth.count("bits of credit") == 3
    figures = [float(h) for h in re.findall(r"min-entropy ([\d.]+) of 5 bits per sample", standard)]
    assert len(figures) == 4
    assert all(3.6 < h < 4.2 for h in figures)
    assert standard.count("fewer than the 1,000,000") == 3
    # In a million bytes each of four predictors is right 3 times in a row with .06, which gives 6.64, 4 times with
    # .0002 (5.3), and 5 times with .000001. The upper end is that of the most common value (6.3.1).
    assert 5.2 < float(re.findall(r"min-entropy ([\d.]+) of 8", perfect)[0]) < 7.9
    assert iid.count("the samples are not IID (goodness_of_fit") == 3
    assert "no column can fail" in restart
    assert re.search(r"fixed pattern: 2\.\d\d% ", restart)
    assert suite
    assert (tmp_path / "noise.html").stat().st_size > 50_000
    assert (tmp_path / "samples" / "restart-3x1000-5bit.bin").stat().st_size == 3000
