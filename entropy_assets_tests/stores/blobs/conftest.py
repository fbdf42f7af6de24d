"""Both stores, for the tests of what they have in common."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.blobs.opening import blobs_at
from entropy_assets_tests.stores.blobs.ceph import PROGRAMS, DoesNotStartError, ceph_gateway
from entropy_assets_tests.stores.blobs.servers import BUCKET, CREDENTIALS


@pytest.fixture(scope="session")
def ceph_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Ceph of one of each for the whole session and give the address of its gateway, or skip."""
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        pytest.skip(f"needs a Ceph with its gateway; not installed: {', '.join(missing)}")
    with ExitStack() as stack:
        try:
            yield stack.enter_context(ceph_gateway(tmp_path_factory.mktemp("ceph")))
        except DoesNotStartError as error:
            pytest.skip(f"needs a Ceph, and the one that is installed does not start: {error}")


@pytest.fixture(params=["folder", "moto", pytest.param("ceph", marks=pytest.mark.slow)])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    """Give an empty store: in a folder, on an S3 server that is quickly there, and on one that people run."""
    if request.param == "folder":
        return blobs_at(tmp_path, "top")
    address = request.getfixturevalue({"moto": "s3_address", "ceph": "ceph_address"}[request.param])
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": address}.items():
        monkeypatch.setenv(name, value)
    return blobs_at(f"s3://{BUCKET}/{uuid4().hex}", "top")
