"""The page on feeds does what it says, as a newcomer would type it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from entropy_assets.sources.feeds.facts import LEFT_AFTER_S
from entropy_assets.sources.feeds.interface import FeedDenied, FeedError, FeedLies, FeedStale, FeedUnavailable
from entropy_assets.sources.feeds.journal import MOST_BYTES, FeedJournalDamaged
from entropy_assets.sources.feeds.periods import LATE, LATE_AT_MOST, PAGES_AGAIN, REMEMBERED
from entropy_assets.sources.feeds.roster import LONGEST_IMAGE_S
from entropy_assets.sources.feeds.rounds import FIRST_WAIT_S, LONGEST_ASKED_S, LONGEST_AWAY_S, LONGEST_WAIT_S, PATIENCE
from entropy_assets.sources.feeds.tables.keys import common_keys
from entropy_assets.sources.feeds.turns import PASSED_OVER_AFTER, Terms
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.docs.pages import blocks, table_rows, text_of
from entropy_assets_tests.e2e.running import clean_environment
from entropy_assets_tests.ports import free_port

PAGE = PROJECT / "docs" / "feeds.md"


@pytest.mark.slow
def test_its_commands_make_a_folder_and_a_server_feeds(tmp_path: Path) -> None:
    environment = clean_environment(PYTHONPATH=str(PROJECT))
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    (tmp_path / "entropy_assets").symlink_to(PROJECT / "entropy_assets")
    told, port = [], str(free_port())
    for _, text in blocks("sh", PAGE):
        done = subprocess.run(
            ["bash", "-euc", text.replace("8799", port)],  # of another program on this machine, perhaps
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told.append(done.stdout)
    telescope, fetched, added, observatory = told
    assert "telescope: answers with 2 images" in telescope
    assert "telescope: 2 new images\ntelescope: nothing new\n" in fetched
    assert "[feed.example]" in added
    assert "observatory: 1 new image" in observatory
    assert len(list((tmp_path / "var" / "inbox" / "raw-ccd").iterdir())) == 3
    assert len(list((tmp_path / "telescope").iterdir())) == 2


def test_its_keys_are_those_of_the_tables() -> None:
    """``python -c 'from entropy_assets.sources.feeds.tables.keys import *; print(common_keys(), end="")'``"""
    assert f"common_keys -->\n{common_keys()}<!-- end -->" in PAGE.read_text()


def test_its_figures_are_those_of_the_code() -> None:
    told = " ".join(text_of(PAGE).split())
    assert (FIRST_WAIT_S, LONGEST_WAIT_S, LONGEST_ASKED_S) == (300, 2 * 3600, 86_400)
    assert LONGEST_AWAY_S == 900
    assert "two hours (a quarter of an hour, or its cadence if that is longer, while it doesn't answer at all)" in told
    assert "for five minutes, or its cadence if that is shorter, then twice as long, and so on up to two hours" in told
    assert f"never grows beyond {MOST_BYTES >> 20} MiB" in told
    assert Terms(claim="drop", cadence_s=1.0).turn_s == 120
    assert f"{LONGEST_IMAGE_S:.0f} seconds for each image" in told
    assert (PATIENCE[FeedUnavailable.code], PATIENCE[FeedLies.code], PASSED_OVER_AFTER) == (3, 2, 3)
    assert PATIENCE[FeedError.code] == 5
    assert LEFT_AFTER_S == 2 * 86_400
    assert f"the last {REMEMBERED:,} files of a folder" in told
    assert (LATE["hour"].total_seconds(), LATE_AT_MOST.days, PAGES_AGAIN) == (3600, 1, 2)


def test_its_table_has_each_trouble() -> None:
    seen = " ".join(row[1] for row in table_rows(PAGE, "trouble"))
    for error in (FeedError, FeedUnavailable, FeedDenied, FeedStale, FeedLies, FeedJournalDamaged):
        assert f"`{error.code}`" in seen
