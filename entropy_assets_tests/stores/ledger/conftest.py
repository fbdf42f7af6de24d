"""Each test that takes these fixtures is made on both kinds of ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from entropy_assets.stores.ledger.record import Ledger
from entropy_assets_tests.stores.ledger.places import Places

TIME_US = 1_790_000_000_000_000


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Places]:
    """Give places for ledgers, with nothing in them."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    places = Places(tmp_path, server)
    yield places
    places.clear()


@pytest.fixture
def ledger(places: Places) -> Ledger:
    """Give an empty ledger whose clock stands still."""
    return Ledger(places.of(), clock=lambda: TIME_US * 1000)
