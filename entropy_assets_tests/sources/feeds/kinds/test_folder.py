"""A folder that something else fills: each file once, when it is whole, copied and never touched."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from entropy_assets.sources.feeds.interface import LONGEST_CURSOR, FeedError, FeedUnavailable
from entropy_assets.sources.feeds.kinds import folder as folder_room
from entropy_assets.sources.feeds.kinds.folder import FolderFeed
from entropy_assets_tests.sources.feeds.replaying import table_of

MEMORY = Path("/dev/shm")  # noqa: S108 - a filesystem that keeps every time, as disks do not
"""Where files can be given impossible times."""


def feed_of(path, later: float = 60.0, **fields) -> FolderFeed:
    """Return the feed of a folder as it is some seconds from now, so that what is written now has settled."""
    table = table_of("folder", **({"path": str(path), "claim": "raw-ccd"} | fields))
    return FolderFeed("mine", table, lambda: datetime.now(UTC) + timedelta(seconds=later))


def names(discovery) -> list[str]:
    return [candidate.url for candidate in discovery.candidates]


def test_files_come_in_the_order_in_which_they_came_there_whatever_their_dates(tmp_path) -> None:
    """A file that is moved there with an old date is new all the same."""
    feed = feed_of(tmp_path)
    (tmp_path / "b.fits").write_bytes(b"b")
    (tmp_path / "a b.fits").write_bytes(b"a")
    first = feed.discover("")
    assert names(first) == ["folder:mine/b.fits", "folder:mine/a%20b.fits"]
    (tmp_path / "old.fits").write_bytes(b"old")
    os.utime(tmp_path / "old.fits", (1e9, 1e9))
    second = feed.discover(first.cursor)
    assert names(second) == ["folder:mine/old.fits"]
    assert second.candidates[0].dated_at == "2001-09-09T01:46:40Z"
    assert names(feed.discover(second.cursor)) == []


@pytest.mark.parametrize("when", [10**12, 253_402_300_800, -62_135_596_800, -62_000_000_000])
def test_a_file_that_was_given_an_impossible_time_is_taken_like_any_other(when: int) -> None:
    """Whoever owns a file gives it any time, and no calendar has them all: one such file must not end the feed."""
    if not MEMORY.is_dir():
        pytest.skip("no filesystem here is known to keep such times")
    with TemporaryDirectory(dir=MEMORY) as folder:
        file = Path(folder) / "a.fits"
        file.write_bytes(b"a")
        os.utime(file, (when, when))
        assert file.stat().st_mtime == when
        feed = feed_of(folder)
        [candidate] = feed.discover("").candidates
        fetched = feed.fetch(candidate)
    assert (candidate.dated_at, fetched.origin.dated_at, fetched.data) == (None, None, b"a")


def test_a_folder_of_somebody_elses_hides_no_other_file(tmp_path) -> None:
    """Like the lost+found of a disk, or one that somebody made there to be in the way."""
    user = 12345 if os.geteuid() == 0 else os.geteuid()
    with TemporaryDirectory() as folder:
        os.chown(folder, user, -1)
        (Path(folder) / "lost+found").mkdir(mode=0)
        (Path(folder) / "night").mkdir()
        for place in (".", "night"):
            (Path(folder) / place / "a.fits").write_bytes(b"a")
        os.seteuid(user)
        try:
            found = feed_of(folder, depth=1).discover("")
        finally:
            os.seteuid(os.getuid())
    assert (names(found), found.left_out) == (["folder:mine/a.fits", "folder:mine/night/a.fits"], 1)


def test_a_folder_without_an_end_is_refused(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file that is listed takes memory, and whoever fills the folder may fill it with millions."""
    for number in range(4):
        (tmp_path / f"{number}.fits").write_bytes(b"a")
    monkeypatch.setattr(folder_room, "MOST_FILES", 4)
    assert len(names(feed_of(tmp_path).discover(""))) == 4
    (tmp_path / "one.fits").write_bytes(b"a")
    with pytest.raises(FeedError, match="has more than 4 files: make feeds of parts"):
        feed_of(tmp_path).discover("")


def test_a_folder_that_is_moved_there_with_what_is_in_it_is_taken(tmp_path) -> None:
    """The files in it don't change by that, so their times lie before those of others that were had meanwhile."""
    (tmp_path / "elsewhere" / "night").mkdir(parents=True)
    (tmp_path / "elsewhere" / "night" / "a.fits").write_bytes(b"a")
    (tmp_path / "watched").mkdir()
    (tmp_path / "watched" / "b.fits").write_bytes(b"b")
    feed = feed_of(tmp_path / "watched", depth=1)
    first = feed.discover("")
    assert names(first) == ["folder:mine/b.fits"]
    (tmp_path / "elsewhere" / "night").rename(tmp_path / "watched" / "night")
    second = feed.discover(first.cursor)
    assert names(second) == ["folder:mine/night/a.fits"]
    assert names(feed.discover(second.cursor)) == []


def test_of_a_folder_that_was_empty_all_that_comes_is_taken(tmp_path) -> None:
    feed = feed_of(tmp_path, max_files=2)
    first = feed.discover("")
    for n in range(5):
        (tmp_path / f"{n}.fits").write_bytes(b"a")
    second = feed.discover(first.cursor)
    assert names(second) == ["folder:mine/0.fits", "folder:mine/1.fits"]
    assert not second.is_whole


def test_a_folder_whose_disk_was_away_has_nothing_new(tmp_path) -> None:
    (tmp_path / "disk").mkdir()
    for n in range(5):
        (tmp_path / "disk" / f"{n}.fits").write_bytes(b"a")
    feed = feed_of(tmp_path, max_files=2, depth=1)
    first = feed.discover("")
    (tmp_path / "disk").rename(tmp_path / ".away")
    away = feed.discover(first.cursor)
    (tmp_path / ".away").rename(tmp_path / "disk")
    assert (names(away), names(feed.discover(away.cursor))) == ([], [])


def test_of_a_large_folder_the_newest_files_are_known_by_name(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("entropy_assets.sources.feeds.periods.REMEMBERED", 3)
    feed, cursor = feed_of(tmp_path, from_the_oldest=True), ""
    for n in range(9):
        (tmp_path / f"{n}.fits").write_bytes(b"a")
        found = feed.discover(cursor)
        assert names(found) == [f"folder:mine/{n}.fits"]
        cursor = found.cursor
    assert len(cursor) < 100


def test_a_file_is_copied_and_stays_as_it_was(tmp_path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(b"abc")
    os.utime(path, (1e9, 1e9))
    path.chmod(0o444)
    before = path.stat()
    feed = feed_of(tmp_path)
    [candidate] = feed.discover("").candidates
    fetched = feed.fetch(candidate)
    assert fetched is not None
    assert (fetched.name, fetched.data) == ("a.fits", b"abc")
    assert str(tmp_path) not in repr(fetched.origin)
    after = path.stat()
    for what in ("st_ino", "st_mode", "st_mtime_ns", "st_ctime_ns", "st_nlink", "st_uid"):
        assert getattr(before, what) == getattr(after, what)
    assert [each.name for each in tmp_path.iterdir()] == ["a.fits"]
    assert feed.fetch(candidate, fetched.origin) is None


def test_a_file_that_was_not_left_alone_waits(tmp_path) -> None:
    (tmp_path / "a.fits").write_bytes(b"a")
    found = feed_of(tmp_path, later=0.0, settle_seconds=3600.0).discover("")
    assert (names(found), found.waiting) == ([], 1)
    assert names(feed_of(tmp_path, later=3601.0, settle_seconds=3600.0).discover("")) == ["folder:mine/a.fits"]


def test_a_file_that_changes_meanwhile_is_left_for_the_next_look(tmp_path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(b"a")
    feed = feed_of(tmp_path)
    first = feed.discover("")
    path.write_bytes(b"ab")
    with pytest.raises(FeedError, match="changed since it was listed"):
        feed.fetch(first.candidates[0])
    [again] = feed.discover(first.cursor).candidates
    assert again.version != first.candidates[0].version
    fetched = feed.fetch(again)
    assert fetched is not None
    assert fetched.data == b"ab"


def test_the_first_look_takes_the_newest_alone_unless_all_are_wanted(tmp_path) -> None:
    for n in range(5):
        (tmp_path / f"{n}.fits").write_bytes(b"a")
    assert names(feed_of(tmp_path, max_files=2).discover("")) == ["folder:mine/3.fits", "folder:mine/4.fits"]
    feed = feed_of(tmp_path, max_files=2, from_the_oldest=True)
    seen, cursor, whole = [], "", False
    while not whole:
        found = feed.discover(cursor)
        seen, cursor, whole = seen + names(found), found.cursor, found.is_whole
    assert seen == [f"folder:mine/{n}.fits" for n in range(5)]


def test_links_hidden_partial_empty_and_other_files_are_left_out(tmp_path) -> None:
    (tmp_path / "secret").write_bytes(b"a")
    (tmp_path / "link.fits").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe.fits")
    (tmp_path / "folder.fits").mkdir()
    for name in (".a.fits", "a.fits.part", "a.txt", "a.FITS"):
        (tmp_path / name).write_bytes(b"a")
    (tmp_path / "empty.fits").touch()
    (tmp_path / "long.fits").write_bytes(b"12345")
    assert names(feed_of(tmp_path, max_file_bytes=4, depth=2).discover("")) == ["folder:mine/a.FITS"]


def test_a_link_that_takes_the_place_of_a_file_is_not_followed(tmp_path) -> None:
    (tmp_path / "a.fits").write_bytes(b"a")
    feed = feed_of(tmp_path)
    [candidate] = feed.discover("").candidates
    (tmp_path / "a.fits").rename(tmp_path / "b.fits")
    (tmp_path / "a.fits").symlink_to(tmp_path / "b.fits")
    with pytest.raises(FeedError, match="can't be taken"):
        feed.fetch(candidate)


def test_folders_are_entered_as_deep_as_told_and_no_link_is(tmp_path) -> None:
    (tmp_path / "night" / "deep").mkdir(parents=True)
    (tmp_path / "night" / "a.fits").write_bytes(b"a")
    (tmp_path / "night" / "deep" / "b.fits").write_bytes(b"a")
    (tmp_path / "way").symlink_to(tmp_path)
    assert names(feed_of(tmp_path).discover("")) == []
    assert names(feed_of(tmp_path, depth=1).discover("")) == ["folder:mine/night/a.fits"]
    feed = feed_of(tmp_path, depth=8)
    found = feed.discover("")
    assert names(found) == ["folder:mine/night/a.fits", "folder:mine/night/deep/b.fits"]
    assert all(feed.fetch(candidate) for candidate in found.candidates)


def test_a_link_that_takes_the_place_of_a_folder_is_not_followed(tmp_path) -> None:
    """Who may write to the folder could else have a file of another one read that its user can't read himself."""
    for folder in ("watched/night", "private"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.fits").write_bytes(folder[:7].encode())
        os.utime(tmp_path / folder / "a.fits", (1e9, 1e9))
    feed = feed_of(tmp_path / "watched", depth=1)
    [candidate] = feed.discover("").candidates
    (tmp_path / "watched/night").rename(tmp_path / "watched/.night")
    (tmp_path / "watched/night").symlink_to(tmp_path / "private")
    with pytest.raises(FeedError, match="can't be taken"):
        feed.fetch(candidate)


def test_names_that_are_no_text_are_taken_too(tmp_path) -> None:
    (tmp_path / os.fsdecode(b"\xff\x1b%20.fits")).write_bytes(b"a")
    feed = feed_of(tmp_path)
    fetched = feed.fetch(feed.discover("").candidates[0])
    assert fetched is not None
    assert fetched.name.isprintable()


def test_a_folder_that_is_not_there_is_unavailable_and_says_so(tmp_path) -> None:
    with pytest.raises(FeedUnavailable, match=r"can't be listed \(No such file or directory\); see that it is there"):
        feed_of(tmp_path / "away").discover("")


def test_a_cursor_is_bounded_and_one_that_is_none_begins_anew(tmp_path) -> None:
    place = tmp_path
    for _ in range(8):
        place = place / ("n" * 250)
        place.mkdir()
    (place / "a.fits").write_bytes(b"a")
    feed = feed_of(tmp_path, depth=8)
    assert len(feed.discover("").cursor) < LONGEST_CURSOR
    assert len(names(feed.discover("soon"))) == 1
