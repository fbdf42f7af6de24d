"""A walk gives each entry once, the oldest first, keeps no more than a bounded cursor, and finds out circles."""

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from entropy_assets.sources.feeds.interface import LONGEST_CURSOR, Candidate
from entropy_assets.sources.feeds.periods import HORIZON, LOOKS_BACK, MOST_PAGES, DatedPlace, Entry, Walk
from entropy_assets_tests.sources.feeds.replaying import NOW


class Shelf:
    """Listings by place, in pages of ten."""

    def __init__(self, names: dict[str, list[str]], page: int = 10) -> None:
        self.names = names
        self.page = page
        self.asked: list[tuple[str, str]] = []

    def listing(self, place: str, after: str) -> tuple[Sequence[Entry], bool]:
        self.asked.append((place, after))
        names = [name for name in sorted(self.names.get(place, [])) if name > after]
        return [Entry(name, Candidate(url=place + name)) for name in names[: self.page]], len(names) > self.page


def urls(discovery) -> list[str]:
    return [candidate.url for candidate in discovery.candidates]


@pytest.mark.parametrize(
    "template, place, begin, end",
    [
        ("{year}/{yearday}/{hour}/", "2026/333/08/", "2026-11-29T08:00", "2026-11-29T09:00"),
        ("{year}/{month}/{day}/", "2026/11/29/", "2026-11-29T00:00", "2026-11-30T00:00"),
        ("{year}{month}", "202611", "2026-11-01T00:00", "2026-12-01T00:00"),
        ("y{year}", "y2026", "2026-01-01T00:00", "2027-01-01T00:00"),
        ("plain", "plain", "1970-01-01T00:00", "9999-12-31T23:59"),
    ],
)
def test_a_place_has_the_period_of_its_smallest_unit(template, place, begin, end) -> None:
    dated = DatedPlace(template)
    period = dated.begin(NOW)
    assert dated.at(period) == place
    assert (f"{period:%Y-%m-%dT%H:%M}", f"{dated.end(period):%Y-%m-%dT%H:%M}") == (begin, end)


def test_periods_follow_each_other_without_a_gap_through_all_months() -> None:
    for template in ("{year}/{month}", "{year}", "{year}{yearday}"):
        dated = DatedPlace(template)
        first = dated.begin(NOW)
        periods = list(dated.periods(first, first + timedelta(days=1500)))
        assert all(dated.begin(period) == period for period in periods)
        assert len({dated.at(period) for period in periods}) == len(periods)


def test_the_first_look_gives_the_newest_alone_and_the_next_ones_what_came_since() -> None:
    shelf = Shelf({"2026/11/29/": [f"{n:03}" for n in range(35)]})
    walk = Walk(DatedPlace("{year}/{month}/{day}/"), shelf.listing, most=4)
    first = walk.discover("", NOW)
    assert (urls(first), first.is_whole) == ([f"2026/11/29/{n:03}" for n in range(31, 35)], True)
    assert walk.discover(first.cursor, NOW).candidates == []
    shelf.names["2026/11/29/"] += ["035", "036"]
    assert urls(walk.discover(first.cursor, NOW)) == ["2026/11/29/035", "2026/11/29/036"]


def test_the_first_look_goes_back_until_something_is_there() -> None:
    walk = Walk(DatedPlace("{year}/{month}/{day}/"), (shelf := Shelf({"2026/11/26/": ["a"]})).listing, most=4)
    assert urls(walk.discover("", NOW)) == ["2026/11/26/a"]
    shelf.names.clear()
    nothing = walk.discover("", NOW)
    assert (nothing.candidates, nothing.is_whole) == ([], True)
    assert len({place for place, _ in shelf.asked}) == LOOKS_BACK
    shelf.names["2026/11/29/"] = ["b"]
    assert urls(walk.discover(nothing.cursor, NOW)) == ["2026/11/29/b"]


def test_from_the_oldest_the_first_look_begins_at_the_beginning() -> None:
    shelf = Shelf({"plain": [f"{n:03}" for n in range(25)]})
    walk = Walk(DatedPlace("plain"), shelf.listing, most=10, from_the_oldest=True)
    cursor, seen, wholes = "", [], []
    for _ in range(4):
        found = walk.discover(cursor, NOW)
        cursor, seen, wholes = found.cursor, seen + urls(found), [*wholes, found.is_whole]
    assert seen == [f"plain{n:03}" for n in range(25)]
    assert wholes == [False, False, True, True]


def test_ten_thousand_entries_are_walked_in_order_without_one_left_out() -> None:
    shelf = Shelf({"plain": [f"{n:05}" for n in range(10_000)]}, page=1000)
    walk = Walk(DatedPlace("plain"), shelf.listing, most=700, from_the_oldest=True)
    found = walk.discover("", NOW)
    seen = urls(found)
    while not found.is_whole:
        found = walk.discover(found.cursor, NOW)
        assert len(found.candidates) <= 700
        seen += urls(found)
    assert seen == [f"plain{n:05}" for n in range(10_000)]


def test_who_was_away_goes_on_where_it_was_and_no_further_back_than_the_horizon() -> None:
    days = {f"{NOW - timedelta(days=n):%Y/%m/%d}/": ["a"] for n in range(40)}
    walk = Walk(DatedPlace("{year}/{month}/{day}/"), Shelf(days).listing, most=100)
    away = walk.discover(json.dumps({"2026-11-26T00:00Z": "a"}), NOW)
    assert urls(away) == ["2026/11/27/a", "2026/11/28/a", "2026/11/29/a"]
    long_away = walk.discover(json.dumps({"2026-01-01T00:00Z": "a"}), NOW)
    assert urls(long_away)[0] == f"{NOW - HORIZON:%Y/%m/%d}/a"
    assert len(urls(long_away)) == HORIZON.days + 1


def test_each_call_asks_for_a_bounded_number_of_pages() -> None:
    shelf = Shelf({})
    walk = Walk(DatedPlace("{year}/{yearday}/{hour}/"), shelf.listing, most=100)
    found = walk.discover(json.dumps({"2026-11-27T00:00Z": ""}), NOW)
    assert (len(shelf.asked), found.is_whole) == (MOST_PAGES, False)
    calls = 1
    while not found.is_whole:
        found, calls = walk.discover(found.cursor, NOW), calls + 1
    assert calls < 10


def test_a_name_that_sorts_before_what_was_had_is_found_all_the_same() -> None:
    shelf = Shelf({"plain": ["light-1", "light-2"]})
    walk = Walk(DatedPlace("plain"), shelf.listing, most=4)
    first = walk.discover("", NOW)
    shelf.names["plain"] += ["bias-1", "light-15"]
    second = walk.discover(first.cursor, NOW)
    assert urls(second) == ["plainbias-1", "plainlight-15"]
    assert walk.discover(second.cursor, NOW).candidates == []


def test_of_a_listing_in_pages_the_last_page_is_looked_at_again_and_no_more() -> None:
    shelf = Shelf({"plain": [f"{n:05}" for n in range(500)]})
    walk = Walk(DatedPlace("plain"), shelf.listing, most=7, from_the_oldest=True)
    cursor, seen, most_asked = "", [], 0
    for look in range(80):
        before = len(shelf.asked)
        found = walk.discover(cursor, NOW)
        cursor, seen = found.cursor, seen + urls(found)
        most_asked = max(most_asked, len(shelf.asked) - before)
        if look == 40:
            shelf.names["plain"] += [f"{seen[-1].removeprefix('plain')}-late", f"{shelf.asked[-1][1]}-early"]
    assert len(seen) == len(set(seen)) == 502
    assert len(cursor) < 400
    assert most_asked <= 4


def test_a_folder_by_day_is_looked_at_for_a_day_after_it_ended() -> None:
    """A telescope's night ends in the morning, and its frames may lie in the folder of the evening."""
    shelf = Shelf({"2026/11/28/": ["a"], "2026/11/29/": ["b"]})
    walk = Walk(DatedPlace("{year}/{month}/{day}/"), shelf.listing, most=4)
    cursor = walk.discover(json.dumps({"2026-11-28T00:00Z": "a"}), NOW).cursor
    shelf.names["2026/11/28/"] = ["0", "a"]
    assert urls(walk.discover(cursor, NOW)) == []  # before the floor that an old cursor told
    shelf.names["2026/11/28/"].append("z")
    assert urls(walk.discover(cursor, NOW)) == ["2026/11/28/z"]


def test_what_arrives_late_in_the_last_period_is_found_for_an_hour() -> None:
    shelf = Shelf({"2026/333/07/": ["a"], "2026/333/08/": ["a"]})
    walk = Walk(DatedPlace("{year}/{yearday}/{hour}/"), shelf.listing, most=100)
    cursor = walk.discover(json.dumps({"2026-11-29T07:00Z": "a"}), NOW).cursor
    shelf.names["2026/333/07/"].append("late")
    late = walk.discover(cursor, NOW)
    assert urls(late) == ["2026/333/07/late"]
    closed = walk.discover(late.cursor, NOW + timedelta(hours=1))
    assert [*json.loads(closed.cursor)] == ["2026-11-29T08:00Z", "2026-11-29T09:00Z"]


def test_entries_that_are_no_image_are_walked_past() -> None:
    def listing(place: str, after: str) -> tuple[Sequence[Entry], bool]:
        orders = [f"{n:02}" for n in range(30) if f"{n:02}" > after][:10]
        return [Entry(order, Candidate(url=order) if order == "29" else None) for order in orders], orders[-1:] != [
            "29"
        ]

    walk = Walk(DatedPlace("plain"), listing, most=2)
    assert urls(walk.discover("", NOW)) == ["29"]
    assert urls(walk.discover('{"1970-01-01T00:00Z": "05"}', NOW)) == ["29"]


@pytest.mark.parametrize(
    "page",
    [
        ([Entry("a", None), Entry("a", None)], False),
        ([Entry("b", None), Entry("a", None)], False),
        ([Entry("0", None)], True),
        ([], True),
    ],
    ids=["the same twice", "out of order", "back to the beginning", "more of nothing"],
)
def test_a_listing_that_leads_in_a_circle_is_found_out(page) -> None:
    walk = Walk(DatedPlace("plain"), lambda *_: page, most=2)
    with pytest.raises(ValueError, match=r"leads in a circle|more follows"):
        walk.discover('{"1970-01-01T00:00Z": "1"}', NOW)


@pytest.mark.parametrize("cursor", ["{", "[]", "7", '{"soon": "a"}', '{"2026-11-29T00:00Z": 7}', "\ud800"])
def test_a_cursor_that_is_none_begins_anew(cursor) -> None:
    walk = Walk(DatedPlace("plain"), Shelf({"plain": ["a", "b"]}).listing, most=1)
    assert urls(walk.discover(cursor, NOW)) == ["plainb"]


def test_a_name_too_long_to_be_remembered_is_refused() -> None:
    shelf = Shelf({"plain": [f"{n}" + "a" * LONGEST_CURSOR for n in range(3)]}, page=1)
    walk = Walk(DatedPlace("plain"), shelf.listing, most=1)
    with pytest.raises(ValueError, match="too long, or too many, to be remembered"):
        walk.discover("", NOW)


def test_nobody_who_fills_a_listing_can_tell_the_mark_of_an_entry() -> None:
    """Of 48 bits a twin is found: who knew the marks could list one for each image that is to come, and hide them."""
    shelf = Shelf({"plain": [f"{n}" for n in range(9)]})
    marks = []
    for _ in range(2):
        walk = Walk(DatedPlace("plain"), shelf.listing, most=9)
        cursor = walk.discover("", NOW).cursor
        again = walk.discover(cursor, NOW)
        assert (urls(again), again.cursor) == ([], cursor)
        [(_, told, _)] = json.loads(cursor).values()
        marks.append({told[place : place + 8] for place in range(0, len(told), 8)})
    assert len(marks[0]) == len(marks[1]) == 9
    assert marks[0].isdisjoint(marks[1])
