"""The ledger: appended once, never altered, on the disk before it answers, readable by many."""

import itertools
import signal
import subprocess
import sys
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from entropy_assets.errors import ClaimRefused, LedgerError
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import NO_LINK, LedgerBlock, SpentImage, publication_link
from entropy_assets.stores.ledger.storage import LedgerServer
from entropy_assets_tests.stores.ledger.conftest import TIME_US
from entropy_assets_tests.stores.ledger.places import Places

HEAD = "aa" * 32


def _blocks(batch: int, count: int = 3) -> list[LedgerBlock]:
    return [
        LedgerBlock(f"id-{batch}-{index}", index, f"sha-{batch}-{index}", f"link-{batch}-{index}")
        for index in range(count)
    ]


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Give a ledger with three publications and two claims."""
    for batch in range(3):
        ledger.append_publication(f"batch-{batch}", HEAD, _blocks(batch), f"run-{batch}", TIME_US + batch)
    ledger.spend_image("file-a", "pixels-a", "batch-0")
    ledger.spend_image("file-b", "pixels-b", "batch-1")
    return ledger


def test_a_batch_is_published_once(ledger: Ledger) -> None:
    assert ledger.append_publication("batch", HEAD, _blocks(0), "run-1", TIME_US)
    assert not ledger.append_publication("batch", HEAD, _blocks(0), "run-2", TIME_US + 1)
    assert [row.run_id for row in ledger.publications()] == ["run-1"]
    assert ledger.is_published("batch")
    assert not ledger.is_published("other")


def test_a_publication_is_found_by_its_batch(filled: Ledger) -> None:
    assert filled.publication_of("batch-1") == filled.publications()[1]
    assert filled.publication_of("other") is None


def test_the_first_blocks_of_a_batch_can_be_had_alone(filled: Ledger) -> None:
    [whole, first] = filled.published_blocks("batch-1"), filled.published_blocks("batch-1", 1)
    assert len(whole) > 1
    assert first == whole[:1]


def test_a_batch_can_not_be_published_again_with_other_blocks(ledger: Ledger) -> None:
    ledger.append_publication("batch", HEAD, _blocks(0), "run", TIME_US)
    with pytest.raises(ClaimRefused, match="another chain head"):
        ledger.append_publication("batch", "bb" * 32, _blocks(1), "run", TIME_US)


@pytest.mark.parametrize("same", ["block_id", "block_sha256"])
def test_a_block_of_another_batch_is_refused_and_nothing_is_written(same: str, ledger: Ledger) -> None:
    ledger.append_publication("batch", HEAD, _blocks(0), "run", TIME_US)
    mine = LedgerBlock("id-0-1" if same == "block_id" else "new", 1, "sha-0-1" if same != "block_id" else "new", "x")
    with pytest.raises(ClaimRefused, match="already published by batch batch"):
        ledger.append_publication("later", HEAD, [LedgerBlock("fresh", 0, "fresh", "x"), mine], "run", TIME_US)
    assert not ledger.is_published("later")
    assert ledger.find_block("fresh") is None


def test_a_block_leads_to_its_publication(filled: Ledger) -> None:
    found = filled.find_block("id-1-2")
    assert found is not None
    assert found.block == _blocks(1)[2]
    assert (found.publication.batch_key, found.publication.run_id) == ("batch-1", "run-1")
    assert (found.publication.seq, found.publication.block_count) == (2, 3)
    assert filled.find_block("id-9-9") is None
    assert filled.published_blocks("batch-1") == _blocks(1)


def test_publications_come_in_pages(filled: Ledger) -> None:
    first = filled.publications(limit=2)
    assert [row.batch_key for row in first] == ["batch-0", "batch-1"]
    assert [row.batch_key for row in filled.publications(limit=2, after=first[-1].seq)] == ["batch-2"]


def test_the_link_is_recomputable_from_what_is_published(filled: Ledger) -> None:
    link = NO_LINK
    for batch, row in enumerate(filled.publications()):
        link = publication_link(link, row.batch_key, HEAD, row.run_id, row.published_at_us, _blocks(batch))
        assert row.ledger_link == link
    assert filled.verify() == filled.head() == link


def test_an_image_is_claimed_once_and_again_only_by_its_own_batch(ledger: Ledger) -> None:
    assert ledger.spend_image("file", "pixels", "batch-1") is None
    assert ledger.spend_image("file", "pixels", "batch-1") is None
    first = SpentImage("file", "pixels", "batch-1", TIME_US)
    assert ledger.spend_image("file", "pixels", "batch-2") == first
    assert ledger.spend_image("another file", "pixels", "batch-2") == first
    assert ledger.spend_image("another file", "pixels", "batch-1") == first


def test_a_turned_exposure_counts_as_the_one_that_was_spent(ledger: Ledger) -> None:
    """Whichever comes first; and a batch that is run again is told what it was told then."""
    first = SpentImage("file", "pixels", "batch-1", TIME_US)
    for _ in range(2):
        assert ledger.spend_image("file", "pixels", "batch-1", ["turned", "mirrored"]) is None
        for batch in ("batch-1", "batch-2"):
            assert ledger.spend_image("turned file", "turned", batch, ["mirrored", "pixels"]) == first
    assert ledger.spend_image("another file", "other", "batch-2", ["other turned", "other"]) is None
    asked = ["file", "turned file", "another file"]
    assert [ledger.spent_by(batch, asked) for batch in ("batch-1", "batch-2")] == [{"file"}, {"another file"}]
    assert ledger.spent_by("batch-1", []) == set()


@pytest.mark.parametrize("unread", [None, ""])
def test_files_without_readable_pixels_are_not_taken_for_each_other(unread: str | None, ledger: Ledger) -> None:
    assert ledger.spend_image("file-1", unread, "batch-1") is None
    assert ledger.spend_image("file-2", unread, "batch-2") is None
    assert ledger.spend_image("file-1", unread, "batch-2") == SpentImage("file-1", None, "batch-1", TIME_US)
    ledger.verify()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE batches SET run_id = 'x' WHERE seq = 2",
        "UPDATE batches SET published_at_us = 1 WHERE seq = 1",
        "UPDATE batches SET chain_head = 'x' WHERE seq = 3",
        "UPDATE blocks SET block_sha256 = 'x' WHERE block_id = 'id-1-1'",
        "UPDATE blocks SET link = 'x' WHERE block_id = 'id-1-1'",
        "UPDATE blocks SET position = 7 WHERE block_id = 'id-1-2'",
        "UPDATE blocks SET batch_key = 'batch-2', position = 9 WHERE block_id = 'id-1-2'",
        "DELETE FROM blocks WHERE block_id = 'id-0-0'",
        "DELETE FROM batches WHERE seq = 2",
        "INSERT INTO blocks VALUES ('more', 'batch-9', 0, 'more', 'more')",
        "UPDATE image_claims SET batch_key = 'x' WHERE seq = 1",
        "UPDATE image_claims SET claimed_at_us = 1 WHERE seq = 2",
        "DELETE FROM image_claims WHERE seq = 1",
    ],
)
def test_verify_sees_every_change(statement: str, filled: Ledger, places: Places) -> None:
    filled.verify()
    places.tamper(statement)
    with pytest.raises(LedgerError, match=r"does not verify|no publication holds"):
        filled.verify()


def test_dropping_the_newest_rows_shows_only_to_who_kept_the_head(filled: Ledger, places: Places) -> None:
    """The limit that the module's docstring names."""
    kept = filled.head()
    places.tamper("DELETE FROM blocks WHERE batch_key = 'batch-2'", "DELETE FROM batches WHERE seq = 3")
    assert filled.verify() != kept


def test_reading_never_makes_a_file_and_never_writes(places: Places, filled: Ledger) -> None:
    absent = Ledger(places.of("absent"), readonly=True)
    assert (absent.head(), absent.publications(), absent.verify()) == (NO_LINK, [], NO_LINK)
    assert absent.find_block("x") is None
    assert not absent.exists()
    reader = Ledger(places.of(), readonly=True)
    assert reader.head() == filled.head()
    with pytest.raises(LedgerError, match="reading only"):
        reader.spend_image("f", "p", "b")


def test_a_reader_sees_an_empty_file_as_an_empty_ledger(tmp_path: Path) -> None:
    """That is what it meets between the moments when a writer makes the file and the tables."""
    path = tmp_path / "ledger.sqlite"
    path.touch()
    assert Ledger(path, readonly=True).publications() == []


def test_a_file_that_is_no_ledger_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(LedgerError, match="can't be used"):
        Ledger(path).head()


def test_a_ledger_of_a_later_version_is_left_alone(filled: Ledger, places: Places) -> None:
    places.run("PRAGMA user_version = 99" if places.server is None else "UPDATE ledger_version SET version_num = '99'")
    with pytest.raises(LedgerError, match="newer version"):
        Ledger(places.of(), readonly=True).head()
    with pytest.raises(LedgerError, match="newer version"):
        filled.bind_batch("batch", "origin")


def _claim(place: Path | LedgerServer, image: int, worker: int) -> bool:
    return Ledger(place).spend_image(f"file-{image}", f"pixels-{image}", f"batch-{worker}") is None


def _append(place: Path | LedgerServer, worker: int) -> list[bool]:
    ledger = Ledger(place)
    return [
        ledger.append_publication(f"batch-{batch}", HEAD, _blocks(batch), str(worker), batch) for batch in range(12)
    ]


@pytest.mark.slow
def test_processes_that_start_together_agree_on_who_was_first(places: Places) -> None:
    """They also make the tables together."""
    place = places.of()
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as workers:
        outcomes = list(workers.map(partial(_append, place), range(4)))
        claims = list(workers.map(partial(_claim, place), [0] * 8, range(8)))
    assert [sum(column) for column in zip(*outcomes, strict=True)] == [1] * 12
    assert sum(claims) == 1
    Ledger(place).verify()


PUBLISHER = """
import sys, itertools
from pathlib import Path
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.ledger.storage import LedgerServer
place = sys.argv[1]
ledger = Ledger(LedgerServer(place, is_single=True) if "://" in place else Path(place))
for n in itertools.count():
    blocks = [LedgerBlock(f"{n}-{i}", i, f"{n}-{i}", "l") for i in range(20)]
    assert ledger.append_publication(f"batch-{n}", "head", blocks, "run", n)
    print(n, flush=True)
"""


@pytest.mark.parametrize("limit", [1, pytest.param(3, marks=pytest.mark.slow), pytest.param(7, marks=pytest.mark.slow)])
def test_what_was_acknowledged_survives_kill_minus_nine(limit: int, places: Places) -> None:
    place = places.of()
    where = place.url if isinstance(place, LedgerServer) else str(place)
    with subprocess.Popen([sys.executable, "-c", PUBLISHER, where], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        acknowledged = [int(line) for line in itertools.islice(child.stdout, limit)]
        child.send_signal(signal.SIGKILL)
    ledger = Ledger(place)
    assert all(ledger.is_published(f"batch-{n}") for n in acknowledged)
    ledger.verify()


@pytest.mark.slow
def test_a_long_ledger_is_verified_in_little_memory(ledger: Ledger) -> None:
    """Ten times the rows take hardly more: of a server's answer a thousand rows are held at a time."""
    peaks = []
    for first, through in ((0, 150), (150, 1500)):
        for number in range(first, through):
            ledger.append_publication(f"batch-{number}", HEAD, _blocks(number, 8), "run", number)
        tracemalloc.start()
        ledger.verify()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0] + 2**19, peaks
