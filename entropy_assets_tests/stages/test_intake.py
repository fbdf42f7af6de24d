"""Intake: every file comes to its turn, in groups within the limits of a batch."""

import os
import time
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.images.limits import DEFAULT_LIMITS, DecodeLimits
from entropy_assets.recipe import DROP, STANDARD
from entropy_assets.stages.intake import (
    AT_ONCE,
    LEAST_SHARE,
    PER_SOURCE,
    UNDER_WAY_S,
    Linger,
    demanded_share,
    finish_intakes,
    first_group,
    lane_of_next,
    take_batches,
    urgency_of,
)
from entropy_assets.stores.batches import Batch, BatchStore
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.folder import DropFolder, ReadyFile
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets.stores.intakes import Intake
from entropy_assets.stores.lanes import Lane
from entropy_assets_tests.stages.batches_made import Place


def ready(*sizes: int) -> list[ReadyFile]:
    return [ReadyFile(f"f{i}", Path(f"f{i}"), size, i) for i, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(1, 8), st.integers(1, 120))
def test_groups_keep_order_and_limits_and_never_stop(sizes: list[int], max_files: int, max_bytes: int) -> None:
    """Every file comes to its turn, also one that is larger than a whole batch may be."""
    files = ready(*sizes)
    seen = []
    while files:
        group = first_group(files, max_files, max_bytes)
        assert 1 <= len(group) <= max_files
        assert len(group) == 1 or sum(file.size for file in group) <= max_bytes
        seen += group
        files = files[len(group) :]
    assert seen == ready(*sizes)


@pytest.fixture
def inboxes(tmp_path: Path) -> dict[str, DropFolder]:
    for source in ("raw-ccd", "apod"):
        (tmp_path / source).mkdir()
    return Home(tmp_path).inboxes((), settle_seconds=0.0, max_file_bytes=100) | {
        source: DropFolder(tmp_path / source, settle_seconds=0.0, max_file_bytes=100) for source in ("raw-ccd", "apod")
    }


def take(
    inboxes: dict[str, DropFolder], later_s: float = 0.0, *, max_files: int = 2, linger: Linger = AT_ONCE
) -> dict[str, list[int]]:
    """Take what may be taken, and give how many files each batch under way holds, by source."""
    take_batches(inboxes, max_files=max_files, max_bytes=1000, now=time.time() + 1 + later_s, linger=linger)
    return {
        source: [len(inbox.files_of(key)) for key in inbox.taken()]
        for source, inbox in inboxes.items()
        if inbox.taken()
    }


def test_a_heap_in_one_inbox_waits_there_and_keeps_no_other_waiting(inboxes: dict[str, DropFolder]) -> None:
    for number in range(60):
        inboxes[DROP].deposit(f"junk-{number}", b"x")
    assert take(inboxes) == {DROP: [2] * PER_SOURCE}
    assert take(inboxes) == {DROP: [2] * PER_SOURCE}, "more only when one of them is done"
    inboxes["raw-ccd"].deposit("sky.fits", b"x")
    assert take(inboxes) == {DROP: [2] * PER_SOURCE, "raw-ccd": [1]}
    first = inboxes[DROP].taken()[0]
    for file in inboxes[DROP].files_of(first):
        inboxes[DROP].settle(first, file.name, accepted=False, reason="unreadable")
    assert take(inboxes)[DROP] == [2] * PER_SOURCE
    assert len(inboxes[DROP].ready(time.time() + 1)) == 60 - 2 * (PER_SOURCE + 1)


def test_files_that_come_one_by_one_are_taken_whatever_is_under_way(inboxes: dict[str, DropFolder]) -> None:
    for number in range(PER_SOURCE + 2):
        inboxes[DROP].deposit(f"{number}.fits", b"x")
        assert take(inboxes) == {DROP: [1] * (number + 1)}


def test_groups_whose_runs_failed_make_way_after_a_while(inboxes: dict[str, DropFolder]) -> None:
    for number in range(60):
        inboxes[DROP].deposit(f"junk-{number}", b"x")
    assert take(inboxes) == {DROP: [2] * PER_SOURCE}
    assert take(inboxes, later_s=UNDER_WAY_S) == {DROP: [2] * 2 * PER_SOURCE}


def test_listed_sources_are_taken_first_and_of_those_the_ones_with_fewer_files(
    inboxes: dict[str, DropFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    original = DropFolder.take

    def noted(inbox: DropFolder, files: list[ReadyFile], key: str) -> list[ReadyFile]:
        taken.append(key.split("-2", maxsplit=1)[0])
        return original(inbox, files, key)

    monkeypatch.setattr(DropFolder, "take", noted)
    inboxes[DROP].deposit("a", b"x")
    for number in range(2):
        inboxes["apod"].deposit(f"b{number}", b"x")
    inboxes["raw-ccd"].deposit("c", b"x")
    take(inboxes)
    assert taken == ["raw-ccd", "apod", "drop"]


@pytest.mark.parametrize(
    "source, files, urgency", [("raw-ccd", 1, 3), ("raw-ccd", 8, 2), (DROP, 1, 1), (DROP, 8, 0), (DROP, 9, 0)]
)
def test_a_small_batch_and_one_of_a_listed_source_are_urgent(source: str, files: int, urgency: int) -> None:
    assert urgency_of(source, files, 8) == urgency


def test_frames_that_come_one_by_one_share_a_batch_if_they_may_linger(inboxes: dict[str, DropFolder]) -> None:
    """Each source by itself: one that is slow doesn't hold up another one."""
    linger = Linger(files=3, seconds=60.0)
    inboxes["apod"].deposit("slow.fits", b"x")
    for number in range(3):
        assert take(inboxes, max_files=8, linger=linger) == {}
        inboxes["raw-ccd"].deposit(f"{number}.fits", b"x")
    assert take(inboxes, max_files=8, linger=linger) == {"raw-ccd": [3]}
    assert take(inboxes, 30.0, max_files=8, linger=linger) == {"raw-ccd": [3]}
    assert take(inboxes, 60.0, max_files=8, linger=linger) == {"raw-ccd": [3], "apod": [1]}


def test_a_file_that_a_feed_brought_has_its_origin_in_the_intake_whatever_it_is_called(
    inboxes: dict[str, DropFolder], tmp_path: Path
) -> None:
    """The note is found by the hash of the bytes; what is told of them later changes no batch that is fixed."""
    home = Home(tmp_path)
    told = {"feed": "sdo", "url": "https://example.org/a", "fetched_at": "2026-11-29T08:33:00Z"}
    home.origins().keep(sha256(b"fetched").hexdigest(), Origin(**told))
    for name, data in (("1-renamed.fits", b"fetched"), ("2-dropped.fits", b"dropped")):
        inboxes["raw-ccd"].deposit(name, data)
    take(inboxes)
    limits = DecodeLimits()
    keys = list(finish_intakes(home, inboxes, recipe=STANDARD.name, limits=limits, next_lane=lambda _source: "public"))
    home.origins().keep(sha256(b"dropped").hexdigest(), Origin(**told))
    assert keys == list(
        finish_intakes(home, inboxes, recipe=STANDARD.name, limits=limits, next_lane=lambda _source: "public")
    )  # fmt: skip
    [batch] = home.batches()
    assert [file.origin for file in batch.intake.files] == [Origin(**told), None]


def test_a_full_batch_never_lingers_and_of_a_heap_only_its_end(inboxes: dict[str, DropFolder]) -> None:
    for number in range(5):
        inboxes[DROP].deposit(f"{number}.fits", b"x")
    assert take(inboxes, linger=Linger(files=64, seconds=60.0)) == {DROP: [2, 2]}


def test_a_file_from_the_future_does_not_linger(inboxes: dict[str, DropFolder]) -> None:
    """Its time of change was set, or the clock was: it may be years until it is old."""
    path = inboxes[DROP].deposit("a.fits", b"x")
    os.utime(path, (time.time() + 1e8,) * 2)
    assert take(inboxes, linger=Linger(files=64, seconds=60.0)) == {DROP: [1]}


def test_who_makes_a_batch_finds_out_that_an_image_of_it_went(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention saw no batch that needs it, and deletes it in the moment before there is one."""
    inbox = DropFolder(tmp_path / "inbox", settle_seconds=0)
    inbox.deposit("a.fits", b"an image")
    inbox.take(inbox.ready(1e12), "drop-20260101T000000Z-00000000")
    real = BatchStore.create

    def create(self: BatchStore, intake: Intake) -> Batch:
        for blob in list(place.images().all()):
            place.images().delete(blob.last)
        return real(self, intake)

    monkeypatch.setattr(BatchStore, "create", create)
    [key] = finish_intakes(
        place, {DROP: inbox}, recipe="ea-2026-2", limits=DEFAULT_LIMITS, next_lane=lambda _source: "private"
    )
    [file] = place.batches().batch(key).intake.files
    assert place.images().get(file.image_sha256) == b"an image"


@pytest.mark.parametrize("share", [None, 0.3])
def test_both_lanes_get_their_share_of_images_that_come_and_go_one_by_one(share: float | None) -> None:
    """Whatever is ready is used up before the next one comes, so both look alike each time."""
    leased: dict[Lane, int] = {"public": 0, "private": 0}
    for _ in range(200):
        lane = lane_of_next({"public": 0, "private": 0}, leased, demanded_share(leased) if share is None else share)
        leased[lane] += 1 << 16
    assert leased["public"] >= (LEAST_SHARE if share is None else 0.29) * sum(leased.values())
    assert leased["private"] >= 0.5 * sum(leased.values())
