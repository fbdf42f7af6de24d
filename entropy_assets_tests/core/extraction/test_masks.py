"""What is looked for in a whole frame is looked for where the recipe limits it, and nowhere else."""

from functools import partial

import pytest

from entropy_assets.core.extraction.survey import survey_frame
from entropy_assets.recipe import RECIPES
from entropy_assets_tests.core.frames import frame, white


def test_the_searches_for_made_noise_cost_earlier_recipes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a recipe does not limit is not looked for; both recipes of 2026-2 look for all five."""
    looked: list[str] = []
    for name, found in (
        ("dithered_share", 0.0),
        ("empty_spectrum_share", 0.0),
        ("relative_complexity", 1.0),
        ("repeated_noise_share", 0.0),
        ("lattice_rise", 0.0),
    ):
        search = partial(lambda name, found, *_: looked.append(name) or found, name, found)
        monkeypatch.setattr(f"entropy_assets.core.extraction.masks.{name}", search)
    counts = {}
    for recipe in RECIPES.values():
        looked.clear()
        survey_frame(frame(white()), recipe)
        counts[recipe.name] = len(looked)
    assert counts == {"ea-2026-2": 5, "ea-2026-2-strict": 5, "ea-2026-1": 0, "ea-2026-1-strict": 0}
