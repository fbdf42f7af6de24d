"""A ledger moved into PostgreSQL: link for link the same, the file is never written again, and nothing is mixed."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from entropy_assets.errors import LedgerError
from entropy_assets.stores.ledger.frames import SpentFrames
from entropy_assets.stores.ledger.moving import move
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.ledger.sketches import SketchShelf
from entropy_assets.stores.ledger.storage import LedgerServer
from entropy_assets_tests.postgres_server import PostgresServer
from entropy_assets_tests.stores.ledger.test_frames import sketch


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a ledger with rows of each kind."""
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    for number in range(4):
        blocks = [LedgerBlock(f"{number}-{place}", place, f"{number}-{place}", "link") for place in range(3)]
        ledger.spend_images({f"file-{number}": f"pixels-{number}", f"other-{number}": None}, f"batch-{number}")
        ledger.bind_batch(f"batch-{number}", "origin")
        ledger.append_publication(f"batch-{number}", "head", blocks, "run", number)
        SpentFrames(ledger, 8).recollect(sketch(number + 1))
    SpentFrames(ledger, 8).restore(sketch(9))
    ledger.accept_losses({"aa" * 32: "a witness"})
    return path


@pytest.fixture
def target(postgres_url: str) -> Ledger:
    return Ledger(LedgerServer(postgres_url, is_single=True))


def test_what_is_moved_is_all_there_and_goes_on(file: Path, target: Ledger, tmp_path: Path) -> None:
    kept = Ledger(Path(shutil.copy(file, tmp_path / "copy.sqlite")), readonly=True)
    moved = move(file, target)
    assert moved.head == kept.head() == target.head() == target.verify()
    assert moved.rows == {
        "image_claims": 8, "batches": 4, "blocks": 12, "bindings": 4, "losses": 1, "sketches": 5, "folds": 5,
    }  # fmt: skip
    assert target.publications() == kept.publications()
    assert target.published_blocks("batch-2") == kept.published_blocks("batch-2")
    asked = ["file-1", "other-1", "file-2", "no file"]
    assert target.spent_by("batch-1", asked) == kept.spent_by("batch-1", asked) == {"file-1", "other-1"}
    assert target.lacks(["aa" * 32, "bb" * 32]) == ("bb" * 32,)
    assert SketchShelf(target).indexes(0, 99) == SketchShelf(kept).indexes(0, 99)
    assert [SketchShelf(target).place_of(sketch(number)) for number in (2, 9)] == [2, None], "a restored one stays so"
    assert not target.append_publication("batch-1", "head", [], "run", 9)
    assert target.append_publication("batch-9", "head", [], "run", 9)
    target.verify()


def test_the_file_is_put_aside_and_written_no_more(file: Path, target: Ledger) -> None:
    """Not even by a publisher that had it open, and waited."""
    with closing(sqlite3.connect(file, isolation_level=None)) as waiting:
        waiting.execute("SELECT count(*) FROM batches")
        moved = move(file, target)
        with pytest.raises(sqlite3.IntegrityError, match="moved"):
            waiting.execute("INSERT INTO bindings VALUES (9, 'b', 'o', 1, 'l')")
    assert (file.exists(), moved.sealed.name) == (False, "ledger.sqlite.moved")
    sealed = Ledger(moved.sealed)
    assert sealed.verify() == moved.head
    with pytest.raises(LedgerError, match="this ledger was moved"):
        sealed.append_publication("batch-9", "head", [], "run", 9)


def test_a_target_with_other_rows_is_refused_and_both_stay(file: Path, target: Ledger) -> None:
    target.bind_batch("of another installation", "origin")
    with pytest.raises(LedgerError, match="other rows"):
        move(file, target)
    assert target.publications() == []
    assert Ledger(file).append_publication("batch-9", "head", [], "run", 9)


def test_who_was_interrupted_before_the_file_was_sealed_goes_on(file: Path, target: Ledger, tmp_path: Path) -> None:
    again = Path(shutil.copy(file, tmp_path / "again.sqlite"))
    head = move(file, target).head
    assert move(again, target).head == head
    assert not again.exists()


@pytest.fixture
def sealed(file: Path, target: Ledger) -> Path:
    """Give a file that was moved and sealed by somebody who was killed before it was put aside."""

    def killed(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("entropy_assets.stores.ledger.moving._put_aside", killed)
        with pytest.raises(KeyboardInterrupt):
            move(file, target)
    with pytest.raises(LedgerError, match="this ledger was moved"):
        Ledger(file).bind_batch("batch-9", "origin")
    return file


def test_who_was_killed_between_the_seal_and_the_renaming_goes_on(sealed: Path, target: Ledger) -> None:
    head, publications = target.head(), target.publications()
    moved = move(sealed, target)
    assert (moved.head, target.publications(), moved.rows["blocks"]) == (head, publications, 12)
    assert (sealed.exists(), Ledger(moved.sealed).verify()) == (False, head)


def test_a_sealed_file_goes_nowhere_but_to_where_it_was_moved(
    sealed: Path, target: Ledger, postgres: PostgresServer
) -> None:
    """Not into an empty one either: what was published since, where it was moved, would be published again."""
    target.bind_batch("batch-9", "origin")
    schema = f"test_{uuid4().hex[:12]}"
    postgres.ask(f"CREATE SCHEMA {schema}")
    empty = Ledger(LedgerServer(postgres.url(schema), is_single=True))
    for other in (target, empty):
        with pytest.raises(LedgerError, match="was moved already"):
            move(sealed, other)
    assert (sealed.exists(), empty.publications()) == (True, [])
    postgres.ask(f"DROP SCHEMA {schema} CASCADE")


def test_a_file_that_does_not_verify_is_not_moved(file: Path, target: Ledger) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("DROP TRIGGER batches_no_update")
        db.execute("UPDATE batches SET run_id = 'x' WHERE seq = 2")
    with pytest.raises(LedgerError, match="publication 2 does not verify"):
        move(file, target)
    assert not target.exists()


def test_a_file_that_somebody_writes_is_not_moved(file: Path, target: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entropy_assets.stores.ledger.moving._BUSY_S", 0.05)
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked"):
            move(file, target)
    assert not target.exists()


def test_who_was_interrupted_at_the_very_end_is_told_that_all_is_done(file: Path, target: Ledger) -> None:
    """Nothing was printed yet, and the command is given again."""
    move(file, target)
    with pytest.raises(LedgerError, match=r"it was moved already, and lies in .*\.moved"):
        move(file, target)


def test_there_must_be_a_file(tmp_path: Path, target: Ledger) -> None:
    with pytest.raises(LedgerError, match="is missing"):
        move(tmp_path / "ledger.sqlite", target)
    assert list(tmp_path.iterdir()) == []
