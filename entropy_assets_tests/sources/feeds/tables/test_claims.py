"""What feeds may claim: a source of the recipe that fits their kind, and one lane for each."""

import pytest

from entropy_assets.recipe import DROP, STANDARD
from entropy_assets.sources.feeds.tables.claims import PICTURES, wrong_claims, wrong_lanes
from entropy_assets.sources.feeds.tables.fields import FeedTable
from entropy_assets.sources.feeds.tables.local import FolderTable, SimulatedTable
from entropy_assets.sources.feeds.tables.web import SdoLatestTable


def folder(claim: str, lane: str | None = None) -> FeedTable:
    return FolderTable.model_validate({"kind": "folder", "path": "/frames", "claim": claim, "lane": lane})


def told(feed: str, field: str) -> str:
    return f"{feed}.{field}"


def claims(table: FeedTable) -> list[str]:
    return list(wrong_claims({"a": table}, STANDARD, told))


@pytest.mark.parametrize("claim", ["raw-ccd", DROP])
def test_a_source_of_the_recipe_and_nobodys_may_be_claimed(claim: str) -> None:
    assert claims(folder(claim)) == []


def test_a_source_that_nobody_knows_may_not() -> None:
    [problem] = claims(folder("raw-cdc"))
    assert problem.startswith(f"a.claim is no source of {STANDARD.name}; known are samples, raw-ccd")


def test_only_what_is_simulated_may_say_so() -> None:
    assert claims(folder("simulated")) == ["a.claim: only the kind simulated may claim simulated"]
    assert claims(SimulatedTable.model_validate({"kind": "simulated"})) == []


def test_the_images_of_a_known_server_are_worth_no_more_than_its_source() -> None:
    table = SdoLatestTable.model_validate({"kind": "sdo-latest", "claim": "raw-ccd"})
    assert claims(table) == ["a.claim: its images are worth what sdo-latest is at most; claim that, or drop"]


def test_the_sources_of_pictures_are_sources() -> None:
    assert set(PICTURES) <= set(STANDARD.sources)


def test_feeds_of_one_claim_have_one_lane_and_others_their_own() -> None:
    feeds = {"a": folder("raw-ccd", "public"), "b": folder("raw-ccd"), "c": folder(DROP)}
    [problem] = wrong_lanes(feeds, told)
    assert problem.startswith("b.lane is not that of a, and both claim raw-ccd")
