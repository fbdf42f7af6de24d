"""``entropy-assets ledger``: a loss is seen, accepted by name, and burns what may have been served."""

import json
from pathlib import Path

import pytest

from entropy_assets.stages.publication import publish_batch
from entropy_assets.stages.state import sound_ledger
from entropy_assets.stores.ledger.rows import NO_LINK
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.supervisor.installation import sole_owner
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.stages.batches_made import Place, frame


@pytest.fixture
def place(tmp_path: Path, pool: PoolClient) -> Place:
    """Give an installation with one batch that was published."""
    place = Place(tmp_path / "home")
    publish_batch(place.validated([("a.fits", frame(1))]), place.ledger(), pool, run_id="run", now_us=1)
    return place


def lose_ledger(place: Place) -> str:
    head = place.ledger().head()
    for path in place.root.glob("ledger.sqlite*"):
        path.unlink()
    return head


def test_a_sound_ledger_is_left_as_it_is(run: Run, place: Place) -> None:
    head = place.ledger().head()
    checked = run("ledger", "check", "--home", place.root)
    assert (checked.exit_code, checked.stdout) == (0, f"1 publications, head {head}\n")
    accepted = run("ledger", "accept", "--head", head, "--home", place.root)
    assert (accepted.exit_code, place.ledger().head()) == (0, head)
    assert "nothing was changed" in accepted.stdout


def test_a_missing_one_is_seen_and_accepted(run: Run, place: Place) -> None:
    head = lose_ledger(place)
    checked = run("ledger", "check", "--home", place.root, "--json")
    assert checked.exit_code == 1
    [(link, known_to)] = json.loads(checked.stdout)["lacks"].items()
    assert (link, known_to.startswith("batch raw-ccd")) == (head, True)
    assert not place.ledger_file.exists()
    accepted = run("ledger", "accept", "--head", NO_LINK, "--home", place.root, "--json")
    assert accepted.exit_code == 0
    document = json.loads(accepted.stdout)
    assert (len(document["burned"]), document["given_up"]) == (1, [head])
    assert sound_ledger(place).head() == document["head"]
    assert run("ledger", "check", "--home", place.root).exit_code == 0


def test_the_pool_of_the_settings_is_asked_too(
    run: Run, place: Place, pool_prefix: str, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folders of the batches are gone with the ledger."""
    lose_ledger(place)
    for folder in place.batches_folder.iterdir():
        folder.rename(place.root.parent / folder.name)
    assert run("ledger", "check", "--home", place.root).exit_code == 0
    monkeypatch.setenv("ENTROPY_REDIS_URL", valkey_url)
    monkeypatch.setenv("ENTROPY_POOL_PREFIX", pool_prefix)
    checked = run("ledger", "check", "--home", place.root)
    assert (checked.exit_code, "known to the pool's server" in checked.stdout) == (1, True)


def test_nothing_is_accepted_beside_a_running_installation_or_for_another_head(run: Run, place: Place) -> None:
    lose_ledger(place)
    with sole_owner(place):
        refused = run("ledger", "accept", "--head", NO_LINK, "--home", place.root)
    assert (refused.exit_code, "another 'entropy-assets up'" in refused.stderr) == (1, True)
    refused = run("ledger", "accept", "--head", "aa" * 32, "--home", place.root)
    assert (refused.exit_code, "the head of the ledger is" in refused.stderr) == (1, True)
