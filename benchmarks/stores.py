"""What a batch costs in an object store on loopback, beside a folder, in one run.

``python -m benchmarks.stores [--json]``; an S3 server of one's own by ``AWS_ENDPOINT_URL`` and a bucket in
``--bucket``, else moto, which is slow. Two costs: of the whole batch, from files to verdicts, and of its store calls
alone. CPU time is that of this process; the server has its own.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from entropy_assets.settings import Settings
from entropy_assets.sources.camera import SimulatedCamera
from entropy_assets.stages import conditioning, extraction, ingest, validation
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.blobs.interface import Blobs
from entropy_assets.stores.home import Home
from entropy_assets_tests.stores.blobs.servers import BUCKET, CREDENTIALS, moto_server

LIMIT = 2.0
"""Most that a batch in an object store may cost, times one in a folder."""
FRAMES = 4


def made(home: Home, frames: list[tuple[str, bytes]]) -> Batch:
    """Take a batch of `frames` as far as its verdicts."""
    settings = Settings(home=home.root)
    home.root.mkdir(parents=True, exist_ok=True)
    batch = ingest.open_batch(
        home.batches(), home.images(), frames, source="simulated", time_ns=time.time_ns(), os_bytes=os.urandom(32),
        recipe=settings.recipe,
    )  # fmt: skip
    ingest.read_images(batch, home.images(), batch.intake.limits)
    extraction.extract_noise(batch, home.images(), home.ledger(), batch.intake.limits, workers=1)
    conditioning.hash_blocks(batch)
    validation.validate_blocks(batch)
    return batch


def content(blobs: Blobs, folder: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of all blobs below `folder`."""
    listing = blobs.list(folder)
    yield from ((blob.name, blobs.read(blob.name)) for blob in listing.blobs)
    for inside in listing.folders:
        yield from content(blobs, f"{folder}/{inside}")


def kept(blobs: Blobs, documents: list[tuple[str, bytes]]) -> None:
    """Keep `documents` and read each again, as the next stage does."""
    for name, data in documents:
        blobs.replace(name, data)
        assert blobs.read(name) == data


def best(candidates: dict[str, Callable[[], object]], repeats: int) -> dict[str, tuple[float, float]]:
    """Return the least wall and CPU time of each candidate, seconds; they take turns, so a busy machine hits all."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: (min(wall for wall, _ in all_), min(cpu for _, cpu in all_)) for name, all_ in times.items()}


def measured(folder: Path, url: str, repeats: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Return wall and CPU seconds of a batch and of its store calls, by store."""
    camera = SimulatedCamera(os.urandom)

    def home(kind: str) -> Home:
        return Home(folder / uuid4().hex, f"{url}/{uuid4().hex}" if kind == "objects" else None)

    def batch_in(kind: str) -> Batch:
        return made(home(kind), [frame for _ in range(FRAMES) for frame in camera.collect()])

    batch = batch_in("folder")
    documents = list(content(batch.blobs, batch.key))
    stores = {kind: home(kind).batches().blobs for kind in ("folder", "objects")}
    for blobs in stores.values():
        kept(blobs, documents)  # connects and probes, which a process does once
    return {
        "batch": best({kind: lambda kind=kind: batch_in(kind) for kind in stores}, repeats),
        "calls": best({kind: lambda blobs=blobs: kept(blobs, documents) for kind, blobs in stores.items()}, repeats),
    }


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--bucket", default=BUCKET)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with ExitStack() as stack:
        if "AWS_ENDPOINT_URL" not in os.environ:  # noqa: TID251 - the client's own
            os.environ |= {**CREDENTIALS, "AWS_ENDPOINT_URL": stack.enter_context(moto_server())}  # noqa: TID251
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        found = measured(Path(folder), f"s3://{options.bucket}", options.repeats)
    ratio = found["batch"]["objects"][0] / found["batch"]["folder"][0]
    if options.json:
        print(json.dumps({**found, "ratio": ratio, "limit": LIMIT}))
    else:
        for what, by_store in found.items():
            for store, (wall, cpu) in by_store.items():
                print(f"{what:6} {store:8} {wall * 1e3:8.1f} ms of wall time {cpu * 1e3:8.1f} ms of CPU time")
        print(f"a batch of {FRAMES} frames in an object store costs {ratio:.2f} times one in a folder; limit {LIMIT}")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
