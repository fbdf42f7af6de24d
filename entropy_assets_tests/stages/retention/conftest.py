"""A copy of an installation for each test, and the keys of its batches by their sort."""

from pathlib import Path

import pytest

from entropy_assets_tests.stages.batches_made import Place
from entropy_assets_tests.stages.retention.installations import copied, make_all


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Make the installation that is copied."""
    folder = tmp_path_factory.mktemp("template") / "home"
    return folder, make_all(folder)


@pytest.fixture
def keys(template: tuple[Path, dict[str, str]]) -> dict[str, str]:
    return template[1]


@pytest.fixture
def old(template: tuple[Path, dict[str, str]], tmp_path: Path) -> Place:
    return copied(template[0], tmp_path / "home")
