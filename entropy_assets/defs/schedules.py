"""Schedules: look for images on the quarter hour, audit once a day."""

from typing import Final

import dagster as dg

from entropy_assets.defs.jobs import daily_audit, replenish_pool

ingest = dg.ScheduleDefinition(
    name="ingest",
    job=replenish_pool,
    cron_schedule="*/15 * * * *",
    description="Ask every enabled source for new images. Stopped unless you start it: the low-water sensor does the "
    "same when the pool needs it.",
)

daily = dg.ScheduleDefinition(
    name="daily_audit",
    job=daily_audit,
    cron_schedule="17 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every day at 03:17 UTC: ledger chain, stuck batches, pool against ledger.",
)

SCHEDULES: Final = (ingest, daily)
