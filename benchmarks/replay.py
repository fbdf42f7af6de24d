"""Replay protection over the life of an installation: an exposure that was spent is refused, in a ledger of a million.

``python -m benchmarks.replay [IMAGES ...]`` prints the tables of ``benchmarks/REPLAY.md``. The ledger is filled by its
own calls, as publications leave it: the images of a batch are spent, the batch is bound, its blocks are published.
Among them are a few real exposures, which are offered again at the end: turned, mirrored, under other names and in
other containers, decoded as every image is. Times are medians of wall time, with every write on the disk.
"""

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from entropy_assets.core.digests import turned_digests
from entropy_assets.images.decode import decode
from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.ledger.storage import LedgerServer
from entropy_assets_tests.images.image_files import fits
from entropy_assets_tests.postgres_server import PostgresServer, postgres_folder, programs
from entropy_assets_tests.stages.batches_made import frame, png_of

SIZES = (1_000, 10_000, 100_000, 1_000_000)
MOST_IN_POSTGRESQL = 10_000
"""Images in the ledger of PostgreSQL: a server is filled ten times slower than a file."""
IMAGES, BLOCKS = 256, 64
"""Of a batch."""
LOOKS = 500
"""Of each kind at each size."""
EXPOSURES = 3
Place = Path | LedgerServer
INTRODUCTION = f"""# No exposure twice

Written by `make replay`. The ledger is filled by its own calls, with batches of {IMAGES} images and {BLOCKS} blocks:
images are spent, the batch is bound, its blocks are published, and each of these is on the disk before the next one
begins. Then {LOOKS} images of each kind are offered at each size: one that was spent, as the same file; its pixels in
another file; its pixels turned or mirrored in another file; and one that is new, with the seven hashes of its turned
pixels, which are looked up too. Times are medians of wall time, in milliseconds, of a whole call that opens the ledger,
locks it, looks, and writes what is new. *Memory* is what a process of its own that does all these looks, and then walks
the chains, takes at its peak beyond what it took before, MB.

A look-up takes no longer as the ledger grows, nor more memory: rows are found by an index on the disk, and chains are
walked row by row. What is new takes longer in a large file, whose pages it changes all over. An audit by the ledger
begins with the walk of all chains, and that takes as long as there are rows.
"""


def digest(kind: str, number: int) -> str:
    """Return a made-up SHA-256."""
    return sha256(f"{kind} {number}".encode()).hexdigest()


def turned_of(number: int) -> list[str]:
    """Return seven made-up hashes of the turned pixels of an image."""
    return [digest(f"turned {way}", number) for way in range(7)]


def fill(ledger: Ledger, first: int, last: int) -> None:
    """Publish batches whose images have the numbers from `first` on; `last` is not among them."""
    for start in range(first - first % IMAGES, last, IMAGES):
        key = f"raw-ccd-{start}"
        numbers = range(max(start, first), min(start + IMAGES, last))
        ledger.spend_images({digest("file", number): digest("pixels", number) for number in numbers}, key)
        ledger.bind_batch(key, digest("binding", start))
        names = [f"{key}-{index}" for index in range(BLOCKS)]
        blocks = [LedgerBlock(name, index, digest(name, 0), digest(name, 1)) for index, name in enumerate(names)]
        ledger.append_publication(key, digest("head", start), blocks, "run", start)


def offers(size: int, seed: int) -> Iterator[tuple[str, Callable[[Ledger], bool]]]:
    """Yield a kind of offer and what makes one and tells whether it was refused, `LOOKS` of each kind, mixed."""
    numbers = np.random.default_rng(seed).integers(0, size, (LOOKS, 3)).tolist()
    for look, (one, two, three) in enumerate(numbers):
        fresh, other = digest("fresh", look + LOOKS * seed), digest("other file", look + LOOKS * seed)
        turned = [*turned_of(three)[:6], digest("pixels", three)]
        yield "the same file", _offer(digest("file", one), digest("pixels", one), turned_of(one))
        yield "its pixels in another file", _offer(other, digest("pixels", two), turned_of(two))
        yield "turned or mirrored", _offer(other, digest("pixels turned", three), turned)
        yield "new", _offer(fresh, digest("fresh pixels", look + LOOKS * seed), turned_of(-look - LOOKS * seed))


def _offer(image: str, pixels: str, turned: Sequence[str]) -> Callable[[Ledger], bool]:
    return lambda ledger: ledger.spend_image(image, pixels, "another batch", turned) is not None


def look(place: Place, size: int, seed: int) -> dict[str, float]:
    """Return what looking costs in a process that does nothing else.

    Raises
    ------
    RuntimeError
        If a replay is credited, or a new image refused: not ``SystemExit``, which a pool of processes waits out.
    """
    ledger = Ledger(place)
    ledger.head()
    before = forget_peak()
    times: dict[str, list[float]] = {}
    for kind, offer in offers(size, seed):
        start = time.perf_counter()
        was_refused = offer(ledger)
        times.setdefault(kind, []).append(time.perf_counter() - start)
        if was_refused is (kind == "new"):
            raise RuntimeError(f"{kind}: {'refused' if was_refused else 'credited'} among {size}")
    start = time.perf_counter()
    for number in range(0, size, max(1, size // 20)):
        batch = number - number % IMAGES
        mine = [digest("file", each) for each in range(batch, min(batch + IMAGES, size))]
        if ledger.spent_by(f"raw-ccd-{batch}", mine) != set(mine):
            raise RuntimeError(f"batch {batch} did not spend its images")
    batches = len(range(0, size, max(1, size // 20)))
    found = {kind: 1000 * median(each) for kind, each in times.items()}
    found["images of a batch"] = 1000 * (time.perf_counter() - start) / batches
    start = time.perf_counter()
    ledger.verify()
    found["walk, s"] = time.perf_counter() - start
    found["memory"] = (_status("VmHWM") - before) / 1024
    return found


def forget_peak() -> int:
    """Return the memory of this process, KiB, and let its peak begin anew from there."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def exposures() -> Iterator[tuple[str, list[bytes]]]:
    """Yield real exposures: the hash of the file, and the same in 8 orientations and 3 containers; the first is it."""
    for seed in range(EXPOSURES):
        data = frame(seed + 1)
        pixels = decode(data, source="raw-ccd").pixels[0].astype(np.uint16)
        ways = [np.rot90(each, quarters) for each in (pixels, np.fliplr(pixels)) for quarters in range(4)]
        yield sha256(data).hexdigest(), [data, *(made(way) for way in ways for made in (fits, png_of, _tiff))]


def _tiff(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "tiff")
    return buffer.getvalue()


def spend(ledger: Ledger, data: bytes, batch: str) -> bool:
    """Spend a file as the extraction does; return whether it was new."""
    seen = decode(data, source="raw-ccd")
    return (
        ledger.spend_image(
            seen.image_sha256,
            seen.pixel_sha256,
            batch,
            turned_digests(seen.pixels, seen.usable, seen.adc_step, seen.parts),
        )
        is None
    )


def measured(place: Place, sizes: Sequence[int], size_on_disk: Callable[[], int]) -> Iterator[str]:
    """Yield the rows of the table of one ledger, and last a sentence on the real exposures."""
    ledger, filled = Ledger(place), 0
    files = list(exposures())
    for _, (original, *_) in files:
        if not spend(ledger, original, "the first batch"):
            raise SystemExit("a new exposure was refused")
    for seed, size in enumerate(sizes):
        start = time.perf_counter()
        fill(ledger, filled, size)
        rate, filled = (size - filled) / (time.perf_counter() - start), size
        with get_context("spawn").Pool(1) as alone:
            found = alone.apply(look, (place, size, seed))
        cells = [f"{found[kind]:.2f}" for kind in KINDS]
        on_disk = size_on_disk()
        cells += [f"{found['walk, s']:.2f}", f"{found['memory']:.1f}", f"{rate:,.0f}"]
        cells += [f"{on_disk / 1e6:,.1f}", f"{on_disk / size:,.0f}"]
        print(f"{size:,} images", file=sys.stderr)
        yield f"| {size:,} | {' | '.join(cells)} |"
    offered = [data for _, (_, *others) in files for data in others]
    if any(spend(ledger, data, f"offer {number}") for number, data in enumerate(offered)):
        raise SystemExit("an exposure was credited again")
    yield (
        f"\n{len(files)} exposures that were decoded and spent before all others were offered again behind all of them:"
        f" {len(offered)} files, each in 8 orientations as FITS, PNG and TIFF. All were refused."
    )


KINDS = ("the same file", "its pixels in another file", "turned or mirrored", "new", "images of a batch")
HEAD = (
    f"| images | {' | '.join(f'{kind}, ms' for kind in KINDS)} | walk of all chains, s | memory, MB | images a second"
    f" | ledger, MB | bytes an image |\n|{'---:|' * (len(KINDS) + 6)}"
)


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="*", type=int, default=SIZES)
    sizes = sorted(parser.parse_args().images)
    print(INTRODUCTION)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ea-replay-")))
        file = folder / "ledger.sqlite"
        print(f"## SQLite\n\n{HEAD}", flush=True)
        for row in measured(file, sizes, lambda: sum(each.stat().st_size for each in folder.iterdir())):
            print(row, flush=True)
        if programs() is None:
            return
        server = PostgresServer(stack.enter_context(postgres_folder(folder.parent))).initialise().start()
        stack.callback(server.stop)
        print(f"\n## PostgreSQL\n\nOn a unix socket, without a standby.\n\n{HEAD}", flush=True)
        few = [size for size in sizes if size <= MOST_IN_POSTGRESQL]
        for row in measured(LedgerServer(server.url(), is_single=True), few, lambda: database_bytes(server)):
            print(row, flush=True)


def database_bytes(server: PostgresServer) -> int:
    """Return how large the database is, bytes."""
    import sqlalchemy as sa

    engine = sa.create_engine(server.url())
    with engine.connect() as connection:
        return int(connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one())


if __name__ == "__main__":
    main()
