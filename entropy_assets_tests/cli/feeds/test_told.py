"""The example holds a table of each kind, and a feed that is added gets a name that no other has."""

from entropy_assets.cli.feeds.told import answer_of, free_name, how_often, tables_of, utc
from entropy_assets.recipe import STANDARD
from entropy_assets.sources.feeds.configuration import KINDS, Configuration, example, parsed
from entropy_assets.sources.feeds.roster import opened_feeds


def test_each_kind_has_a_table_that_is_read_as_it_stands() -> None:
    tables = tables_of(example())
    assert {kind for kind, _, _ in tables} == set(KINDS)
    for _, name, text in tables:
        assert list(parsed(text.encode(), STANDARD).feeds) == [name]


def test_a_name_that_is_taken_gets_a_number() -> None:
    taken = Configuration(dict.fromkeys(("sun", "sun-2")))
    assert (free_name("sun", taken), free_name("sea", taken)) == ("sun-3", "sea")


def test_times_are_told_shortly() -> None:
    assert (utc(None), utc(0.0)) == ("-", "01-01 00:00Z")
    assert how_often({"since_s": 0.0, "times": 3}) == " (3 looks in vain since 01-01 00:00Z)"
    assert how_often({"since_s": 0.0, "times": 1}) == " (1 look in vain since 01-01 00:00Z)"
    assert how_often({"since_s": None, "times": 0}) == ""


def test_a_folder_of_which_nothing_fits_says_what_it_looks_for(tmp_path) -> None:
    text = f'[feed.mine]\nkind = "folder"\npath = "{tmp_path}"\nclaim = "drop"\nsettle_seconds = 0\n'
    configuration = parsed(text.encode(), STANDARD)
    [feed] = opened_feeds(configuration, ["mine"], {})
    assert answer_of(feed, configuration.feeds["mine"])["words"] == "answers with 0 images; its pattern is *.fit*"
    (tmp_path / "a.tiff").write_bytes(b"a")
    words = "answers with 0 images; 1 other file left out, by pattern (*.fit*) or size"
    assert answer_of(feed, configuration.feeds["mine"])["words"] == words
    (tmp_path / "a.fits").write_bytes(b"a")
    assert answer_of(feed, configuration.feeds["mine"])["words"].startswith("answers with 1 image, the newest of 2")
