"""The store at a place."""

import subprocess
import sys
from pathlib import Path

import pytest

from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.blobs.objects import ObjectBlobs
from entropy_assets.stores.blobs.opening import blobs_at, refuse_unsafe
from entropy_assets.stores.blobs.refusals import StoreAddressInvalid


def test_a_path_is_a_folder_and_a_url_an_object_store(tmp_path: Path) -> None:
    folder, objects = blobs_at(tmp_path, "images"), blobs_at("s3://bucket/prefix", "images")
    assert isinstance(folder, FolderBlobs)
    assert folder.root == tmp_path / "images"
    assert isinstance(objects, ObjectBlobs)
    assert (objects.url, objects.folder) == ("s3://bucket/prefix", "images")


def test_a_good_store_is_not_refused_and_no_address_is(object_store: str) -> None:
    refuse_unsafe(object_store)
    with pytest.raises(StoreAddressInvalid):
        refuse_unsafe("bucket")


def test_who_keeps_all_in_folders_loads_no_client() -> None:
    script = (
        "import sys; from pathlib import Path; from entropy_assets.stores.home import Home; "
        "Home(Path('nowhere')).batches(); sys.exit('obstore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
