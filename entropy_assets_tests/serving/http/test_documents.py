"""What the page for people stands on: the newest batches, the way to it, and what the browser is told to refuse."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.errors import BlockRefused
from entropy_assets.provenance.trail import Trail
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.serving.http.documents import PAGE, wants_page
from entropy_assets.serving.http.provenance import RecentBatches
from entropy_assets.stages import conditioning, extraction, ingest, validation
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.stages.batches_made import LIMITS, TIME_NS, Place, break_conditioning, frame

SECOND_NS = 1_000_000_000


def trail_of(place: Place) -> Trail:
    return Trail.of(place)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_published_batch_shows_its_images_with_verdicts_and_its_blocks(place: Place, pool: PoolClient) -> None:
    batch = place.validated([("a.fits", frame(1)), ("text.fits", b"SIMPLE  = no image"), ("b.fits", frame(1))])
    publish_batch(batch, place.ledger(), pool, run_id="the-run", now_us=1_800_000_000_000_000)
    [found] = trail_of(place).recent(10)
    blocks = place.ledger().published_blocks(batch.key)
    assert (found["key"], found["source"], found["state"]) == (batch.key, "raw-ccd", "published")
    assert (found["time"], found["published_at"]) == ("2023-11-14T22:13:20+00:00", "2027-01-15T08:00:00+00:00")
    assert (found["blocks"], found["passed"], found["rejected"]) == (len(blocks), len(blocks), 0)
    assert found["block_ids"] == [block.block_id for block in blocks]
    assert [(row["file"], row["accepted"], row["reason"]) for row in found["images"]] == [
        ("a.fits", True, None),
        ("text.fits", False, "truncated"),
        ("b.fits", False, "replayed_file"),
    ]
    assert [row["credit_bits"] > 0 for row in found["images"]] == [True, False, False]
    assert found["simulated"], "the frames come from the simulated camera"


def test_no_byte_of_a_block_is_in_it(place: Place, pool: PoolClient) -> None:
    batch = place.validated([("a.fits", frame(1))])
    publish_batch(batch, place.ledger(), pool, run_id="", now_us=5)
    text = json.dumps(trail_of(place).recent(10))
    for leased in pool.lease(10).blocks:
        assert leased.block.data[:8].hex() not in text


def test_a_batch_at_work_shows_what_is_known_so_far(place: Place) -> None:
    """A reader of the page sees it at every stage, and no stage breaks the list."""
    batch = place.open([("a.fits", frame(1)), ("text.fits", b"no image")])

    def seen() -> tuple[str, list[bool | None]]:
        [found] = trail_of(place).recent(10)
        assert (found["published_at"], found["block_ids"]) == (None, [])
        return found["state"], [row["accepted"] for row in found["images"]]

    assert seen() == ("working", [None, None])
    ingest.read_images(batch, place.images(), LIMITS)
    assert seen() == ("working", [None, False])
    extraction.extract_noise(batch, place.images(), place.ledger(), LIMITS)
    assert seen() == ("working", [True, False])
    conditioning.hash_blocks(batch)
    assert seen() == ("working", [True, False])
    validation.validate_blocks(batch)
    assert seen() == ("validated", [True, False]), "the ids of blocks that are not published stay unsaid"


def test_a_batch_without_an_image_that_counts_is_rejected(place: Place) -> None:
    batch = place.open([("text.fits", b"no image")])
    ingest.read_images(batch, place.images(), LIMITS)
    assert trail_of(place).recent(1)[0]["state"] == "rejected"


def test_blocks_that_fail_are_counted_and_the_failed_tests_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    break_conditioning(monkeypatch)
    batch = place.hashed([("a.fits", frame(1))])
    with pytest.raises(BlockRefused, match="none of its blocks"):
        validation.validate_blocks(batch)
    [found] = trail_of(place).recent(1)
    assert (found["state"], found["passed"], found["published_at"]) == ("rejected", 0, None)
    assert found["rejected"] == found["blocks"] > 0
    assert "chi_square" in found["failed_tests"]


def test_the_newest_come_first_whatever_their_source(place: Place) -> None:
    """Keys begin with the source, so their own order is not that of time."""
    keys = []
    for seconds, source in enumerate(("zoo", "apogee", "raw-ccd")):
        keys.append(
            ingest.open_batch(
                place.batches(), place.images(), [("a", b"x")], source=source, time_ns=TIME_NS + seconds * SECOND_NS,
                os_bytes=b"\x07" * 32, recipe="ea-2026-1",
            ).key
        )  # fmt: skip
    assert [row["key"] for row in trail_of(place).recent(2)] == [keys[2], keys[1]]


@pytest.mark.parametrize("name", ["intake.json", "manifest.json", "noise.json", "verdicts.json"])
def test_a_damaged_batch_names_its_problem_and_hides_no_other(place: Place, name: str) -> None:
    batch = place.validated([("a.fits", frame(1))])
    other = place.open([("b.fits", frame(2))], time_ns=TIME_NS + SECOND_NS)
    (batch.root / name).write_text('{"rows": [5]}')
    found = trail_of(place).recent(10)
    assert [row["key"] for row in found] == [other.key, batch.key]
    assert "damaged" in found[1]["problem"]


def test_many_images_are_counted_and_not_all_named(place: Place) -> None:
    place.open([(f"{number}.fits", b"x") for number in range(200)])
    [found] = trail_of(place).recent(1)
    assert (found["image_count"], len(found["images"])) == (200, 64)


@pytest.fixture
def service(valkey_url: str, pool_prefix: str, place: Place) -> Iterator[RunningService]:
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix)
    with RunningService(config, trail_of(place)) as running:
        yield running


def test_the_service_lists_the_newest_batches(service: RunningService, place: Place) -> None:
    assert service.client.get("/batches").json() == {"batches": [], "dagster_url": None}
    keys = [place.open([("a", b"x")], time_ns=TIME_NS + n * SECOND_NS).key for n in range(12)]
    assert [row["key"] for row in service.client.get("/batches?limit=11").json()["batches"]] == keys[:0:-1]
    assert len(service.client.get("/batches").json()["batches"]) == 10
    for limit in ("0", "51", "x"):
        assert service.client.get(f"/batches?limit={limit}").json()["type"] == "/problems/invalid-request"


def test_without_a_ledger_the_batches_say_so(valkey_url: str, pool_prefix: str) -> None:
    with RunningService(ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix)) as service:
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


@pytest.mark.parametrize(
    "accept, page",
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", True),
        ("*/*", False),
        ("", False),
        ("application/json", False),
        ("application/json, text/html;q=0.5", False),
    ],
)
def test_browsers_get_the_page_and_programs_the_index(accept: str, page: bool) -> None:
    assert wants_page(accept) is page


def test_the_page_comes_with_a_policy_that_allows_nothing_from_elsewhere(service: RunningService) -> None:
    answers = {path.name: service.client.get(f"/page/{path.name}") for path in PAGE.iterdir() if path.suffix != ".html"}
    assert len(answers) > 2
    answers["index.html"] = service.client.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
    for name, answer in answers.items():
        assert answer.content == (PAGE / name).read_bytes()
        rules = dict(rule.strip().split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split(";"))
        assert rules["default-src"] == rules["form-action"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
        assert rules["require-trusted-types-for"] == "'script'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        again = service.client.get(
            answer.url, headers={**answer.request.headers, "If-None-Match": answer.headers["ETag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
    assert service.client.get("/").headers["Vary"] == "Accept"
    assert service.client.head("/").status_code == 200


def test_the_page_holds_no_script_style_or_address_of_its_own() -> None:
    """What the policy would refuse is not there, and nothing turns text into HTML."""
    page, style = ((PAGE / name).read_text() for name in ("index.html", "page.css"))
    script = "".join(path.read_text() for path in PAGE.glob("*.js"))
    assert page.count("<script") == page.count("<script src=") == 1
    for word in ("<style", " style=", " onclick=", " onload=", "javascript:"):
        assert word not in page
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Storage",
        "indexedDB",
        "cookie",
    ):
        assert word not in script
    addresses = {found for text in (page, script, style) for found in re.findall(r"https?://[\w.]+[^\s\"']*", text)}
    assert addresses == {"http://www.w3.org/2000/svg"}, "a name, which nobody visits"
    assert "url(" not in style
    assert "@import" not in style
