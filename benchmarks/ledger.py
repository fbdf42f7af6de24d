"""Publications a second of a ledger in PostgreSQL against one in a file of SQLite, on the same disk, in one run.

``python -m benchmarks.ledger [--json]``; wall time, best of several repeats that take turns. Needs a PostgreSQL server
(Debian's ``postgresql``), of which it starts its own: on a unix socket, without a standby.
"""

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from entropy_assets.stores.ledger.record import Ledger
from entropy_assets.stores.ledger.rows import LedgerBlock
from entropy_assets.stores.ledger.storage import LedgerServer
from entropy_assets_tests.postgres_server import PostgresServer, postgres_folder, programs

BLOCKS = 16
"""Of a batch."""
BATCHES = 100
REPEATS = 2
PUBLISHERS = (1, 6)
"""Processes side by side, all of which publish the same batches: each is won once."""


def publish(place: Path | LedgerServer, run: str, _: int) -> int:
    """Publish every batch of a run; return how many were won."""
    ledger = Ledger(place, busy_timeout_s=60)
    won = 0
    for number in range(BATCHES):
        key = f"{run}-{number}"
        blocks = [LedgerBlock(f"{key}-{at}", at, f"{key}-{at}", "link") for at in range(BLOCKS)]
        won += ledger.append_publication(key, "head", blocks, "run", number)
    return won


def rate(place: Path | LedgerServer, publishers: int, run: str) -> float:
    """Return the publications a second that some publishers of the same batches come to together."""
    with get_context("spawn").Pool(publishers) as workers:
        workers.map(partial(publish, place, f"{run}-warm"), range(publishers), chunksize=1)
        start = time.perf_counter()
        won = sum(workers.map(partial(publish, place, run), range(publishers), chunksize=1))
        seconds = time.perf_counter() - start
    if won != BATCHES:
        raise SystemExit(f"{BATCHES} batches were won {won} times")
    return won / seconds


def measured(places: dict[str, Path | LedgerServer]) -> dict[str, float]:
    """Return publications a second by kind of ledger and number of publishers, and those of a verification."""
    rates: dict[str, float] = {}
    for repeat in range(REPEATS):
        for publishers in PUBLISHERS:
            for kind, place in places.items():
                name = f"{kind}, {publishers} publishers"
                rates[name] = max(rates.get(name, 0.0), rate(place, publishers, f"{publishers}-{repeat}"))
    for kind, place in places.items():
        ledger = Ledger(place)
        start = time.perf_counter()
        ledger.verify()
        newest = ledger.newest()
        rates[f"{kind}, verified"] = (newest.seq if newest else 0) / (time.perf_counter() - start)
    return rates


def main() -> None:
    """Print the rates, and those of PostgreSQL as ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    if programs() is None:
        sys.exit("needs a PostgreSQL server: apt-get install postgresql")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ea-bench-")))
        server = PostgresServer(stack.enter_context(postgres_folder(folder.parent))).initialise().start()
        stack.callback(server.stop)
        rates = measured({"SQLite": folder / "ledger.sqlite", "PostgreSQL": LedgerServer(server.url(), is_single=True)})
    ratios = {
        name.partition(", ")[2]: value / rates[name.replace("PostgreSQL", "SQLite")]
        for name, value in rates.items()
        if name.startswith("PostgreSQL")
    }
    if as_json:
        print(json.dumps({"per_second": rates, "ratios": ratios}))
        return
    for name, value in rates.items():
        print(f"{name:28} {value:10,.0f} publications/s")
    for name, value in ratios.items():
        print(f"PostgreSQL / SQLite, {name:20} {value:6.2f}")


if __name__ == "__main__":
    main()
