"""Where a block comes from and what became of the newest batches, over real HTTP."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.provenance.trail import Trail
from entropy_assets.serving import service as service_module
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.http import provenance as provenance_module
from entropy_assets.serving.http.provenance import RecentBatches, Thumbnails
from entropy_assets.serving.service import RandomService
from entropy_assets.stores.lanes import Fate
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.storage import LedgerServer
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.serving.supplies import KNOWN_BLOCK, OneBlock
from entropy_assets_tests.stages.batches_made import TIME_NS, Place

SECOND_NS = 1_000_000_000


@pytest.fixture
def service(config: ServiceConfig) -> Iterator[RunningService]:
    with RunningService(config, OneBlock()) as running:
        yield running


def test_a_block_leads_to_its_provenance(service: RunningService) -> None:
    assert service.client.get(f"/blocks/{KNOWN_BLOCK}").json() == {"block_id": KNOWN_BLOCK, "batch": "b", "images": []}


def test_a_ledger_that_fails_is_a_problem_not_a_crash(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OneBlock, "failing", True)
    answer = service.client.get(f"/blocks/{KNOWN_BLOCK}")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/ledger-error")


class Away(OneBlock):
    """A ledger whose server is not there."""

    def tell(self, block_id: str, fate: Fate | None) -> dict[str, Any] | None:
        """Ask it."""
        Ledger(LedgerServer("postgresql+psycopg://u@/db?host=/dev/null"), readonly=True).head()
        return None


def test_a_ledgers_server_that_is_away_is_a_problem_of_a_type_of_its_own(config: ServiceConfig) -> None:
    with RunningService(config, Away()) as service:
        answer = service.client.get(f"/blocks/{KNOWN_BLOCK}")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/ledger-unavailable")
    assert "/dev/null" not in answer.text


class Hanging(OneBlock):
    """A ledger on a mount that hangs until the test is over."""

    def __init__(self) -> None:
        self.ends = threading.Event()

    def tell(self, block_id: str, fate: Fate | None) -> dict[str, Any] | None:
        """Hang."""
        self.ends.wait(60)
        return None

    def recent(self, limit: int) -> list[dict[str, Any]]:
        """Hang."""
        self.ends.wait(60)
        return []


def test_a_ledger_that_hangs_is_a_problem_in_bounded_time(
    config: ServiceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the service ends when it is told, though nothing ever comes back from there."""
    for module in (service_module, provenance_module):
        monkeypatch.setattr(module, "LOOKUP_S", 0.2)
    hanging = Hanging()
    with RunningService(config, hanging) as service:
        for path in (f"/blocks/{KNOWN_BLOCK}", "/batches") * 3:
            answer = service.client.get(path, timeout=5)
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/ledger-error")
            assert int(answer.headers["Retry-After"]) >= 1
    hanging.ends.set()


class OnePicture(OneBlock):
    """A block with a picture of one image, which counts how often it is asked."""

    png = b"\x89PNG and more"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def thumbnail(self, block_id: str, image_sha256: str, fate: Fate | None) -> bytes | None:
        """Know the image ``ab...`` behind the one block."""
        self.asked.append(image_sha256[:2])
        return self.png if (block_id, image_sha256) == (KNOWN_BLOCK, "ab" * 32) else None


def test_a_picture_behind_a_block_is_kept_in_memory_and_can_be_nothing_but_a_picture(config: ServiceConfig) -> None:
    known = OnePicture()
    with RunningService(config, known) as service:
        for _ in range(3):
            answer = service.client.get(f"/blocks/{KNOWN_BLOCK}/thumbnails/{'ab' * 32}")
            assert (answer.status_code, answer.content) == (200, OnePicture.png)
            assert answer.headers["Content-Type"] == "image/png"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert "private" in answer.headers["Cache-Control"]
        for _ in range(2):
            answer = service.client.get(f"/blocks/{KNOWN_BLOCK}/thumbnails/{'cd' * 32}")
            assert (answer.status_code, answer.json()["type"]) == (404, "/problems/no-thumbnail")
        assert service.client.get(f"/blocks/{KNOWN_BLOCK}/thumbnails/x").json()["type"] == "/problems/invalid-request"
    assert known.asked == ["ab", "cd", "cd"], "what is not there yet is asked for again"


async def test_no_more_pictures_are_kept_than_memory_is_meant_for(
    config: ServiceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance_module, "MOST_THUMBNAILS", 2)
    known = OnePicture()
    monkeypatch.setattr(known, "thumbnail", lambda _block, image, _fate: known.asked.append(image) or b"png")
    service = RandomService(config, provenance=known)
    pictures = Thumbnails(service)
    for image in "abcaacb":
        assert await pictures.of(KNOWN_BLOCK, image) == b"png"
    service.pool.close()
    assert known.asked == list("abcab")


def test_without_a_ledger_provenance_says_so(config: ServiceConfig) -> None:
    with RunningService(config) as service:
        answer = service.client.get(f"/blocks/{KNOWN_BLOCK}")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/provenance-unavailable")


def test_the_service_lists_the_newest_batches(config: ServiceConfig, tmp_path: Path) -> None:
    place = Place(tmp_path)
    with RunningService(config, Trail.of(place)) as service:
        assert service.client.get("/batches").json() == {"batches": [], "dagster_url": None}
        keys = [place.open([("a", b"x")], time_ns=TIME_NS + n * SECOND_NS).key for n in range(12)]
        assert [row["key"] for row in service.client.get("/batches?limit=11").json()["batches"]] == keys[:0:-1]
        assert len(service.client.get("/batches").json()["batches"]) == 10
        for limit in ("0", "51", "x"):
            assert service.client.get(f"/batches?limit={limit}").json()["type"] == "/problems/invalid-request"


def test_a_name_that_is_no_text_is_listed_and_breaks_nothing(config: ServiceConfig, tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.open([("a\udcff\x1b[2J.fits", b"x")])
    with RunningService(config, Trail.of(place)) as service:
        answer = service.client.get("/batches")
        assert answer.status_code == 200
        [batch] = answer.json()["batches"]
        assert [image["file"] for image in batch["images"]] == [r"a\xff\x1b[2J.fits"]


def test_without_a_ledger_the_batches_say_so(config: ServiceConfig) -> None:
    with RunningService(config) as service:
        answer = service.client.get("/batches")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/provenance-unavailable")


@dataclass
class CountedReads:
    """Provenance that counts how often it is read."""

    reads: int = 0

    def find(self, block_id: str) -> dict[str, Any] | None:
        return None

    def recent(self, limit: int) -> list[dict[str, Any]]:
        self.reads += 1
        return [{"key": f"{self.reads}-{number}"} for number in range(min(limit, 20))]


async def test_many_readers_cost_two_readings_a_second() -> None:
    """Every open page asks again and again, and a batch costs several files."""
    now, counted = [100.0], CountedReads()
    recent = RecentBatches(counted, lambda: now[0])
    assert len(await recent.newest(10)) == 10
    assert await recent.newest(3) == (await recent.newest(10))[:3]
    assert counted.reads == 1
    for limit in range(11, 21):
        assert len(await recent.newest(limit)) == limit
    assert counted.reads == 2
    now[0] += 1.5
    await recent.newest(3)
    assert counted.reads == 3
