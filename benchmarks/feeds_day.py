"""Twenty-four hours of six feeds on a clock that jumps, from their servers to the consumers of the pool.

``python -m benchmarks.feeds_day`` prints ``benchmarks/FEEDS_DAY.md``, in a minute of CPU. The feeds are those that
ship, asked over TLS where they ask servers; intake, credit, blocks, ledger and publication are those of the runs; the
pool is on a real server, whose clock libfaketime sets to the day's. ``entropy_assets_tests/day`` says what the six have
and when they fail, and asserts what is printed here.
"""

import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from entropy_assets_tests.day.running import DEMAND, HIGH_BYTES, LIFE_S, LOW_BYTES, TICK_S, TO_FILL_S, Installation
from entropy_assets_tests.day.world import HOUR, NAMES

INTRODUCTION = f"""# A day of six feeds

Written by `make feedsday`. Twenty-four hours pass on a clock that jumps by {TICK_S} s; the server of the pool goes by
it too, so blocks expire. The feeds are the shipped ones over real TLS, folders and programs; intake, credit, blocks,
ledger and publication are what the runs of Dagster call; nothing is made up but the servers and the noise of the
frames. Consumers draw {DEMAND["private"] >> 10} KiB of private and {DEMAND["public"] >> 10} KiB of public blocks an
hour; a block lives for {LIFE_S} s; the marks of the pool are {LOW_BYTES >> 10} and {HIGH_BYTES >> 10} KiB. A feed
*lives* if it has frames to give and is out of quarantine; a picture of the sun is worth one block and feeds nobody.
Whoever is back first brings one frame to an empty pool, so the lowest level is that after the first {TO_FILL_S // 60}
minutes, its cadence.

All six but the telescope are down for hours 8 to 11, all but the coronagraph for hours 13 to 15, and all for hours 15
to 16.5. The observatory answers 429 for hours 4 to 5.5 and sends pages for images for hours 17 to 18.5, the camera has
one frame for hours 6 to 8, the sun one picture for hours 18 to 22, each seventh answer of a server is a 503. Every
sixth frame of the observatory is blank; the mirror has the telescope's frames under other names, and each eighth of
them in another container.
"""
WORDS = """
- *images* is what there was at the feed's place over the day. *known* came before, under whatever name; *left* was too
  old by then. *never had*: who shows his newest image alone can't be asked for the others, and a feed in quarantine
  asks seldom.
- *read* is what the feed cost its server or disk, listings and refusals among it; *new* is what entered an inbox.
"""


def of_feeds(day: Installation) -> Iterator[str]:
    """Yield the table of what each feed brought."""
    yield "| feed | images | looks in trouble | new | known | left | never had | new, MiB | read, MiB |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    images = day.home.images()
    for name in NAMES:
        total, made = day.feeds.rounds.journals.read(name).total, day.world.places[name].made
        lost = sum(sha256 not in images for sha256 in made)
        yield (
            f"| {name} | {len(made)} | {total.failures} | {total.images} | {total.duplicates} | {total.refused}"
            f" | {lost} | {total.bytes / 2**20:.1f} | {total.read_bytes / 2**20:.1f} |"
        )


def of_blocks(day: Installation) -> Iterator[str]:
    """Yield what became of the images, and of the blocks."""
    tally, stats = day.tally, day.pool.stats()
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(tally.rejected.items()))
    yield "| | |"
    yield "|---|---:|"
    yield f"| images in batches | {tally.accepted + tally.rejected.total()} |"
    yield f"| credited | {tally.accepted} |"
    yield f"| rejected | {reasons} |"
    yield f"| credit, bits | {tally.credit_bits:,} |"
    yield f"| batches, which are partitions | {tally.batches} |"
    yield f"| blocks published | {stats.pushed_blocks} |"
    yield f"| drawn, private and public | {tally.drawn['private']}, {tally.drawn['public']} |"
    yield f"| expired before anybody drew them | {stats.expired_blocks} |"
    yield f"| in the pool at the end | {stats.blocks} |"
    yield f"| draws that found their lane empty while a feed lived | {tally.unmet_while_alive} |"
    yield f"| the same while none lived | {tally.unmet.total() - tally.unmet_while_alive} |"
    yield f"| lowest level while any feed lived, KiB | {tally.lowest(alive=True) >> 10} |"
    yield f"| lowest level while none did, KiB | {tally.lowest(alive=False) >> 10} |"
    yield f"| minutes without any feed that lived | {sum(not lived for *_, lived in tally.levels) * TICK_S // 60} |"
    yield f"| minutes under the mark | {sum(level < LOW_BYTES for _, level, _ in tally.levels) * TICK_S // 60} |"


def of_hours(day: Installation) -> Iterator[str]:
    """Yield what there was at some hours."""
    yield "| hour | pool, KiB | batches | files | MiB | largest journal, bytes | alerts | memory, MiB |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|"
    levels = {hour: level for hour, level, _ in day.tally.levels}
    for hour, held in enumerate(day.tally.hours):
        if hour % 3 == 0 or hour == len(day.tally.hours) - 1:
            yield (
                f"| {hour} | {levels[hour] >> 10} | {held['batches']} | {held['files']} | {held['kib'] / 1024:.0f}"
                f" | {held['journal_bytes']:,} | {held['alerts']} | {held['resident_mib']} |"
            )


def written(day: Installation) -> str:
    """Return the page of a day that has passed, but for its cost."""
    hours = ["## What is there, hour by hour\n", *of_hours(day)]
    return "\n".join([INTRODUCTION, *of_feeds(day), WORDS, *of_blocks(day), "", *hours])


def main() -> None:
    """Let the day pass and print what came of it."""
    began = time.process_time() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with tempfile.TemporaryDirectory() as folder, Installation(Path(folder)) as day:
        day.live(24)
        print(written(day))
        hours = day.world.elapsed_s // HOUR
    spent = time.process_time() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - began
    print(f"\n{hours} hours took {spent:.0f} s of CPU.")


if __name__ == "__main__":
    main()
