"""An empty home for each test."""

from pathlib import Path

import pytest

from entropy_assets_tests.stages.batches_made import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
