"""Dagster remembers the head of the ledger, and a ledger that lacks it stops every way to spend and to publish."""

from pathlib import Path

import dagster as dg
import pytest

from entropy_assets.defs.anchors import DagsterUnreadable, known_in, known_to_dagster
from entropy_assets.stores.batches import NOISE, RECEIPT
from entropy_assets.stores.ledger.anchors import Anchor
from entropy_assets_tests.defs.conftest import Home
from entropy_assets_tests.stages.batches_made import frame

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def published(home: Home) -> str:
    """Give the key of a batch that was published."""
    key = home.batch_of(("a.fits", frame(1, side=512)))
    for job in ("process_images", "publish_blocks"):
        home.run(job, key)
    return key


def lose_ledger(home: Home) -> None:
    for path in home.stores.layout.root.glob("ledger.sqlite*"):
        path.unlink()


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    return str(result.get_step_failure_events()[0].step_failure_data.user_failure_data.description)


def test_it_knows_the_head_after_its_newest_publication(home: Home, published: str) -> None:
    head = home.stores.layout.ledger().head()
    assert list(known_to_dagster(home.instance)) == [Anchor(head, "Dagster")]
    home.instance.wipe()
    assert list(known_to_dagster(home.instance)) == []


def test_a_run_without_blocks_is_no_anchor(home: Home) -> None:
    key = home.batch_of(("dead.jpg", b"\xff\xd8"))
    for job in ("process_images", "publish_blocks"):
        home.run(job, key)
    assert list(known_to_dagster(home.instance)) == []


def test_its_folder_can_be_asked_when_nothing_runs(tmp_path: Path) -> None:
    folder = tmp_path / "dagster"
    assert list(known_in(folder)) == []
    folder.mkdir()
    (folder / "dagster.yaml").write_text("{telemetry: {enabled: false}}")
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization("published_blocks", metadata={"ledger_head": "aa" * 32})
        )
    assert list(known_in(folder)) == [Anchor("aa" * 32, "Dagster")]


@pytest.mark.parametrize(
    "configuration, reason",
    [
        ("storage: {postgres: {postgres_url: 'postgresql+psycopg2://me:hidden@127.0.0.1:1/x'}}", "Connection refused"),
        ("storage: {postgres: {postgres_url: {env: A_VARIABLE_THAT_IS_NOT_SET}}}", '"A_VARIABLE_THAT_IS_NOT_SET"'),
        ("storage: {postgres: ", "found '<stream end>'"),
        ("storge: {}", '"storge"'),
        ("no mapping", "to parse to dictionary"),
    ],
)
def test_one_that_can_not_be_asked_is_named_with_the_reason(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    configuration: str,
    reason: str,
) -> None:
    """The publication that it knows of may be the one that the ledger lacks: it is never passed over."""
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_: 0)  # it tries six times
    (tmp_path / "dagster.yaml").write_text(configuration)
    with pytest.raises(DagsterUnreadable, match=f"{tmp_path} can't be asked") as raised:
        list(known_in(tmp_path))
    message = raised.value.message
    assert (reason in message, "hidden" in message, "\n" in message) == (True, False, False)
    assert not [record for record in caplog.records if "Retrying" in record.message], "the error says it"


def test_a_damaged_database_of_dagster_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("{telemetry: {enabled: false}}")
    with dg.DagsterInstance.from_config(str(tmp_path)):
        [database, *_] = tmp_path.rglob("index.db")
    database.write_bytes(b"no database" * 100)
    with pytest.raises(DagsterUnreadable, match="is not a database"):
        list(known_in(tmp_path))


def test_the_ledger_is_missing_and_dagster_alone_knows_of_it(home: Home, published: str) -> None:
    """No receipt, and a new pool: neither the same batch nor another one is published, and no image is spent."""
    later = home.batch_of(("b.fits", frame(2, side=512)))
    home.stores.batch(published).path(RECEIPT).unlink()
    with home.pool.connect() as client:
        client._client.flushall()
    lose_ledger(home)
    assert "known to Dagster" in failure_of(home.run("process_images", later, fails=True))
    assert not home.stores.batch(later).has(NOISE)
    assert "known to Dagster" in failure_of(home.run("publish_blocks", published, fails=True))
    assert not home.stores.layout.ledger().is_published(published)


def test_the_daily_audit_holds_the_ledger_against_its_anchors_and_makes_none(home: Home, published: str) -> None:
    assert home.run("daily_audit").success
    lose_ledger(home)
    assert "is missing" in failure_of(home.run("daily_audit", fails=True))
    assert not home.stores.layout.ledger_file.exists()


def test_the_sensors_begin_and_publish_nothing_and_say_why(home: Home, published: str) -> None:
    """Runs would fail one by one, and each batch would need another one when the ledger is back."""
    waiting = home.batch_of(("b.fits", frame(2, side=512)))
    home.run("process_images", waiting)
    home.drop("c.fits", frame(3))
    lose_ledger(home)
    for sensor in ("new_images", "publish_validated_blocks"):
        with pytest.raises(dg.Failure, match="is missing"):
            home.tick(sensor)
