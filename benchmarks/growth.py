"""How an installation grows: what a sensor's tick costs, and what a batch leaves behind, at 10 to 10,000 batches.

``python -m benchmarks.growth [BATCHES ...]`` prints the tables of ``benchmarks/GROWTH.md``. The batches are made up: of
a hundred one was rejected, one failed in the middle and stays unfinished, and the others are published. Each has its
two runs and its partition in Dagster, its rows in the ledger and its documents, as far as a sensor looks into them.
Ticks are those of the code server's process, in CPU seconds.
"""

import argparse
import json
import sqlite3
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from entropy_assets.defs.build import build_defs
from entropy_assets.defs.feeds.asking import ImageFeeds
from entropy_assets.defs.jobs import PROCESS, PUBLISH
from entropy_assets.defs.partitions import IMAGE_BATCHES
from entropy_assets.defs.resources import EntropyStores, RedisPool
from entropy_assets.defs.sensors import MOST_TOLD
from entropy_assets.recipe import DROP, STANDARD
from entropy_assets.settings import Settings
from entropy_assets.stages.state import sound_ledger
from entropy_assets.stores.batches import INTAKE, MANIFEST, RECEIPT, VERDICTS, Batch, encoded
from entropy_assets.stores.blobs.folder import FolderBlobs
from entropy_assets.stores.home import Home
from entropy_assets.stores.intakes import Intake, IntakeFile
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.pool.embedded import EmbeddedServer
from entropy_assets_tests.stages.batches_made import frame

SIZES = (10, 100, 1000, 10_000)
ROUNDS = 5
BLOCKS = 16
FRAMES = (1, 4, 16)
SIDE = 512
MANY, SMALL_SIDE = 1000, 128
"""As many as a batch may hold; smaller ones, since those of `SIDE` would take minutes."""
YEAR_S = 365 * 86_400
BATCH_CPU_S, FRAME_CPU_S = 7.4, 0.144
"""CPU seconds of a batch with its two runs, and of a frame of 512 x 512 pixels more, with the daemon on two cores."""
SHOWING = ("ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION", "ASSET_OBSERVATION")
LAUNCH_EVENTS, LAUNCH_BYTES = 8, 7_000
"""What queue, launcher and processes add to the two runs of a batch, of which this program has neither."""
INTRODUCTION = f"""# How it grows

Written by `make growth`. The batches are made up: of a hundred one was rejected, one failed in the middle, and the
others are published, of {BLOCKS} blocks each. A cell gives the first tick of a process that has just begun, and the
best of {ROUNDS} later ones, in CPU seconds of the process, which other work on the machine does not lengthen. The first
tick of `run_failure_alert` writes the alerts of {MOST_TOLD} of the runs that failed, which here are all of today, and
later ones of the rest. Every tick asks the batches and the ledger, and believes no cursor; what it remembers of
finished batches and of receipts it can lose at any time.
"""
YEAR = """
## A year

The arithmetic of a camera of 512 x 512 pixels whose frames are credited as those of the last of these above. CPU is
{batch} s a batch and {frame} s a frame; measured with pictures by matplotlib, and a batch takes some 1.5 s less
without. Dagster counts with at most 100,000 partitions, and lists of them take .2 s
there: the column says after how many days that is reached, and old ones have to be deleted. The ledger grows with the
blocks and not with the batches: the table above has it for batches of {blocks} blocks.

"""
YEAR_COLUMNS = (
    "images a second",
    "images a batch",
    "seconds to wait for it",
    "batches a year",
    "days to 100,000",
    "cores",
    "events a second",
    "events, GB",
    "files, TB",
)
AFTER_IT = """
So one image a second is a matter of `ENTROPY_LINGER_SECONDS` and `ENTROPY_BATCH_MAX_FILES`: five files a batch are what
a sensor that looks every five seconds makes of it, and are too many batches for Dagster within a week; a thousand are
good for three years on a fifth of a core. SQLite takes some 20 events a second, and with a thousand files a batch one
installation stays far below it; PostgreSQL is needed for more than one machine, not for this rate.

A hundred images a second need 16 cores and a batch every ten seconds at a thousand files: six workers of three cores.
Runs, events and partitions of a month are then as many as Dagster's pages bear, so installations side by side, one for
each group of cameras, are the better way: batches are independent, and each has its own ledger and chain. The files are
what costs: nothing of an image may go before its blocks were drawn and their audit is over.
"""
SENSORS = ("new_images", "publish_validated_blocks", "replenish_low_pool", "run_failure_alert")


def document(batch: Batch, name: Any, value: dict[str, Any]) -> None:
    """Write a document as it would be, without waiting for the disk."""
    batch.root.mkdir(parents=True, exist_ok=True)
    batch.path(name).write_bytes(encoded(value))


def made_up(home: Home, number: int) -> str:
    """Make the `number`-th batch of an installation, and return its key."""
    seconds = 1_700_000_000 + 5 * number
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
    key = f"raw-ccd-{stamp}-{number:08x}"
    batch = Batch(FolderBlobs(home.batches_folder), key)
    files = (IntakeFile(file=f"{number}.fits", image_sha256=f"{number:064x}", file_bytes=525_000),)
    intake = Intake(
        key=key,
        source="raw-ccd",
        files=files,
        time_ns=seconds * 10**9,
        os_bytes="07" * 32,
        recipe=STANDARD.name,
        max_file_bytes=1 << 28,
        max_pixels=1 << 28,
    )
    document(batch, INTAKE, intake.told())
    document(batch, MANIFEST, {"rows": []})
    if number % 100 == 99:
        return key
    released = [] if number % 100 == 98 else [str(uuid.UUID(int=number * BLOCKS + place)) for place in range(BLOCKS)]
    document(batch, VERDICTS, {"chain_head": f"{number:064x}", "released": released, "report": {}, "rows": []})
    if released:
        blocks = [
            LedgerBlock(block, place, f"{number * BLOCKS + place:064x}", f"{number * BLOCKS + place:064x}")
            for place, block in enumerate(released)
        ]
        ledger = home.ledger()
        ledger.append_publication(key, f"{number:064x}", blocks, str(uuid.uuid4()), seconds * 10**6)
        publication = ledger.publication_of(key)
        assert publication is not None
        document(batch, RECEIPT, {"ledger_link": publication.ledger_link, "seq": publication.seq})
    return key


def remember(instance: dg.DagsterInstance, key: str, *, failed: bool) -> None:
    """Give Dagster the two runs of a batch, or the one that failed."""
    for job in (PROCESS,) if failed else (PROCESS, PUBLISH):
        status = dg.DagsterRunStatus.FAILURE if failed else dg.DagsterRunStatus.SUCCESS
        tags = {"dagster/partition": key, "dagster/run_key": f"{job}:{key}", "entropy/stage": job}
        instance.add_run(dg.DagsterRun(job_name=job, run_id=str(uuid.uuid4()), status=status, tags=tags))


def seconds_of(call: Callable[[], object]) -> float:
    """Return what `call` takes of this process, CPU seconds."""
    began = time.process_time()
    call()
    return time.process_time() - began


class Installation:
    """A home and an instance that grow from size to size."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, pool: RedisPool) -> None:
        self.settings = Settings(home=folder, simulated_camera=True)
        self.home = Home(self.settings.home)
        self.instance = instance
        self.pool = pool
        self.stores = EntropyStores.of(self.settings)
        self.count = 0
        self.ledger_bytes = 0.0

    def grow(self, count: int) -> None:
        """Let there be `count` batches."""
        keys = []
        for number in range(self.count, count):
            keys.append(made_up(self.home, number))
            remember(self.instance, keys[-1], failed=number % 100 == 99)
        self.instance.add_dynamic_partitions(IMAGE_BATCHES, keys)
        self.count = count

    def ticks(self) -> Iterator[str]:
        """Yield the time of the first and of a later tick of each sensor, in a process that has just begun."""
        sensors = {sensor.name: sensor for sensor in build_defs(self.settings, {"pool": self.pool}).sensors or []}
        resources = {"stores": self.stores, "pool": self.pool, "feeds": ImageFeeds.of(self.settings)}
        for name in SENSORS:
            context = dg.build_sensor_context(instance=self.instance, resources=resources)
            times = [seconds_of(lambda name=name, context=context: sensors[name](context)) for _ in range(1 + ROUNDS)]
            yield f"{times[0]:.3f}, {min(times[1:]):.3f}"

    def row(self) -> str:
        """Return a line of the table of ticks."""
        sound = seconds_of(lambda: sound_ledger(self.home))
        partitions = seconds_of(lambda: self.instance.get_dynamic_partitions(IMAGE_BATCHES))
        self.ledger_bytes = sum(file.stat().st_size for file in self.home.root.glob("ledger.sqlite*")) / self.count
        cells = [f"{self.count:,}", *self.ticks(), f"{sound:.3f}", f"{partitions:.3f}", f"{self.ledger_bytes:,.0f}"]
        return f"| {' | '.join(cells)} |"


@contextmanager
def installation(folder: Path) -> Iterator[Installation]:
    """Give an installation without batches."""
    dagster = folder / "dagster"
    dagster.mkdir()
    (dagster / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with EmbeddedServer() as server, dg.DagsterInstance.from_config(str(dagster)) as instance:
        yield Installation(folder / "home", instance, RedisPool(url=server.url))


def bytes_shown(event: str) -> int:
    """Return the bytes of what an event shows of its batch; the rest of it is Dagster's own."""
    data = json.loads(event)["dagster_event"]["event_specific_data"] or {}
    data = data.get("materialization") or data.get("asset_observation") or data
    return len(json.dumps(data.get("metadata_entries") or data.get("metadata") or []))


def one_batch(place: Installation, frames: int, side: int = SIDE) -> tuple[str, Counter[str], Counter[str], int]:
    """Run a batch of real frames through; return its key, number and bytes of its events by kind, and bytes shown."""
    for number in range(frames):
        place.stores.inbox_of(DROP).deposit(f"{number}.fits", frame(MANY * frames + number, side))
    settings = place.settings.model_copy(update={"settle_seconds": 0.0, "batch_max_files": MANY})
    defs = build_defs(settings, {"pool": place.pool})
    sensor = next(sensor for sensor in defs.sensors or [] if sensor.name == "new_images")
    stores = EntropyStores.of(settings)
    resources = {"stores": stores, "pool": place.pool, "feeds": ImageFeeds.of(place.settings)}
    result: Any = sensor(dg.build_sensor_context(instance=place.instance, resources=resources))
    keys = {str(request.partition_key) for request in result.run_requests}
    [key] = [key for key in keys if key.startswith(DROP)]
    place.instance.add_dynamic_partitions(IMAGE_BATCHES, [key])
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    shown = 0
    for job in (PROCESS, PUBLISH):
        run = defs.resolve_job_def(job).execute_in_process(instance=place.instance, partition_key=key)
        [file] = (place.home.root.parent / "dagster").rglob(f"{run.run_id}.db")
        with sqlite3.connect(file) as db:
            for kind, event in db.execute("SELECT dagster_event_type, event FROM event_logs"):
                counts[kind] += 1
                sizes[kind] += len(event)
                shown += bytes_shown(event) if kind in SHOWING else 0
    return key, counts, sizes, shown


class Left:
    """What a batch leaves behind, and what a year of them comes to."""

    def __init__(self, frames: int, events: int, event_bytes: int, image_bytes: int, kept_bytes: int) -> None:
        self.frames = frames
        self.events = events
        self.event_bytes = event_bytes
        self.image_bytes = image_bytes
        self.kept_bytes = kept_bytes

    def year(self, per_second: int, files: int) -> str:
        """Return a line of the table of a year, of batches of `files` frames such as these."""
        images = per_second * YEAR_S
        batches = images / files
        cores = (batches * BATCH_CPU_S + images * FRAME_CPU_S) / YEAR_S
        kept = images * (self.image_bytes + self.kept_bytes) / self.frames
        cells = (
            f"{per_second}",
            f"{files:,}",
            f"{files / per_second:,.0f}",
            f"{batches:,.0f}",
            f"{100_000 / batches * 365:,.0f}",
            f"{cores:,.2f}",
            f"{batches * self.events / YEAR_S:,.2f}",
            f"{batches * self.event_bytes / 1e9:,.1f}",
            f"{kept / 1e12:,.1f}",
        )
        return f"| {' | '.join(cells)} |"


def left_by(place: Installation, frames: int, side: int = SIDE) -> tuple[Left, str]:
    """Run a batch of `frames` frames; return what it leaves behind, also in a sentence."""
    key, counts, sizes, shown = one_batch(place, frames, side)
    images = sum(file.file_bytes for file in place.home.batches().batch(key).intake.files)
    kept = sum(file.stat().st_size for file in (place.home.batches_folder / key).rglob("*") if file.is_file())
    left = Left(frames, counts.total() + LAUNCH_EVENTS, sizes.total() + LAUNCH_BYTES, images, kept)
    return left, (
        f"- A batch of {frames:,} frames of {side} x {side} pixels leaves {counts.total()} events of {sizes.total():,}"
        f" bytes of JSON, of which {sizes['STEP_OUTPUT']:,} are outputs of steps, {sizes['ASSET_MATERIALIZATION']:,}"
        f" those of assets and {sizes['ASSET_CHECK_EVALUATION']:,} those of checks. What both show is {shown:,}; the"
        f" other {sizes.total() - shown:,} would be there if nothing were shown. A daemon and a launcher add eight"
        f" events. Its images are {images:,} bytes, and what was made of them {kept:,}."
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("batches", nargs="*", type=int, default=SIZES)
    given = parser.parse_args()
    titles = ("batches", *SENSORS, "ledger against all receipts", "list of partitions", "ledger, bytes a batch")
    with tempfile.TemporaryDirectory() as folder, installation(Path(folder)) as place:
        print(INTRODUCTION)
        print(f"| {' | '.join(titles)} |")
        print(f"|{'---:|' * len(titles)}")
        for count in given.batches:
            place.grow(count)
            print(place.row(), flush=True)
        print()
        found = [left_by(place, frames) for frames in FRAMES]
        print(*(sentence for _, sentence in found), left_by(place, MANY, SMALL_SIDE)[1], sep="\n")
        print(YEAR.format(batch=BATCH_CPU_S, frame=FRAME_CPU_S, blocks=BLOCKS))
        print(f"| {' | '.join(YEAR_COLUMNS)} |")
        print(f"|{'---:|' * len(YEAR_COLUMNS)}")
        for per_second, files in ((1, 5), (1, 64), (1, 1000), (100, 64), (100, 1000)):
            print(found[-1][0].year(per_second, files))
        print(AFTER_IT, end="")


if __name__ == "__main__":
    main()
