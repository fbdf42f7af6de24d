"""From the inboxes into batches: files are grouped, taken, and fixed in an intake. A crash at any point loses none."""

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import Final

from entropy_assets.errors import BatchError, FileStillChanging, ImageRejected
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import DROP
from entropy_assets.stages.assessments import settle
from entropy_assets.stages.ingest import open_batch, put_lost
from entropy_assets.stages.state import Unfinished, naming_damage
from entropy_assets.stores.batches import NOISE, Batch
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.bucket import Inbox
from entropy_assets.stores.inboxes.folder import ReadyFile
from entropy_assets.stores.intakes import batch_key
from entropy_assets.stores.lanes import LANES, Lane
from entropy_assets.stores.pool.blocks import LaneStats
from entropy_assets.stores.removals import Removal, removal_of

SMOOTHING_BYTES: Final = 1 << 20
"""What each lane counts as asked for before anybody asked."""
LEAST_SHARE: Final = 0.1
USUAL_BATCH_BYTES: Final = 64 * 1024
"""What an unfinished batch is expected to bring."""
Warn = Callable[[str], object]
"""Called with a sentence on what keeps a file waiting and stops no other."""
_log: Final = logging.getLogger(__name__)


def first_group(files: list[ReadyFile], max_files: int, max_bytes: int) -> list[ReadyFile]:
    """Return the longest start of `files` within the limits of one batch; one file at least, however large."""
    total = 0
    for count, file in enumerate(files):
        total += file.size
        if count and (count == max_files or total > max_bytes):
            return files[:count]
    return files


PER_SOURCE: Final = 8
"""Batches of one source that are under way before a heap of its files waits in the inbox, and not in others' way."""
UNDER_WAY_S: Final = 600.0
"""A batch whose files were not moved for this long makes way for the next one: its run failed, or takes its time."""


@dataclass(frozen=True, slots=True)
class Linger:
    """How long a batch that is not full waits for more files of its source: a batch costs seconds, however small.

    Attributes
    ----------
    files
        Files that are enough.
    seconds
        Age of the oldest file at which what is there is enough, seconds since it was last changed.
    """

    files: int = 1
    seconds: float = 0.0

    def holds(self, group: list[ReadyFile], max_files: int, now: float) -> bool:
        """Tell whether `group` waits. A file from the future doesn't make it wait: it may be years away."""
        ages = [now - file.mtime_ns / 1e9 for file in group]
        return len(group) < min(self.files, max_files) and all(0 <= age < self.seconds for age in ages)


AT_ONCE: Final = Linger()


def take_batches(
    inboxes: Mapping[str, Inbox],
    *,
    max_files: int,
    max_bytes: int,
    now: float,
    are_first: bool = False,
    linger: Linger = AT_ONCE,
    time_ns: Callable[[], int] = time.time_ns,
) -> None:
    """Move the ready files of each source's inbox into groups, each under the key of its batch to be.

    The first files of an installation are dealt into two groups for each source, so that each lane gets one.

    Files move before anything else is done with them, so a crash at any point leaves each file either in the inbox or
    in a group that `finish_intakes` finds. Listed sources come first, and of those the ones with fewer files. Of a heap
    no more is taken than `PER_SOURCE` groups at once, so junk in one inbox keeps no other waiting. Nothing is taken of
    one in which something has the name of its own folder: it tells so as pending.

    Parameters
    ----------
    now
        The present, seconds since 1970-01-01 UTC.
    linger
        For how long a group that is not full is left in the inbox.
    time_ns
        Gives the time in the key of each batch, nanoseconds since 1970.
    """
    waiting = {source: inbox.ready(now) for source, inbox in inboxes.items()}
    for source in sorted(waiting, key=lambda source: (source == DROP, len(waiting[source]), source)):
        inbox = inboxes[source]
        under_way = len(inbox.taken_since(now - UNDER_WAY_S))
        for group, is_last in _groups(waiting[source], max_files, max_bytes, hands=2 if are_first else 1):
            if linger.holds(group, max_files, now) if is_last else under_way >= PER_SOURCE:
                break
            under_way += 1
            listed = [(file.name, str(file.mtime_ns), file.size) for file in group]
            with suppress(NotADirectoryError):
                inbox.take(group, batch_key(source, time_ns(), listed))


def urgency_of(source: str, files: int, max_files: int) -> int:
    """Return how urgent a batch is, 0 to 3: more for a listed source, and more if it is not full, so no heap's part."""
    return 2 * (source != DROP) + (files < max_files)


def _groups(
    files: list[ReadyFile], max_files: int, max_bytes: int, *, hands: int
) -> Iterator[tuple[list[ReadyFile], bool]]:
    """Yield the groups of `files`, dealt into so many hands first, and whether nothing is left after each."""
    for hand in range(hands):
        rest = files[hand::hands]
        while rest:
            group = first_group(rest, max_files, max_bytes)
            rest = rest[len(group) :]
            yield group, not rest


def demanded_share(leased_bytes: Mapping[Lane, int]) -> float:
    """Return which part of the supply the public lane should have, by what was leased of each lane so far.

    Both keep a part, whoever asks for what: a lane that is dry is asked for nothing.
    """
    public, private = leased_bytes["public"] + SMOOTHING_BYTES, leased_bytes["private"] + SMOOTHING_BYTES
    return min(1 - LEAST_SHARE, max(LEAST_SHARE, public / (public + private)))


def lane_of_next(supply_bytes: Mapping[Lane, int], leased_bytes: Mapping[Lane, int], public_share: float) -> Lane:
    """Return the lane that lacks more of its share.

    Parameters
    ----------
    supply_bytes
        What is ready in each lane or on its way to it.
    leased_bytes
        What was leased of each lane so far. It decides where both lack the same: images that come one by one are used
        up one by one, and a lane that never had any would be asked for nothing for ever.
    public_share
        Part of the supply that the public lane should have, 0 to 1; 0 and 1 leave the other lane nothing.
    """
    if public_share in (0, 1):
        return "public" if public_share else "private"

    def excess(of: Mapping[Lane, int]) -> float:
        return of["public"] * (1 - public_share) - of["private"] * public_share

    return "public" if (excess(supply_bytes) or excess(leased_bytes)) < 0 else "private"


def supply_of(unfinished: Unfinished, ready_bytes: Mapping[Lane, int]) -> dict[Lane, int]:
    """Return what is ready in each lane, and what its unfinished batches may bring, bytes."""
    supply = dict(ready_bytes)
    for batch, state in unfinished:
        if not isinstance(state, BatchError):
            supply[batch.intake.lane] += USUAL_BATCH_BYTES
    return supply


def lane_by_demand(unfinished: Unfinished, lanes: Mapping[Lane, LaneStats], public_share: float | None) -> Lane:
    """Return the lane of the next batch.

    Parameters
    ----------
    unfinished
        The batches that may still bring blocks.
    lanes
        What the pool tells of each lane; empty for one that does not answer, as if it were empty and asked for nothing.
    public_share
        As of `lane_of_next`; None for `demanded_share`.
    """
    ready = {lane: lanes[lane].bytes if lanes else 0 for lane in LANES}
    leased = {lane: lanes[lane].leased_bytes if lanes else 0 for lane in LANES}
    share = demanded_share(leased) if public_share is None else public_share
    return lane_of_next(supply_of(unfinished, ready), leased, share)


def finish_intakes(
    home: Home,
    inboxes: Mapping[str, Inbox],
    *,
    recipe: str,
    limits: DecodeLimits,
    next_lane: Callable[[str], Lane],
    time_ns: Callable[[], int] = time.time_ns,
    warn: Warn = _log.warning,
) -> Iterator[str]:
    """Yield the keys of the batches with files that are not settled, each with its intake fixed.

    The files of one that retention has removed are settled, and nothing is made of them again. What still changes, or
    can't be read any more, goes back to the inbox, which tells of it if it will not be taken again; of a group in which
    nothing else is no batch is made.

    Parameters
    ----------
    recipe, limits
        Those of a batch that is fixed now.
    next_lane
        Gives the lane of a batch of a source that is fixed now.
    time_ns
        Gives the time of intake of each batch, nanoseconds since 1970.
    warn
        Told of the files that can't be read, and of those that can't be settled: these stay where they are until the
        next look.
    """
    batches = home.batches()
    for source, inbox in inboxes.items():
        for key in inbox.taken():
            if not batches.has(key):
                try:
                    removal = removal_of(batches.blobs, key)
                except BatchError:  # the run of this batch tells it, and the others go on
                    yield key
                    continue
                if removal is not None:
                    _settle_removed(removal, inbox, warn)
                    continue
                contents: Iterator[tuple[str, bytes]] = _contents(inbox, key, warn)
                if (first := next(contents, None)) is None:
                    continue
                contents = chain([first], contents)
                del first  # who takes the contents lets go of its bytes
                batch = open_batch(
                    batches,
                    home.images(),
                    contents,
                    key=key,
                    source=source,
                    time_ns=time_ns(),
                    os_bytes=secrets.token_bytes(32),
                    recipe=recipe,
                    limits=limits,
                    lane=next_lane(source),
                    origins=home.origins(),
                )
                put_lost(batch, home.images(), _contents(inbox, key, warn))
            yield key


def _settle_removed(removal: Removal, inbox: Inbox, warn: Warn) -> None:
    """Settle the files of a batch that was removed before the machine that has the inbox came to it.

    A name that leads elsewhere is that of none of them.
    """
    with _waiting(removal.key, warn):
        for file in removal.files:
            with suppress(FileNotFoundError, ValueError):
                inbox.settle(removal.key, file.file, file.accepted, file.reason)


def settle_assessed(home: Home, inboxes: Mapping[str, Inbox], warn: Warn = _log.warning) -> None:
    """Settle the files of each batch whose noise is assessed.

    The machine that has the inbox does it: what assessed the batch may be a worker elsewhere, which sees no inbox, or
    was killed before it came to it. A batch that is damaged is left to who tells of it.

    Parameters
    ----------
    warn
        As `finish_intakes` takes it.
    """
    batches = home.batches()
    for inbox in inboxes.values():
        for key in inbox.taken():
            with suppress(BatchError):
                batch = batches.batch(key)
                if batch.has(NOISE):
                    settle_or_warn(batch, inbox, warn)


def settle_or_warn(batch: Batch, inbox: Inbox, warn: Warn) -> None:
    """Settle the files of a batch; where that can't be done they stay, and whoever looks next settles them.

    Raises
    ------
    BatchError
        If the batch is damaged.
    """
    with _waiting(batch.key, warn), naming_damage(batch):
        settle(batch, inbox)


@contextmanager
def _waiting(key: str, warn: Warn) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        warn(f"the files of batch {key} wait to be settled: {error}")


def _contents(inbox: Inbox, key: str, warn: Warn) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each file of a group; what can't be read, or still changes, goes back to the inbox."""
    for file in inbox.files_of(key):
        try:
            data = inbox.read(file)
        except (FileStillChanging, ImageRejected, OSError) as error:
            if not isinstance(error, FileStillChanging):
                warn(f"{file.name!r} was taken and can't be read, so it goes back to the inbox: {error}")
            with suppress(FileNotFoundError):
                inbox.put_back(key, file.name)
        else:
            yield file.name, data
