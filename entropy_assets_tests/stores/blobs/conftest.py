"""Both stores, for the tests of what they have in common."""

from pathlib import Path

import pytest

from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.opening import blobs_at


@pytest.fixture(params=["folder", "objects"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Give an empty store, once in a folder and once on an S3 server."""
    if request.param == "folder":
        return blobs_at(tmp_path, "top")
    return blobs_at(str(request.getfixturevalue("object_store")), "top")
