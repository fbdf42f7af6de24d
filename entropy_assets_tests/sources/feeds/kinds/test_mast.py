"""MAST: raw files of what was released lately; an answer that is being made is asked for again, and not for ever."""

import json
from urllib.parse import unquote_plus

import pytest

from entropy_assets.sources.feeds.interface import FeedLies, FeedUnavailable
from entropy_assets.sources.feeds.kinds.mast import MJD_ZERO, MOST_POLLS, PAUSE_S, MastFeed
from entropy_assets_tests.sources.feeds.replaying import NOW, Question, Replay, clock, fits, served, table_of

INVOKE = "https://mast.stsci.edu/api/v0/invoke"  # documented, DATA.md 2
FILE = "https://mast.stsci.edu/api/v0.1/Download/file"
TODAY = (NOW - MJD_ZERO).total_seconds() / 86_400
EXECUTING = b'{"status": "EXECUTING", "msg": "", "data": [], "paging": {}}'


def product(name: str, **more: object) -> dict[str, object]:
    """Return a row of a documented answer, DATA.md 2."""
    return {"productFilename": name, "dataURI": f"mast:HST/product/{name}", "size": 10_820_160} | more


def complete(rows: list[dict[str, object]]) -> bytes:
    return json.dumps({"status": "COMPLETE", "data": rows, "paging": {"page": 1}}).encode()


class Archive:
    """Answers as the service does: observations by ``Mast.Caom.Filtered``, their files by ``Mast.Caom.Products``."""

    def __init__(
        self, released: dict[int, float], products: dict[int, list[dict[str, object]]], polls: int = 0
    ) -> None:
        self.released = released
        self.products = products
        self.polls = polls

    def __call__(self, asked: Question) -> bytes:
        request = json.loads(unquote_plus(asked.form["request"]))
        if self.polls:
            self.polls -= 1
            return EXECUTING
        if request["service"] == "Mast.Caom.Products":
            return complete(self.products[int(request["params"]["obsid"])])
        assert request["service"] == "Mast.Caom.Filtered"
        wanted = {each["paramName"]: each["values"] for each in request["params"]["filters"]}
        assert wanted["dataRights"] == ["PUBLIC"]
        bounds = wanted["t_obs_release"][0]
        rows = [
            {"obsid": obsid, "t_obs_release": at, "instrument_name": "WFC3/IR", "target_name": "ANY"}
            for obsid, at in self.released.items()
            if bounds["min"] <= at <= bounds["max"]
        ]
        return complete(rows)


RAW = [product("ib6o23rsq_raw.fits"), product("ib6o23rsq_flt.fits"), product("ib6o23rsq_raw.jpg")]


def feed_of(archive, pauses: list[float] | None = None, **fields) -> MastFeed:
    waited = [] if pauses is None else pauses
    return MastFeed("mine", table_of("mast", **fields), Replay({INVOKE: archive}), clock, waited.append)


def names(discovery) -> list[str]:
    return [candidate.url.rpartition("%2F")[2] for candidate in discovery.candidates]


def behind(released: float, obsid: int) -> str:
    """Return the cursor of one for which all up to an observation is done."""
    return json.dumps(f"{released:020.9f} {obsid:016}")


def test_an_observation_that_appears_after_later_ones_is_taken_all_the_same() -> None:
    """What counts as released at one moment is in the archive at another one."""
    archive = Archive({9: TODAY - 0.5}, {9: RAW, 7: [product("late_raw.fits")]})
    first = feed_of(archive).discover("")
    archive.released[7] = TODAY - 0.9
    second = feed_of(archive).discover(first.cursor)
    assert (names(first), names(second)) == (["ib6o23rsq_raw.fits"], ["late_raw.fits"])
    assert names(feed_of(archive).discover(second.cursor)) == []


def test_the_first_look_takes_the_raw_files_of_the_newest_observation() -> None:
    archive = Archive({7: TODAY - 2, 9: TODAY - 0.5, 8: TODAY - 1}, {9: RAW})
    found = feed_of(archive).discover("")
    assert [candidate.url for candidate in found.candidates] == [
        f"{FILE}?uri=mast%3AHST%2Fproduct%2Fib6o23rsq_raw.fits"
    ]
    [candidate] = found.candidates
    assert (candidate.size, candidate.instrument) == (10_820_160, "HST WFC3/IR")
    assert candidate.dated_at == "2026-11-28T20:33:05Z"
    assert names(feed_of(archive).discover(found.cursor)) == [], "older ones were left"


def test_what_was_released_since_follows_in_its_order_and_each_once() -> None:
    rows = {n: [product(f"o{n}_raw.fits")] for n in range(5)}
    archive = Archive({n: TODAY - 1 + n / 100 for n in range(5)}, rows)
    feed = feed_of(archive, max_files=2)
    found = feed.discover(behind(TODAY - 1, 0))
    assert (names(found), found.is_whole) == (["o1_raw.fits", "o2_raw.fits"], False)
    found = feed.discover(found.cursor)
    assert (names(found), found.is_whole) == (["o3_raw.fits", "o4_raw.fits"], True)
    again = feed.discover(found.cursor)
    assert (names(again), again.cursor, again.is_whole) == ([], found.cursor, True)


def test_observations_released_at_the_same_moment_are_told_apart() -> None:
    archive = Archive({2: TODAY - 1, 1: TODAY - 1, 3: TODAY - 1}, {n: [product(f"o{n}_raw.fits")] for n in range(4)})
    feed = feed_of(archive, max_files=1)
    found = feed.discover(behind(TODAY - 1, 1))
    assert names(found) == ["o2_raw.fits"]
    assert names(feed.discover(found.cursor)) == ["o3_raw.fits"]


def test_observations_that_are_named_are_the_only_ones() -> None:
    feed = feed_of(Archive({}, {5: RAW, 44: [product("b_uncal.fits")]}), observations=["44", "5"])
    found = feed.discover("")
    assert names(found) == ["ib6o23rsq_raw.fits", "b_uncal.fits"]
    assert found.candidates[0].dated_at is None
    assert names(feed.discover(found.cursor)) == []


@pytest.mark.parametrize(
    "row",
    [
        product("a_raw.fits", dataURI=None),
        product("a_raw.fits", dataURI="https://elsewhere.example.org/a_raw.fits"),
        product("a_raw.fits", dataRights="EXCLUSIVE_ACCESS"),
        product("a_flt.fits"),
    ],
)
def test_what_is_not_raw_or_not_public_is_left_out(row) -> None:
    assert names(feed_of(Archive({1: TODAY}, {1: [row]})).discover("")) == []


def test_an_answer_that_is_being_made_is_asked_for_again_after_a_pause() -> None:
    pauses: list[float] = []
    archive = Archive({9: TODAY}, {9: RAW}, polls=MOST_POLLS - 1)
    assert len(names(feed_of(archive, pauses).discover(""))) == 1
    assert pauses == [PAUSE_S] * (MOST_POLLS - 1)


def test_an_answer_that_is_never_made_is_given_up() -> None:
    pauses: list[float] = []
    with pytest.raises(FeedUnavailable, match="EXECUTING") as gone:
        feed_of(lambda _: EXECUTING, pauses).discover("")
    assert len(pauses) == MOST_POLLS - 1
    assert gone.value.data["retry_after_s"] == 300


def test_a_failure_is_told_at_once() -> None:
    pauses: list[float] = []
    with pytest.raises(FeedUnavailable, match="ERROR"):
        feed_of(lambda _: b'{"status": "ERROR", "msg": "no"}', pauses).discover("")
    assert pauses == []


@pytest.mark.parametrize(
    "answer",
    [
        b"<html></html>",
        b"{}",
        b'{"status": "COMPLETE", "data": [{"obsid": "x"}]}',
        b'{"status": "COMPLETE", "data": [{"obsid": 1, "t_obs_release": NaN}]}',
        b'{"status": "COMPLETE", "data": [{"obsid": 1, "t_obs_release": 1e300}]}',
    ],
)
def test_what_is_no_answer_of_it_is_a_lie(answer) -> None:
    with pytest.raises(FeedLies):
        feed_of(answer).discover("")


@pytest.mark.parametrize("cursor", ["x", "[]", "[1]", "[NaN, 1]", '["a", 2]', "null", "[1e999, 2]"])
def test_a_cursor_that_is_none_begins_anew_within_the_lookback(cursor) -> None:
    archive = Archive({1: TODAY - 30, 9: TODAY}, {9: RAW})
    assert names(feed_of(archive).discover(cursor)) == ["ib6o23rsq_raw.fits"]


def test_over_http() -> None:
    table = table_of("mast")
    archive = Archive({9: TODAY}, {9: RAW}, polls=1)
    with served(table, {INVOKE: archive, FILE: fits()}) as (reader, targets):
        feed = MastFeed("mine", table, reader, clock, lambda _: None)
        fetched = feed.fetch(feed.discover("").candidates[0])
    assert fetched is not None
    assert (fetched.name, fetched.data) == ("ib6o23rsq_raw.fits", fits())
    assert targets[-1] == "/api/v0.1/Download/file?uri=mast%3AHST%2Fproduct%2Fib6o23rsq_raw.fits"
