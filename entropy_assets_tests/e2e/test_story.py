"""The main job on real images: from a dropped file to drawn bytes and back to the file."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from entropy_assets.core.validation.block_tests import TESTS
from entropy_assets.provenance.image_folder import ImageFolder
from entropy_assets.provenance.outsider import make_again
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.file_names import safe_name
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.e2e.running import Installation, eventually, reason_beside
from entropy_assets_tests.stages.batches_made import frame

pytestmark = pytest.mark.e2e

REVEALS_S = 60
"""A block that was begun is closed after 10 seconds, and told of when its worker comes to it."""
DEAD = {"earth_dark_2048.jpg", "earth_bluemarble_2048.jpg", "hst_ngc2808.png"}
ALIVE = {"saao_1m_ccd_raw16_a.fits", "saao_1m_ccd_raw16_b.fits"}


def revealed(installation: Installation, block_id: str) -> dict[str, Any]:
    """Give what the service tells of a block, once it tells all."""
    told = eventually(
        "the block reveals",
        lambda: (found := installation.get(f"/blocks/{block_id}").json())["revealed"] and found,
        REVEALS_S,
    )
    return dict(told)


def test_dropped_images_become_one_batch_that_two_runs_process_and_publish(
    installation: Installation, batch: Batch
) -> None:
    runs = {run["jobName"]: run["status"] for run in installation.runs(batch)}
    assert runs == {"process_images": "SUCCESS", "publish_blocks": "SUCCESS"}


def test_the_four_checks_pass_for_that_batch_and_say_so_per_batch(installation: Installation, batch: Batch) -> None:
    checks = installation.checks()
    assert set(checks) == {*TESTS, "rejection_rate"}
    for statuses in checks.values():
        assert batch.key in statuses["succeededPartitions"]
        assert batch.key not in statuses["failedPartitions"] + statuses["executionFailedPartitions"]


def test_dead_images_lie_in_rejected_with_their_reason_and_live_ones_in_processed(
    installation: Installation, batch: Batch
) -> None:
    rejected, processed = (installation.inbox / place / batch.key for place in ("rejected", "processed"))
    assert {name for name in DEAD if reason_beside(rejected / name)} == DEAD
    assert {path.name for path in processed.iterdir()} >= ALIVE
    everything = [path.name for folder in (rejected, processed) for path in folder.iterdir()]
    assert {item.file for item in batch.intake.files} <= set(everything), "nothing is lost"


def test_a_name_that_is_no_text_or_would_be_obeyed_is_told_and_listed_as_safe_text(
    installation: Installation, batch: Batch
) -> None:
    """It writes no line of its own to the terminal of `up`, and the service lists its batch."""
    forged = "x\n12:00:00 drop-1  published  64 KiB\x1b]0;title\x07\udcff$\\x$.fits"
    odd = installation.drop({forged: b"no image"})
    eventually("the story of its batch", lambda: f"{odd.key}  validated" in installation.up.said)
    assert safe_name(forged) in installation.up.said
    assert "\x1b" not in installation.up.said
    assert not any(line.startswith("12:00:00 drop-1") for line in installation.up.said.splitlines())
    listed = {row["key"]: row for row in installation.get("/batches").json()["batches"]}
    assert [image["file"] for image in listed[odd.key]["images"]] == [safe_name(forged)]
    assert reason_beside(installation.inbox / "rejected" / odd.key / safe_name(forged)) == "unknown_format"


def test_exactly_the_asked_bytes_come_and_no_two_draws_are_alike(installation: Installation, batch: Batch) -> None:
    draws = [installation.get("/random/32") for _ in range(3)]
    assert [(draw.status_code, len(draw.content)) for draw in draws] == [(200, 32)] * 3
    assert len({draw.content for draw in draws}) == 3


def test_a_public_draw_leads_to_its_batch_images_and_run(installation: Installation, batch: Batch) -> None:
    drawn = installation.get("/random/64", **{"class": "public"})
    block_id = drawn.headers["X-Entropy-Blocks"].partition(":")[0]
    found = revealed(installation, block_id)
    [origin] = [known for known in installation.batches if known.key == found["batch"]]
    assert block_id in {block.block_id for block in installation.ledger.published_blocks(origin.key)}
    behind = {image["file"] for image in found["images"] if image["in_block"]}
    assert behind
    assert behind <= {item.file for item in origin.intake.files} - DEAD
    assert found["run_id"] in {run["runId"] for run in installation.runs(origin, "publish_blocks")}
    assert "data" not in found


def test_an_audit_makes_a_drawn_block_again_from_its_images(installation: Installation, batch: Batch) -> None:
    block_id = installation.get("/random/16", **{"class": "public"}).headers["X-Entropy-Blocks"].partition(":")[0]
    done = installation.command("audit", block_id, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reproduced"] is True


def test_an_outsider_makes_the_drawn_bytes_again_from_blocks_and_the_public_images(
    installation: Installation, batch: Batch, tmp_path: Path
) -> None:
    """Nothing of the installation is used but its HTTP service, and copies of the images that were dropped into it.

    They are of every batch: whichever block waits in the public lane may be drawn.
    """
    for number, path in enumerate(path for path in installation.inbox.rglob("*") if path.is_file()):
        (tmp_path / f"{number}{path.suffix}").write_bytes(path.read_bytes())
    drawn = installation.get("/random/5000", **{"class": "public"})
    again, images = b"", ImageFolder(tmp_path)
    for part in drawn.headers["X-Entropy-Blocks"].split(","):
        block_id, span = part.rsplit(":", 1)
        start, end = map(int, span.split("-"))
        again += make_again(revealed(installation, block_id), images).data[start:end]
    assert drawn.content == again
    done = installation.command("audit", block_id, "--images", str(tmp_path), "--url", installation.http)
    assert done.returncode == 0, done.stderr
    assert "was made again from" in done.stdout
    assert "only one try" in done.stdout, "what nobody can check is said beside it"


def test_the_command_line_draws_and_counts_what_it_drew(installation: Installation, batch: Batch) -> None:
    before = json.loads(installation.command("stats", "--json").stdout)
    drawn = installation.command("draw", "24", "--format", "hex")
    after = json.loads(installation.command("stats", "--json").stdout)
    assert drawn.returncode == 0, drawn.stderr
    assert len(bytes.fromhex(drawn.stdout)) == 24
    served = [stats["service"]["served_bytes"]["private"] for stats in (before, after)]
    assert served[1] - served[0] == 24


def test_running_a_finished_batch_again_pushes_nothing(
    installation: Installation, batch: Batch, pool: PoolClient
) -> None:
    """Neither job, re-executed as the UI does it, adds a block to the pool or a row to the ledger."""
    eventually("the end of all runs", installation.idle)
    before = (pool.stats().pushed_blocks, installation.ledger.head())
    for job in ("process_images", "publish_blocks"):
        again = installation.run_again(installation.runs(batch, job)[-1]["runId"])
        assert again["status"] == "SUCCESS"
    eventually("the end of all runs", installation.idle)
    assert (pool.stats().pushed_blocks, installation.ledger.head()) == before
    assert pool.stats().refused_blocks == 0, "nothing even tried"


def test_a_file_that_is_written_slowly_is_taken_once_and_whole(installation: Installation) -> None:
    data = frame(901)
    path = installation.inbox / "slow.fits"
    before = {batch.key for batch in installation.batches}
    with path.open("wb") as file:
        # Pauses far below the two seconds after which a file is taken, on a busy machine too.
        for start in range(0, len(data), len(data) // 25):
            file.write(data[start : start + len(data) // 25])
            file.flush()
            time.sleep(0.3)
    [batch] = eventually("it is taken", lambda: [batch for batch in installation.batches if batch.key not in before])
    assert not path.exists()
    eventually("its batch is published", lambda: installation.published(batch))
    assert [item.file_bytes for item in batch.intake.files] == [len(data)]


def test_a_file_dropped_again_is_rejected_as_replayed(installation: Installation, samples: Path, batch: Batch) -> None:
    name = "saao_1m_ccd_raw16_a.fits"
    again = installation.drop({f"again-{name}": (samples / name).read_bytes()})
    rejected = installation.inbox / "rejected" / again.key / f"again-{name}"
    eventually("it is rejected", rejected.exists)
    assert reason_beside(rejected) == "replayed_file"
    eventually("the end of all runs", installation.idle)
    assert not installation.published(again)
