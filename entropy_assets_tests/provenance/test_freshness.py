"""How old the supply is: read from what the batches and the ledger hold, once each, and never in the way."""

import hashlib
import json
import sqlite3
import time
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.provenance import freshness
from entropy_assets.provenance.freshness import Freshness
from entropy_assets.provenance.trail import Trail
from entropy_assets.sources.feeds.journal import FeedJournal, FeedJournals, Yield
from entropy_assets.stages.assessments import noise_rows
from entropy_assets.stores.batches import Batch, BatchStore, Document
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets.stores.intakes import Intake, batch_key
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets_tests.stages.batches_made import Place, frame

NOW_NS = 1_790_000_000 * 10**9
ACCEPTED = {"accepted": True, "reason": None}
FAILED = {"accepted": False, "reason": "health_test_failed"}
CONSTANT = {"accepted": False, "reason": "constant"}


def taken_in(root: Path, age_s: float, number: int = 0, *, now_ns: int = NOW_NS) -> Path:
    """Make a batch that was taken in `age_s` seconds ago, and return its folder."""
    time_ns = now_ns - int(age_s * 1e9)
    key = batch_key("drop", time_ns, [(str(number), "", 0)])
    intake = Intake(
        key=key,
        source="drop",
        files=(),
        time_ns=time_ns,
        os_bytes="",
        recipe="r",
        max_file_bytes=1,
        max_pixels=1,
    )
    return BatchStore(root).create(intake).root


def assessed(folder: Path, *noise: dict[str, Any], unreadable: tuple[dict[str, Any], ...] = ()) -> None:
    """Write what the batch in `folder` was found to be worth."""
    (folder / "manifest.json").write_text(json.dumps({"rows": [*unreadable, *(ACCEPTED for _ in noise)]}))
    (folder / "noise.json").write_text(json.dumps({"rows": list(noise)}))


@pytest.fixture
def supply(tmp_path: Path) -> Freshness:
    """Give the ages of an installation that has nothing yet."""
    ledger = Ledger(tmp_path / "ledger.sqlite", readonly=True)
    return Freshness(BatchStore(tmp_path / "batches"), ledger, clock=lambda: NOW_NS)


def test_an_empty_installation_has_no_ages(supply: Freshness) -> None:
    assert supply.now() == {
        "image_age_s": None,
        "block_age_s": None,
        "health_test_failure_age_s": None,
        "rejected_images": {},
        "problem": None,
        "doubts": [],
        "feeds": {},
        "rejected_of_feeds": {},
    }


def test_the_last_accepted_image_and_the_last_failure_are_found_wherever_they_are(supply: Freshness) -> None:
    root = supply.batches.root
    assessed(taken_in(root, 900, 1), FAILED)
    assessed(taken_in(root, 500, 2), ACCEPTED, FAILED)
    assessed(taken_in(root, 60, 3), CONSTANT, unreadable=({"accepted": False, "reason": "truncated"},))
    ages = supply.now()
    assert (ages["image_age_s"], ages["health_test_failure_age_s"]) == (500, 500)
    assert ages["rejected_images"] == {"health_test_failed": 2, "constant": 1, "truncated": 1}


def test_a_batch_counts_when_it_is_assessed_and_is_read_once(
    supply: Freshness, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = taken_in(supply.batches.root, 30)
    assert supply.now()["image_age_s"] is None
    assessed(folder, ACCEPTED)
    assert supply.now()["image_age_s"] == 30
    monkeypatch.setattr(freshness, "_assessed", lambda batch: pytest.fail(f"{batch.key} was read again"))
    assert supply.now()["image_age_s"] == 30


def of_feed(name: str, number: int) -> dict[str, Any]:
    """Return what the rows of an image that a feed brought have beside the others."""
    return {"image_sha256": f"{number:064x}", "origin": {"feed": name}}


def assessed_of_feeds(folder: Path) -> None:
    """Write a batch of images of feeds: credit and a refusal of `sky`, one of `sun` that can't be read, one dropped."""
    unread = {"accepted": False, "reason": "truncated", **of_feed("sun", 3)}
    strange = {"accepted": False, "reason": "no word of this version", **of_feed("sun", 4)}
    (folder / "manifest.json").write_text(
        json.dumps({"rows": [ACCEPTED | of_feed("sky", 1), ACCEPTED | of_feed("sky", 2), unread, strange, CONSTANT]})
    )
    rows = [
        {**ACCEPTED, "image_sha256": f"{1:064x}", "credit_bits": 4000},
        {**CONSTANT, "image_sha256": f"{2:064x}", "credit_bits": 0},
        {**ACCEPTED, "image_sha256": f"{9:064x}", "credit_bits": 70},
    ]
    (folder / "noise.json").write_text(json.dumps({"rows": rows}))


def test_credit_and_reasons_are_summed_by_feed_over_all_batches(
    supply: Freshness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And told when all batches are counted: a sum that grows while history is read would chart as a yield."""
    for number, age_s in enumerate((400, 300)):
        assessed_of_feeds(taken_in(supply.batches.root, age_s, number))
    monkeypatch.setattr(freshness, "READ_S", 0.0)
    first, *_, last = [supply.now() for _ in range(3)]
    assert (first["feeds"], first["rejected_of_feeds"]) == ({}, {})
    assert last["feeds"] == {"sky": {"credit_bits": 8000.0}, "sun": {"credit_bits": 0.0}}
    assert last["rejected_of_feeds"] == {"sky": {"constant": 2}, "sun": {"truncated": 2, "unknown": 2}}


def test_the_block_age_is_that_of_the_last_publication(supply: Freshness) -> None:
    ledger = Ledger(supply.ledger.path)
    for number, age_s in enumerate((800, 20)):
        block = LedgerBlock(f"b{number}", 0, f"{number:064x}", "00" * 32)
        ledger.append_publication(f"drop-{number}", "00" * 32, [block], "", (NOW_NS // 10**9 - age_s) * 10**6)
    assert supply.now()["block_age_s"] == 20


def test_a_clock_that_was_set_back_gives_no_negative_age(supply: Freshness) -> None:
    assessed(taken_in(supply.batches.root, -100), ACCEPTED)
    assert supply.now()["image_age_s"] == 0


def test_a_locked_ledger_is_a_problem_and_hides_no_other_age(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.sqlite").spend_image("ab" * 32, None, "b")
    ledger = Ledger(tmp_path / "ledger.sqlite", readonly=True, busy_timeout_s=0.05)
    supply = Freshness(BatchStore(tmp_path / "batches"), ledger, clock=lambda: NOW_NS)
    assessed(taken_in(supply.batches.root, 10), ACCEPTED)
    holder = sqlite3.connect(ledger.path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        ages = supply.now()
    finally:
        holder.close()
    assert ages["image_age_s"] == 10
    assert ages["block_age_s"] is None
    assert "locked" in ages["problem"]


@pytest.mark.parametrize("damage", ["{", "[]", '{"rows": 7}', '{"rows": [{}]}', '{"rows": [3]}'])
def test_a_damaged_batch_hides_no_other_batch(damage: str, supply: Freshness) -> None:
    assessed(taken_in(supply.batches.root, 70, 1), ACCEPTED)
    broken = taken_in(supply.batches.root, 10, 2)
    assessed(broken)
    (broken / "noise.json").write_text(damage)
    assert supply.now()["image_age_s"] == 70


def test_one_call_reads_for_a_bounded_time_newest_first(supply: Freshness, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no time at all a call reads one batch; what was rejected is told when all were read."""
    for number, age_s in enumerate((400, 300, 200)):
        assessed(taken_in(supply.batches.root, age_s, number), ACCEPTED, CONSTANT)
    monkeypatch.setattr(freshness, "READ_S", 0.0)
    first, *more = [supply.now() for _ in range(4)]
    assert (first["image_age_s"], first["rejected_images"]) == (200, None)
    assert more[-1]["rejected_images"] == {"constant": 3}


def test_of_many_batches_only_those_are_opened_that_were_not_read(
    supply: Freshness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long history costs one list of names a call, and not a file of each batch."""
    monkeypatch.setattr(freshness, "READ_S", 60)
    for number in range(50):
        assessed(taken_in(supply.batches.root, 100 + number, number), ACCEPTED)
    assert supply.now()["rejected_images"] == {}
    assessed(new := taken_in(supply.batches.root, 30), ACCEPTED)
    opened: list[str] = []
    read_bytes = Batch._read

    def counted(batch: Batch, document: Document) -> bytes:
        opened.append(batch.key)
        return read_bytes(batch, document)

    monkeypatch.setattr(Batch, "_read", counted)
    assert supply.now()["image_age_s"] == 30
    assert set(opened) == {new.name}


def test_the_ages_of_a_real_batch(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.validated([("one.fits", frame(1)), ("blank", b"no image")], time_ns=time.time_ns() - 5 * 10**9)
    ages = Trail.of(place).freshness()
    assert 5 <= ages["image_age_s"] < 60
    assert ages["rejected_images"] == {"unknown_format": 1}


def test_what_a_feed_brought_counts_for_it_also_where_its_journal_is_not(tmp_path: Path) -> None:
    place = Place(tmp_path)
    live, blank = frame(1, side=512), b"no image"
    for data in (live, blank):
        origin = Origin(feed="sky", url="https://example.org/a", fetched_at="2026-11-29T08:33:00Z")
        place.origins().keep(hashlib.sha256(data).hexdigest(), origin)
    batch = place.hashed([("live", live), ("blank", blank), ("other", frame(2))])
    ages = Trail.of(place).freshness()
    credit = next(row.credit_bits for row in noise_rows(batch) if row.file == "live")
    assert ages["feeds"] == {"sky": {"credit_bits": credit}}
    assert ages["rejected_of_feeds"] == {"sky": {"unknown_format": 1}}
    FeedJournals(place.feeds_folder).write(FeedJournal(name="sky", total=Yield(images=2)))
    told = Trail.of(place).freshness()["feeds"]["sky"]
    assert (told["images"], told["credit_bits"]) == (2, credit)


def test_it_can_be_sent_to_the_worker_that_asks_it(place: Place) -> None:
    """A service of several workers starts each as a process of its own, and sends it where blocks are looked up."""
    assert ForkingPickler.dumps(Trail.of(place))
    assert ForkingPickler.dumps(Freshness(place.batches(), place.ledger()))


def test_a_file_that_the_system_does_not_let_be_read_is_told_and_hides_no_other(supply: Freshness) -> None:
    """As one of another user, after a command under ``sudo``; when it can be read again, it counts."""
    root = supply.batches.root
    folders = [taken_in(root, 60 * age, age) for age in range(1, 6)]
    assessed(folders[-1], ACCEPTED, CONSTANT)
    for folder in folders[:-1]:
        (folder / "noise.json").symlink_to("noise.json")
    ages = supply.now()
    assert (ages["image_age_s"], ages["rejected_images"]) == (300, None)
    [sentence] = [sentence for code, sentence in ages["doubts"] if code == "store-denied"]
    assert sentence.startswith("4 batches can't be read: ")
    assert f"{folders[0].name}/noise.json can't be read (" in sentence
    assert sentence.count("noise.json") == 3
    for folder in folders[:-1]:
        (folder / "noise.json").unlink()
        assessed(folder, FAILED)
    ages = supply.now()
    assert "store-denied" not in [code for code, _ in ages["doubts"]]
    assert ages["rejected_images"] == {"health_test_failed": 4, "constant": 1}
