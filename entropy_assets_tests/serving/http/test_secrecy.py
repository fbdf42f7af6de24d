"""What the public faces of the service keep to themselves: where its servers and files are."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from entropy_assets.provenance.trail import Trail
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.stores.batches import BatchStore
from entropy_assets.stores.images import ImageStore
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets_tests.serving.keyed import eventually
from entropy_assets_tests.serving.running import RunningService

BLOCK = "00000000-0000-8000-8000-000000000000"


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[RunningService]:
    """Run a service whose pool is away, whose ledger is none, and whose keys became unreadable."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{probe.getsockname()[1]}"
        (tmp_path / "ledger.sqlite").write_bytes(b"no database" * 500)
        trail = Trail(
            Ledger(tmp_path / "ledger.sqlite", readonly=True), BatchStore(tmp_path / "b"), ImageStore(tmp_path / "i")
        )
        keys = tmp_path / "keys.json"
        config = ServiceConfig(pool_url=url, keys=str(keys))
        with RunningService(config, trail) as service:
            keys.write_text("broken")
            eventually(lambda: "keys-unreadable" in service.client.get("/health").text)
            yield service


@pytest.mark.parametrize(
    "path", ["/health", "/readyz", "/random/16", "/stats", f"/blocks/{BLOCK}", "/batches", "/download/9"]
)
def test_no_address_and_no_folder_is_told(broken: RunningService, path: str, tmp_path: Path) -> None:
    text = broken.client.get(path).text
    port = broken.application.service.config.pool_url.rpartition(":")[2]
    assert (port in text, str(tmp_path) in text) == (False, False), text


def test_what_it_is_about_is_told(broken: RunningService) -> None:
    codes = {each["code"] for each in broken.client.get("/health").json()["reasons"]}
    assert {"pool-unavailable", "keys-unreadable", "ledger-error"} <= codes


@pytest.mark.parametrize(
    "path", ["/stats", "/livez", "/readyz", "/health", "/nothing", f"/blocks/{BLOCK}", "/metrics", "/random/0"]
)
def test_no_cache_keeps_what_may_need_a_key(broken: RunningService, path: str) -> None:
    """A cache takes the key in X-API-Key for any other header, and would give the answer to everybody."""
    assert broken.client.get(path).headers["Cache-Control"] == "no-store"


def test_no_answer_leads_elsewhere_by_the_host_that_was_sent(broken: RunningService) -> None:
    answer = broken.client.get("/random/16/", headers={"Host": "localhost:1"})
    assert (answer.status_code, answer.headers.get("Location")) == (404, None)


def test_the_docs_page_talks_to_this_service_alone_and_stands_in_no_frame(broken: RunningService) -> None:
    """People type API keys into it."""
    policy = broken.client.get("/docs").headers["Content-Security-Policy"]
    assert {"default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
