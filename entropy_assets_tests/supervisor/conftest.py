"""What the tests of the supervisor stand on: the settings of an empty home, and its stores."""

from pathlib import Path

import pytest

from entropy_assets.settings import Settings
from entropy_assets_tests.stages.batches_made import Place


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give the settings of a home that is not there yet."""
    return Settings(home=tmp_path / "home", settle_seconds=0)


@pytest.fixture
def place(settings: Settings) -> Place:
    """Give the stores of that home."""
    return Place(settings.home)
