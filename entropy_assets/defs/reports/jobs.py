"""The job that makes both reports, and its schedule."""

from typing import Final

import dagster as dg

from entropy_assets.defs.reports.assets import REPORTS

NIGHTLY: Final = "nightly_reports"

nightly_reports = dg.define_asset_job(
    NIGHTLY,
    selection=dg.AssetSelection.assets(*REPORTS),
    description="Assess the sources and test the public stream. A run that fails is an alarm: see docs/reports.md.",
    tags={"entropy/stage": "report"},
)

nightly = dg.ScheduleDefinition(
    name=NIGHTLY,
    job=nightly_reports,
    cron_schedule="43 2 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 02:43 UTC: both reports. Each night is looked at once, however often it is run.",
)
