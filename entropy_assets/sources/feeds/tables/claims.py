"""What feeds may claim, each by itself and together: by the recipe, their kinds and their lanes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from entropy_assets.recipe import DROP, Recipe
from entropy_assets.sources.feeds.tables.fields import FeedTable
from entropy_assets.sources.feeds.tables.local import CommandTable, SimulatedTable

PICTURES: Final = ("apod", "epic", "mars-raw", "nasa-images", "sdo-latest")
"""Sources of the recipes that stand for decoded pictures."""
Told: TypeAlias = Callable[[str, str], str]
"""Gives the beginning of a sentence on a feed and a field of it."""


def wrong_claims(feeds: Mapping[str, FeedTable], recipe: Recipe, told: Told) -> Iterable[str]:
    """Yield what is wrong with what the feeds claim: sources that nobody knows, or that can't be where they are."""
    known = (*recipe.sources, DROP)
    for name, table in feeds.items():
        usual = type(table).model_fields["claim"].default
        if table.claim not in known:
            yield f"{told(name, 'claim')} is no source of {recipe.name}; known are {', '.join(known)}"
        elif table.claim == "simulated" and not isinstance(table, SimulatedTable):
            yield f"{told(name, 'claim')}: only the kind simulated may claim simulated"
        elif isinstance(table, CommandTable) and table.frames == "decoded" and table.claim not in (*PICTURES, DROP):
            yield f"{told(name, 'claim')}: decoded frames are pictures; claim {DROP} or {' or '.join(PICTURES)}"
        elif usual in recipe.sources and table.claim != DROP and recipe.claim_of(table.claim) > recipe.claim_of(usual):
            yield f"{told(name, 'claim')}: its images are worth what {usual} is at most; claim that, or {DROP}"


def wrong_lanes(feeds: Mapping[str, FeedTable], told: Told) -> Iterable[str]:
    """Yield what is wrong with the lanes: a batch is of one source and in one lane."""
    first: dict[str, str] = {}
    for name, table in feeds.items():
        other = first.setdefault(table.claim, name)
        if feeds[other].lane != table.lane:
            yield (
                f"{told(name, 'lane')} is not that of {other}, and both claim {table.claim}: a batch is of one"
                " source and in one lane, so give them the same"
            )
