"""A store that ignores the condition is refused before anything is created in it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from entropy_assets.stores.blobs.objects import ObjectBlobs
from entropy_assets.stores.blobs.probe import PROBES
from entropy_assets.stores.blobs.refusals import StoreUnsafe
from entropy_assets_tests.ports import free_port
from entropy_assets_tests.stores.blobs.servers import BUCKET, CREDENTIALS, FaultyProxy, await_answer


@pytest.fixture
def proxy(s3_address: str, object_store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(s3_address)
    with proxy.running() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        yield proxy


def test_a_store_that_ignores_the_condition_is_refused(proxy: FaultyProxy, object_store: str) -> None:
    """At the start, and by each call that would keep something, however often it is tried."""
    proxy.ignores_condition = True
    blobs = ObjectBlobs(object_store, "batches")
    with pytest.raises(StoreUnsafe, match=r"ignores 'If-None-Match: \*': 5 writers created the same name"):
        blobs.probe()
    for change in (blobs.create, blobs.replace):
        with pytest.raises(StoreUnsafe):
            change("intake.json", b"1")
    assert ObjectBlobs(object_store).list().folders == (), "neither a probe nor a blob is left"


def test_a_store_that_honours_it_is_asked_once_in_a_process(proxy: FaultyProxy, object_store: str) -> None:
    ObjectBlobs(object_store).probe()
    probed = len(proxy.asked)
    assert probed > 0
    assert ObjectBlobs(object_store, "batches").create("a", b"1")
    assert [(method, PROBES in path) for method, path in proxy.asked[probed:]] == [("PUT", False)]


def test_who_only_reads_asks_nothing_more(proxy: FaultyProxy, object_store: str) -> None:
    """A service may have credentials that keep nothing."""
    assert ObjectBlobs(object_store).find("a") is None
    assert [method for method, _ in proxy.asked] == ["HEAD"]


@pytest.mark.slow
def test_the_one_of_rclone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers each of several writers that the name is theirs."""
    asked = ["rclone", "serve", "s3", "--help"]
    if shutil.which("rclone") is None or subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("needs rclone 1.65 or newer, which has 'serve s3'")
    (tmp_path / BUCKET).mkdir()
    address = f"127.0.0.1:{free_port()}"
    keys = f"{CREDENTIALS['AWS_ACCESS_KEY_ID']},{CREDENTIALS['AWS_SECRET_ACCESS_KEY']}"
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://{address}"}.items():
        monkeypatch.setenv(name, value)
    command = ["rclone", "serve", "s3", str(tmp_path), "--addr", address, "--auth-key", keys]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            await_answer(address)
            with pytest.raises(StoreUnsafe, match="writers created the same name"):
                ObjectBlobs(f"s3://{BUCKET}/top", "batches").probe()
        finally:
            server.kill()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [], "neither a probe nor a blob is left"
