"""What ``entropy-assets up`` tells: a line per batch and stage, a line per failed run, and when nothing is left."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from entropy_assets.core.advice import lines_of_advice
from entropy_assets.errors import LedgerError, PoolError
from entropy_assets.provenance.standing import LOOK_S, Standing, new_sentences
from entropy_assets.provenance.waiting import Waiting
from entropy_assets.recipe import Recipe, recipe_named
from entropy_assets.settings import Settings
from entropy_assets.sources.feeds.rounds import ALERT_JOB
from entropy_assets.stages.state import Stage, state_of
from entropy_assets.stages.verdicts import verdicts_of
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.blobs.refusals import StoreError
from entropy_assets.stores.home import Home
from entropy_assets.stores.journals.alerts import Alert
from entropy_assets.stores.ledger.rows import BURNED
from entropy_assets.stores.pool.shards import pool_at

if TYPE_CHECKING:
    from entropy_assets.stages.assessments import Outcome


PATIENCE_S: Final = 20.0
"""A batch that is read and not assessed for longer is told of once more, seconds."""
SHOWN: Final = 8
"""Rejected images of a batch that are named."""
ADVISED: Final = 2
"""Reasons of a batch without an image for which it says what to do, the commonest first."""


class Narrator:
    """Tells one line per batch and stage, from what the stages kept, and one per failed run.

    Parameters
    ----------
    home
        Where to look. What is there already is no news.
    waiting
        What waits in the inboxes.
    """

    def __init__(self, home: Home, waiting: Waiting | None = None) -> None:
        self._alerts = home.alerts()
        self._batches = home.batches()
        self._ledger = home.ledger(readonly=True)
        self._lines_told: dict[str, int] = {}
        self._read_since: dict[str, float] = {}
        self._finished: set[str] = set()
        self._last_alert: Alert | None = None
        self._standing = Standing(self._batches, self._ledger, every_s=LOOK_S)
        self._waiting = waiting
        self._doubts_told: set[str] = set()
        for _ in self.news():
            pass
        # What stands still is news to whoever starts, however long it does.
        self._doubts_told.clear()

    def news(self) -> Iterator[str]:
        """Yield what is new since the last call."""
        away: list[tuple[str, str]] = []
        try:
            yield from self._of_batches()
        except (StoreError, LedgerError) as error:
            away.append((error.code, error.message))
        alerts = self._alerts.read()
        for alert in _behind(alerts, self._last_alert):
            of_feed = alert["job"] == ALERT_JOB  # an alarm that begins or ends, and no run
            what = f"feed       {alert['error']}" if of_feed else f"failed     {alert['job']}: {alert['error']}"
            yield f"{datetime.now(UTC):%H:%M:%S} {alert['batch'] or '-'}  {what}"
        self._last_alert = alerts[-1] if alerts else None
        doubts = [*away, *self._standing.doubts(), *(self._waiting.doubts() if self._waiting else ())]
        for sentence in new_sentences(self._doubts_told, doubts):
            yield f"{datetime.now(UTC):%H:%M:%S} {sentence}"

    def _of_batches(self) -> Iterator[str]:
        for batch in self._batches:
            if batch.key in self._finished:
                continue
            lines = list(self._story(batch))
            for line in lines[self._lines_told.get(batch.key, 0) :]:
                yield f"{datetime.now(UTC):%H:%M:%S} {batch.key}  {line}"
            self._lines_told[batch.key] = len(lines)
            if self._is_long_at_work(batch.key, lines):
                yield (
                    f"{datetime.now(UTC):%H:%M:%S} {batch.key}  read       and not assessed yet: a new machine compiles"
                    " its loops at its first images, which takes a minute or more"
                )

    def _is_long_at_work(self, key: str, lines: Sequence[str]) -> bool:
        """Tell, once, that a batch has been read for a while and is not assessed yet."""
        if not lines[-1].startswith("read"):
            self._read_since.pop(key, None)
            return False
        now = time.monotonic()
        if now - self._read_since.setdefault(key, now) < PATIENCE_S:
            return False
        self._read_since[key] = math.inf
        return True

    def _story(self, batch: Batch) -> Iterator[str]:
        # Loaded here: it stands between the command and its first child.
        from entropy_assets.stages.assessments import noise_rows, outcomes
        from entropy_assets.stages.manifest import Manifest

        state = state_of(batch, self._ledger)
        if state.is_finished:
            self._finished.add(batch.key)
        count = len(batch.intake.files)
        yield f"taken      {count} {'file' if count == 1 else 'files'} from {batch.intake.source}"
        if state.stage < Stage.READ:
            return
        rows = Manifest.of(batch).rows
        yield f"read       {sum(row.accepted for row in rows)} of {len(rows)} images"
        if state.stage < Stage.ASSESSED:
            return
        results = list(outcomes(batch))
        rejected = _named([f"{row.file}: {row.reason}" for row in results if not row.accepted])
        credit = sum(row.credit_bits for row in noise_rows(batch))
        yield f"extracted  {credit:,} bits of credit" + (f"; rejected {rejected}" if rejected else "")
        if state.stage < Stage.VALIDATED:
            return
        released, made = len(state.released), len(verdicts_of(batch)["rows"])
        if not made:
            yield f"validated  no block: {_why_none(results, recipe_named(batch.intake.recipe))}"
            return
        yield f"validated  {released} of {made} blocks released"
        if state.publication is not None:
            word = "burned   " if state.publication.run_id == BURNED else "published"
            yield f"{word}  {released * recipe_named(batch.intake.recipe).block_len / 1024:.0f} KiB"


def _named(rejected: Sequence[str]) -> str:
    """Return the first of the rejected images by name: a heap of them would fill the terminal with one line."""
    more = len(rejected) - SHOWN
    beyond = f" and {more} more, each with its reason in `rejected` of its inbox" if more > 0 else ""
    return ", ".join(rejected[:SHOWN]) + beyond


def _why_none(results: Sequence["Outcome"], recipe: Recipe) -> str:
    """Return why a batch made no block, and what to do: more files help only where some had credit."""
    if not any(result.accepted for result in results):
        refused = Counter(result.reason for result in results)
        told = ", ".join(f"{reason} {count}" if count > 1 else f"{reason}" for reason, count in sorted(refused.items()))
        commonest = (reason for reason, _ in refused.most_common(ADVISED))
        return f"no image was accepted ({told}). " + "; ".join(lines_of_advice(commonest))
    why = f"too little credit for one, which takes {recipe.block_credit_bits:,} bits"
    return f"{why}; drop more at once, or let files wait for others: ENTROPY_LINGER_SECONDS"


def settled(settings: Settings, redis_url: str) -> bool:
    """Tell whether nothing is left to do: inbox taken, batches finished and published or failed, pool filled.

    While a store or the ledger does not answer nobody knows, so it is not.

    A batch counts as failed when its run failed and no verdict followed. With the simulated camera on, the pool counts
    as filled when it is over its low-water mark.
    """
    try:
        return _is_settled(settings, redis_url)
    except (StoreError, LedgerError):
        return False


def _behind(alerts: Sequence[Alert], last: Alert | None) -> Sequence[Alert]:
    """Return the alerts behind the last one that was told; all of them if it is not among them any more."""
    return alerts[max((place for place, alert in enumerate(alerts) if alert == last), default=-1) + 1 :]


def _is_settled(settings: Settings, redis_url: str) -> bool:
    home = Home.of(settings)
    ledger = home.ledger(readonly=True)
    listed = recipe_named(settings.recipe).sources
    inboxes = home.inboxes(
        listed, settle_seconds=settings.settle_seconds, max_file_bytes=settings.max_file_bytes
    ).values()
    failed = {alert["batch"] for alert in home.alerts().read()}
    # A file that was dropped a moment ago is work too.
    if any(inbox.ready(time.time() + settings.settle_seconds) or set(inbox.taken()) - failed for inbox in inboxes):
        return False
    if not all(state_of(batch, ledger).is_finished for batch in home.batches() if batch.key not in failed):
        return False
    return not settings.simulated_camera or _pool_bytes(redis_url, settings.pool_prefix) >= settings.low_water_bytes


def _pool_bytes(redis_url: str, prefix: str) -> int:
    client = pool_at(redis_url, prefix=prefix)
    try:
        return client.depth().bytes
    except PoolError:
        return 0
    finally:
        client.close()
