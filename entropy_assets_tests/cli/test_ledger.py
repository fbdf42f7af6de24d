"""``entropy-assets ledger``: a loss is seen, accepted by name, and burns what may have been served."""

import json
from pathlib import Path

import dagster as dg
import pytest

from entropy_assets.stages.publication import publish_batch
from entropy_assets.stages.state import sound_ledger
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import NO_LINK
from entropy_assets.stores.ledger.storage import LedgerServer
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.supervisor.installation import sole_owner
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.postgres_server import PostgresServer
from entropy_assets_tests.stages.batches_made import Place, frame
from entropy_assets_tests.stores.ledger.places import as_promoted


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
    assert "there is no ledger" not in checked.stderr
    accepted = run("ledger", "accept", "--head", head, "--home", place.root)
    assert (accepted.exit_code, place.ledger().head()) == (0, head)
    assert "nothing was changed" in accepted.stdout


def test_what_was_under_way_in_a_backup_is_burned_where_it_is_said_to_be_one(run: Run, place: Place) -> None:
    waiting = place.open([("b.fits", frame(2))])
    head = place.ledger().head()
    accepted = run("ledger", "accept", "--restored", "--head", head, "--home", place.root)
    assert accepted.exit_code == 0
    assert f"burned {waiting.key}\n1 batches are burned, 0 publications are given up" in accepted.stdout
    assert place.ledger().is_published(waiting.key)


def test_a_missing_one_is_seen_and_accepted(run: Run, place: Place) -> None:
    head = lose_ledger(place)
    checked = run("ledger", "check", "--home", place.root, "--json")
    assert checked.exit_code == 1
    assert f"there is no ledger: no file {place.ledger_file}" in checked.stderr
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


def test_dagster_is_asked_in_the_home_and_where_dagster_home_says(
    run: Run, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publishing asks it too: what it alone knows must be seen, and accepted, or nothing is ever published again."""
    head = lose_ledger(place)
    place.batches_folder.rename(tmp_path / "batches of the lost")
    unasked = run("ledger", "check", "--home", place.root)
    assert (unasked.exit_code, "no Dagster was asked" in unasked.stderr) == (0, True)
    place.dagster_folder.mkdir()
    (place.dagster_folder / "dagster.yaml").write_text("{telemetry: {enabled: false}}")
    with dg.DagsterInstance.from_config(str(place.dagster_folder)) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("published_blocks", metadata={"ledger_head": head}))
    checked = run("ledger", "check", "--home", place.root)
    assert f"lacks {head}, known to Dagster" in checked.stdout
    assert "no Dagster was asked" not in checked.stderr
    monkeypatch.setenv("DAGSTER_HOME", str(place.dagster_folder.rename(tmp_path / "elsewhere")))
    accepted = run("ledger", "accept", "--head", NO_LINK, "--home", place.root, "--json")
    assert json.loads(accepted.stdout)["given_up"] == [head]


@pytest.mark.parametrize("arguments", [("check",), ("accept", "--head", NO_LINK)])
def test_a_dagster_that_does_not_answer_is_an_error_in_a_sentence(
    run: Run, place: Place, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_: 0)  # it tries six times
    head = lose_ledger(place)
    place.dagster_folder.mkdir()
    away = "storage: {postgres: {postgres_url: 'postgresql+psycopg2://me@127.0.0.1:1/x'}}"
    (place.dagster_folder / "dagster.yaml").write_text(away)
    said = run("ledger", *arguments, "--home", place.root)
    assert (said.exit_code, said.stdout, head in said.stderr) == (1, "", False)
    assert f"error: the Dagster in {place.dagster_folder} can't be asked" in said.stderr
    assert "start its database" in said.stderr
    assert not place.ledger_file.exists()


def test_a_ledger_is_moved_and_a_server_that_took_over_is_accepted_by_its_epoch(
    run: Run, place: Place, postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of an installation that grows: its file goes into PostgreSQL, and one day that server fails."""
    head = place.ledger().head()
    assert run("ledger", "move", "--home", place.root).exit_code == 2, "it must be said where to"
    monkeypatch.setenv("ENTROPY_LEDGER_URL", postgres_url)
    assert f"lacks {head}" in run("ledger", "check", "--home", place.root).stdout, "there is nothing in it yet"
    refused = run("ledger", "move", "--home", place.root)
    assert (refused.exit_code, "ENTROPY_LEDGER_SINGLE_SERVER" in refused.stderr) == (1, True)
    monkeypatch.setenv("ENTROPY_LEDGER_SINGLE_SERVER", "true")
    with sole_owner(place):
        assert run("ledger", "move", "--home", place.root).exit_code == 1, "an installation runs"
    moved = run("ledger", "move", "--home", place.root)
    assert (moved.exit_code, f"head {head}" in moved.stdout, place.ledger_file.exists()) == (0, True, False)
    checked = run("ledger", "check", "--home", place.root)
    assert (checked.exit_code, checked.stdout) == (0, f"1 publications, head {head}\n")

    present = as_promoted(Ledger(LedgerServer(postgres_url, is_single=True)), postgres)
    checked = run("ledger", "check", "--home", place.root, "--json")
    assert checked.exit_code == 1
    document = json.loads(checked.stdout)
    assert (document["lacks"], document["promoted"]["present"]) == ({}, present)
    refused = run("ledger", "accept", "--head", head, "--home", place.root)
    assert (refused.exit_code, f"--epoch {present}" in refused.stderr) == (1, True)
    accepted = run("ledger", "accept", "--head", head, "--epoch", present, "--home", place.root)
    assert (accepted.exit_code, accepted.stdout.splitlines()[-1].startswith("0 batches are burned")) == (0, True)
    assert run("ledger", "check", "--home", place.root).exit_code == 0


def test_nothing_is_accepted_beside_a_running_installation_or_for_another_head(run: Run, place: Place) -> None:
    lose_ledger(place)
    with sole_owner(place):
        refused = run("ledger", "accept", "--head", NO_LINK, "--home", place.root)
    assert (refused.exit_code, "another 'entropy-assets up'" in refused.stderr) == (1, True)
    refused = run("ledger", "accept", "--head", "aa" * 32, "--home", place.root)
    assert (refused.exit_code, "the head of the ledger is" in refused.stderr) == (1, True)
