"""The job that removes what nobody needs any more, and its schedule."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

import dagster as dg

from entropy_assets.defs.anchors import known_to_dagster
from entropy_assets.defs.metadata import TABLE_ROWS, table
from entropy_assets.defs.resources import EntropyStores, Pool, RedisPool, Stores, typed_failures
from entropy_assets.defs.retention.history import forget, old_history
from entropy_assets.errors import PoolError
from entropy_assets.stages.retention.looking import FateOf
from entropy_assets.stages.retention.plan import Kind, plan_removal
from entropy_assets.stages.retention.removing import remove
from entropy_assets.stages.state import Unfinished
from entropy_assets.stores.removals import removed_keys

RETENTION: Final = "retention"


@dg.op
def remove_what_is_old(context: dg.OpExecutionContext, stores: Stores, pool: Pool) -> None:
    """Remove images, noise and batches by the settings ENTROPY_KEEP_..., and then what Dagster remembers of them."""
    now_s, inboxes = time.time(), stores.inboxes()
    with typed_failures(), _asked(pool) as fate_of:
        plan = plan_removal(
            stores.layout,
            stores.keep,
            now_s=now_s,
            inboxes=inboxes,
            fate_of=fate_of,
            anchors=list(known_to_dagster(context.instance)),
        )
        done = remove(stores.layout, plan, inboxes=inboxes)
        history = old_history(
            context.instance,
            removed=removed_keys(stores.layout.batches().blobs),
            busy=_busy(stores),
            days=stores.keep_runs_days,
            now_s=now_s,
        )
    forget(context.instance, history)
    listed = [item for item in done.items if item.kind is not Kind.IMAGE][:TABLE_ROWS]
    why = Counter(plan.staying.values()).most_common(TABLE_ROWS)
    context.add_output_metadata(
        {
            **{f"{kind}_removed": float(done.count(kind)) for kind in Kind},
            "mib_removed": done.freed / 2**20,
            "mib_left": plan.bytes_after / 2**20,
            "runs_removed": float(len(history.runs)),
            "partitions_removed": float(len(history.partitions)),
            "removed": table({"what": str(item.kind), "name": item.name, "why": item.why} for item in listed),
            "why_the_rest_stays": table({"batches": float(count), "why": reason} for reason, count in why),
        }
    )


@contextmanager
def _asked(pool: RedisPool) -> Iterator[FateOf | None]:
    """Yield who tells where a block is; None if no pool answers."""
    with ExitStack() as stack:
        fate_of = None
        with suppress(PoolError):
            fate_of = stack.enter_context(pool.connect()).fate_of
        yield fate_of


def _busy(stores: EntropyStores) -> set[str]:
    """Return the batches on which something is left to do, or whose files wait in an inbox."""
    unfinished = {batch.key for batch, _ in Unfinished(stores.layout.batches(), stores.layout.ledger(readonly=True))}
    return unfinished.union(*(inbox.taken() for inbox in stores.inboxes().values()))


@dg.job(name=RETENTION, tags={"entropy/stage": "retention"})
def retention() -> None:
    """Remove what nobody needs any more: batches, noise, images, partitions and runs. docs/retention.md says what."""
    remove_what_is_old()


@dg.schedule(
    name=RETENTION,
    job=retention,
    cron_schedule="7 4 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every day at 04:07 UTC, after reports and audit; skipped while no setting ENTROPY_KEEP_... is given.",
)
def daily_retention(stores: Stores) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run, if anything may go."""
    if stores.keep.keep_all and stores.keep_runs_days is None:
        return dg.SkipReason("everything is kept: no setting ENTROPY_KEEP_... is given")
    return dg.RunRequest()
