"""``dagster.yaml``: the shipped one follows the release, an edited one is never touched."""

import hashlib
from pathlib import Path

import pytest

from entropy_assets.supervisor import configuration
from entropy_assets.supervisor.configuration import GIVEN, OFFERED, PACKAGE, USED, provide, shipped
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.stages.batches_made import Place

OWN = "# mine\nstorage:\n  postgres: {postgres_url: {env: DAGSTER_PG_URL}}\n"


@pytest.fixture
def place(place: Place) -> Place:
    place.dagster_folder.mkdir(parents=True)
    return place


def release(folder: Path, text: str) -> Path:
    """Give a package that ships `text`."""
    package = folder / text.strip() / "entropy_assets"
    (package / "supervisor").mkdir(parents=True)
    (package / "supervisor" / USED).write_text(text)
    return package


def test_outside_a_checkout_the_shipped_one_is_the_packages_own(tmp_path: Path) -> None:
    """An installed package has no file beside it, and runs all the same."""
    package = release(tmp_path, "one")
    assert shipped(package) == package / "supervisor" / USED


def test_the_packages_own_is_that_of_the_checkout() -> None:
    """What the wheel carries and what a reader finds at the top are the same file."""
    assert (PACKAGE / "supervisor" / USED).read_bytes() == (PROJECT / USED).read_bytes()
    assert shipped() == PROJECT / USED


def test_one_that_nobody_edited_follows_the_release(place: Place, tmp_path: Path) -> None:
    for text in ("one", "two"):
        assert provide(place, release(tmp_path, text)) == ""
        assert (place.dagster_folder / USED).read_text() == text
    assert not (place.dagster_folder / OFFERED).exists()


def test_an_edited_one_stays_as_it_is_and_a_newer_one_is_offered(place: Place, tmp_path: Path) -> None:
    one, two = (release(tmp_path, text) for text in ("one", "two"))
    provide(place, one)
    used, offered = (place.dagster_folder / name for name in (USED, OFFERED))
    used.write_text(OWN)
    assert provide(place, one) == "", "it is this release's that was edited: nothing is new"
    assert not offered.exists()
    for _ in range(2):
        assert OFFERED in provide(place, two)
        assert (used.read_text(), offered.read_text()) == (OWN, "two")
    used.write_text("two")
    assert provide(place, two) == ""
    assert not offered.exists(), "it was taken"


def test_one_of_unknown_origin_is_somebodys_own(place: Place, tmp_path: Path) -> None:
    """Whoever prepared an installation wrote it before ``up`` ever ran."""
    (place.dagster_folder / USED).write_text(OWN)
    assert "was edited and stays" in provide(place, release(tmp_path, "one"))
    assert (place.dagster_folder / USED).read_text() == OWN
    assert not (place.dagster_folder / GIVEN).exists()


def test_one_that_an_earlier_release_wrote_at_each_start_is_nobodys_own(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "_BEFORE_IT_WAS_KEPT", hashlib.sha256(b"old").hexdigest())
    (place.dagster_folder / USED).write_text("old")
    assert provide(place, release(tmp_path, "one")) == ""
    assert (place.dagster_folder / USED).read_text() == "one"
