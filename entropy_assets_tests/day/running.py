"""An installation that lives through a day by the day's clock: each part is the shipped one, the pool's server too."""

import random
import resource
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from entropy_assets.defs.cursors import next_filling
from entropy_assets.defs.feeds.asking import ImageFeeds
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import STANDARD
from entropy_assets.sources.feeds.configuration import Configuration, parsed
from entropy_assets.sources.feeds.depot import Depot
from entropy_assets.sources.feeds.roster import journals_of
from entropy_assets.sources.feeds.rounds import Rounds
from entropy_assets.stages import assessments, conditioning, extraction, ingest, validation
from entropy_assets.stages.intake import finish_intakes, lane_by_demand, settle_assessed, take_batches
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stages.state import Unfinished, sound_ledger
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.bucket import Inbox
from entropy_assets.stores.lanes import LANES, Lane
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets.stores.pool.embedded import EmbeddedServer, find_server_binary
from entropy_assets_tests.day.world import HOUR, NAMES, SOURCES, DayClock, World

TICK_S: Final = 90
"""From one tick of all sensors and schedules to the next, seconds: images come at multiples of it."""
LIFE_S: Final = 3600
"""Life of a block, as the settings have it."""
LOW_BYTES, HIGH_BYTES = 32 * 1024, 64 * 1024
"""The marks of the pool."""
DEMAND: Final[dict[Lane, int]] = {"private": 16 * 1024, "public": 8 * 1024}
"""What consumers draw in an hour, bytes."""
TO_FILL_S: Final = 1800
"""What the first feed that is back has to fill a pool that ran dry, seconds: the cadence of all that have frames."""
FAKETIME: Final = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@contextmanager
def clocked_server(folder: Path, clock: DayClock) -> Iterator[tuple[str, "ServerClock"]]:
    """Give the address of a pool's server that goes by a clock of its own, and that clock."""
    assert FAKETIME is not None, "install libfaketime"
    server_clock = ServerClock(folder / "offset", clock)
    server_clock.set()
    variables = (
        f"LD_PRELOAD={FAKETIME} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1"
        f" FAKETIME_TIMESTAMP_FILE={server_clock.file}"
    )
    program = folder / "clocked-server"
    program.write_text(f'#!/bin/sh\nexec env {variables} {find_server_binary()} "$@"\n')
    program.chmod(0o700)
    with EmbeddedServer(binary=program) as server:
        yield server.url, server_clock


@dataclass(frozen=True, slots=True)
class ServerClock:
    """How far the clock of a server is ahead of the machine's: it stands in a file, which is replaced as a whole."""

    file: Path
    clock: DayClock

    def set(self) -> None:
        part = self.file.with_suffix(".part")
        part.write_text(f"{self.clock.now - time.time():+.3f}")
        part.replace(self.file)


@dataclass(slots=True)
class Tally:
    """What was counted over the day."""

    rejected: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    credit_bits: int = 0
    batches: int = 0
    blocks: int = 0
    drawn: Counter[Lane] = field(default_factory=Counter)
    unmet: Counter[Lane] = field(default_factory=Counter)
    unmet_while_alive: int = 0
    low_ticks: int = 0
    levels: list[tuple[float, int, bool]] = field(default_factory=list)
    """Hour, bytes ready, and whether any feed lived, at each tick."""
    hours: list[dict[str, int]] = field(default_factory=list)
    """What there was at each full hour."""

    def lowest(self, *, alive: bool) -> int:
        """Return the fewest bytes that were ready while none lived, or while any had lived for its cadence.

        Whichever is back first brings one frame to an empty pool: no more is to be had before its next.
        """
        levels, since = [], None
        for hour, level, lived in self.levels:
            since = (hour if since is None else since) if lived else None
            counts = not lived if not alive else since is not None and (hour - since) * HOUR >= TO_FILL_S
            levels += [level] if counts else []
        return min(levels)


class Installation:
    """A home, its feeds, its pool and its consumers.

    `tick` is what the schedule of the feeds, the sensors and the runs of the jobs do in turn, by the functions that
    they call.

    Parameters
    ----------
    root
        An empty folder for everything.
    names
        The feeds that it has.
    """

    def __init__(self, root: Path, names: Sequence[str] = NAMES) -> None:
        self._root, self._names = root, names
        self.clock = DayClock(next_midnight())
        self.world = World(root / "world", self.clock, names)
        self.home = Home(root / "home")
        self.tally = Tally()
        self._stack = ExitStack()
        self._filling = False
        self._owed = dict.fromkeys(LANES, 0.0)
        configuration = parsed(SOURCES.format(root=self.world.root).encode(), STANDARD)
        depot = Depot(self.home.origins(), self.home.images(), self._inbox_of)
        chance = random.Random(13).random
        rounds = Rounds(journals_of(self.home), depot, self.home.alerts(), self.clock, chance)
        tables = {name: configuration.feeds[name] for name in names}
        members = {feed.name: feed for feed in self.world.feeds(tables)}
        chosen = Configuration(tables)
        self.feeds = ImageFeeds(chosen, rounds, lambda _, due: [members[name] for name in due])

    def __enter__(self) -> Self:
        self._stack.enter_context(self.world.server)
        url, self._server_clock = self._stack.enter_context(clocked_server(self._root, self.clock))
        self.pool = PoolClient.from_url(url, ttl_s=LIFE_S)
        self._stack.callback(self.pool.close)
        self._unfinished = Unfinished(self.home.batches(), self.home.ledger(readonly=True))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def live(self, hours: float) -> None:
        """Let so many hours pass, tick by tick."""
        last = self.clock.now + hours * HOUR
        while self.clock.now < last:
            self._server_clock.set()
            self.world.turn()
            self.tick()
            if self.world.elapsed_s % HOUR == 0:
                self.tally.hours.append(self.holdings())
            self.clock.now += TICK_S

    def skip_to(self, hour: float) -> None:
        """Let the time pass to an hour of the day, in which nobody does anything."""
        self.clock.now = self.world.begins + hour * HOUR

    def tick(self) -> None:
        self._ask()
        self._make()
        self._replenish()
        self._draw()
        alive = self.is_any_alive()
        self.tally.levels.append((self.world.hour, self.pool.stats().bytes, alive))

    def is_any_alive(self) -> bool:
        """Tell whether a feed that has frames is up and out of quarantine: a picture of the sun is worth one block."""
        read = self.feeds.rounds.journals.read
        framed = (name for name in self._names if name != "sun")
        return any(self.world.is_up(name) and read(name).trouble is None for name in framed)

    def holdings(self) -> dict[str, int]:
        """Return what there is of everything that could grow."""
        files = [path for path in self.home.root.rglob("*") if path.is_file()]
        return {
            "batches": sum(1 for _ in self.home.batches()),
            "files": len(files),
            "kib": sum(path.stat().st_size for path in files) >> 10,
            "journal_bytes": max(path.stat().st_size for path in self.home.feeds_folder.glob("*.json")),
            "inbox_files": sum(len(inbox.ready(self.clock.now)) for inbox in self._inboxes().values()),
            "alerts": len(self.home.alerts().read()),
            "resident_mib": _resident_bytes() >> 20,
        }

    # --- one tick ------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        due, _ = self.feeds.due()
        if due:
            self.feeds.ask(due)

    def _make(self) -> None:
        inboxes = self._inboxes()
        settle_assessed(self.home, inboxes)
        take_batches(
            inboxes,
            max_files=64,
            max_bytes=512 << 20,
            now=self.clock.now,
            are_first=not any(self.home.batches()),
            time_ns=self.clock.time_ns,
        )
        keys = list(
            finish_intakes(
                self.home,
                inboxes,
                recipe=STANDARD.name,
                limits=DecodeLimits(),
                next_lane=lambda _: self._next_lane(),
                time_ns=self.clock.time_ns,
            )
        )
        for key in keys:
            self._run(key)
        if keys:
            settle_assessed(self.home, self._inboxes())

    def _run(self, key: str) -> None:
        """Do what the two runs of a batch do."""
        batch = self.home.batches().batch(key)
        images, limits = self.home.images(), batch.intake.limits
        ingest.read_images(batch, images, limits)
        rows = extraction.extract_noise(batch, images, sound_ledger(self.home), limits, workers=1)
        conditioning.hash_blocks(batch)
        validated = validation.validate_blocks(batch)
        publish_batch(batch, self.home.ledger(), self.pool, run_id="day", now_us=int(self.clock.now * 1e6))
        outcomes = list(assessments.outcomes(batch))
        self.tally.batches += 1
        self.tally.accepted += sum(outcome.accepted for outcome in outcomes)
        self.tally.rejected.update(str(outcome.reason) for outcome in outcomes if not outcome.accepted)
        self.tally.credit_bits += sum(row.credit_bits for row in rows if row.accepted)
        self.tally.blocks += len(validated.released)

    def _replenish(self) -> None:
        """Ask the feeds that are due once more if the pool is low: the schedule may not have come to it."""
        self._filling = next_filling(self._filling, self.pool.stats().bytes, LOW_BYTES, HIGH_BYTES)
        if self._filling:
            self.tally.low_ticks += 1
            self._ask()
            self._make()

    def _draw(self) -> None:
        for lane, rate in DEMAND.items():
            self._owed[lane] += rate * TICK_S / HOUR
            blocks = int(self._owed[lane]) // STANDARD.block_len
            if not blocks:
                continue
            leased = self.pool.lease(blocks, lane=lane).blocks
            self.pool.close_blocks({}, [each.block.block_id for each in leased] if lane == "public" else [])
            self._owed[lane] -= len(leased) * STANDARD.block_len
            self.tally.drawn[lane] += len(leased)
            if lacking := blocks - len(leased):  # those who came in vain went away
                self._owed[lane] -= lacking * STANDARD.block_len
                self.tally.unmet[lane] += lacking
                self.tally.unmet_while_alive += lacking * self.is_any_alive()

    def _next_lane(self) -> Lane:
        return lane_by_demand(self._unfinished, self.pool.stats().lanes, None)

    def _inboxes(self) -> Mapping[str, Inbox]:
        return self.home.inboxes(dict(STANDARD.claims), settle_seconds=0.0, max_file_bytes=64 << 20)

    def _inbox_of(self, claim: str) -> Inbox:
        return self.home.inbox_of(claim, dict(STANDARD.claims), settle_seconds=0.0, max_file_bytes=64 << 20)


def next_midnight() -> float:
    """Return when the next day begins, UTC: files have times of the machine, which must lie in the past of the day."""
    return (datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)).timestamp()


def _resident_bytes() -> int:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()
