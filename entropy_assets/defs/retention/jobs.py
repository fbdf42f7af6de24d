"""The job that removes what nobody needs any more, and its schedule."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import dagster as dg
from pydantic import Field

from entropy_assets.defs.anchors import known_to_dagster
from entropy_assets.defs.metadata import TABLE_ROWS, table
from entropy_assets.defs.resources import Pool, RedisPool, Stores, typed_failures
from entropy_assets.defs.retention.history import FORGET_S, RETENTION, Forgotten, KnownBatches, forget, old_history
from entropy_assets.errors import PoolError
from entropy_assets.stages.retention.looking import FateOf
from entropy_assets.stages.retention.plan import Kind, plan_removal
from entropy_assets.stages.retention.removing import Removed, remove


class Looking(dg.Config):
    """How a run is begun by hand."""

    dry_run: bool = Field(default=False, description="Only tell what would go; change nothing.")


@dg.op
def remove_what_is_old(context: dg.OpExecutionContext, config: Looking, stores: Stores, pool: Pool) -> None:
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
        known = KnownBatches.of(stores.layout, plan, inboxes)
        history = old_history(context.instance, known, stores.keep_runs, now_s=now_s)
        done = Removed(plan.going) if config.dry_run else remove(stores.layout, plan, inboxes=inboxes)
    forgotten = Forgotten(len(history.runs), len(history.partitions))
    if not config.dry_run:
        forgotten = forget(context.instance, history, for_s=FORGET_S)
    if forgotten.left:
        context.log.info("%d runs and partitions are left for the next run", forgotten.left)
    verb = "would_go" if config.dry_run else "removed"
    listed = [item for item in done.items if item.kind is not Kind.IMAGE][:TABLE_ROWS]
    why = Counter(plan.staying.values()).most_common(TABLE_ROWS)
    why_runs = Counter(history.runs.values()).most_common(TABLE_ROWS)
    context.add_output_metadata(
        {
            **{f"{kind}_{verb}": float(done.count(kind)) for kind in Kind},
            f"mib_{verb}": done.freed / 2**20,
            "mib_left": plan.bytes_after / 2**20,
            f"runs_{verb}": float(forgotten.runs),
            f"partitions_{verb}": float(forgotten.partitions),
            "left_for_the_next_run": float(forgotten.left),
            "why_runs_go": table({"runs": float(count), "why": reason} for reason, count in why_runs),
            verb: table({"what": str(item.kind), "name": item.name, "why": item.why} for item in listed),
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


@dg.job(name=RETENTION, tags={"entropy/stage": "retention"})
def retention() -> None:
    """Remove what nobody needs any more: batches, noise, images, partitions and runs. docs/retention.md says what."""
    remove_what_is_old()


daily_retention = dg.ScheduleDefinition(
    name=RETENTION,
    job=retention,
    cron_schedule="7 4 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every day at 04:07 UTC, after reports and audit. While no setting ENTROPY_KEEP_... is given, only old "
    "runs of no batch go.",
)
