"""The two reports as assets, with the checks that raise the alarm.

Not partitioned, and neither are their checks: a report is about many batches, and its history is its materialisations.
The checks are blocking so that an alarm fails the run: a failed run is what the log of alerts takes up.
"""

from datetime import UTC, datetime
from typing import Final

import dagster as dg

from entropy_assets.core.encoding import sha256_of_json
from entropy_assets.defs.assets import OWNERS
from entropy_assets.defs.reports import shown
from entropy_assets.defs.resources import Stores, typed_failures
from entropy_assets.stages.reports.nights import report_on_stream
from entropy_assets.stages.reports.sources import report_on_sources

GROUP: Final = "reports"


def _check(name: str, asset: str, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(name, asset=asset, description=description, blocking=True)


@dg.asset(
    deps=["noise_arrays"],
    group_name=GROUP,
    kinds={"numpy", "scipy"},
    owners=OWNERS,
    code_version="1",
    description=(
        "Is the noise worth what it was credited? The raw noise of the newest frames of each source and sensor, before "
        "any hashing, looked at again by the ten estimators of NIST SP 800-90B: frame by frame, a million samples in a "
        "row, and side by side (one row a frame, one column a pixel pair). All marks of the picture must lie beyond "
        "the bar. On an alarm stop taking frames of that source, and read docs/reports.md."
    ),
    check_specs=[
        _check(
            "credit_is_covered",
            "source_assessment",
            "No sensor is assessed at less than its frames were credited per sample. On an alarm blocks were made of "
            "less noise than they say: stop taking frames of that source.",
        ),
        _check(
            "restarts",
            "source_assessment",
            "SP 800-90B 3.1.4 on frames of one sensor side by side: the same pixel pair does not say the same in every "
            "frame. On an alarm the sensor has a fixed pattern, which whoever has one of its frames knows.",
        ),
    ],
)
def source_assessment(stores: Stores) -> dg.MaterializeResult:
    """Assess the newest frames of each source and sensor."""
    with typed_failures():
        report = report_on_sources(stores.layout)
    return dg.MaterializeResult(
        metadata=shown.source_assessment(report), check_results=list(shown.source_checks(report))
    )


@dg.asset(
    deps=["published_blocks"],
    group_name=GROUP,
    kinds={"numpy", "scipy"},
    owners=OWNERS,
    code_version="1",
    description=(
        "Does what was published look random? The fifteen tests of NIST SP 800-22 on the newest bytes of the public "
        "lane, and one histogram of P-values for each test over the life of the stream, which must be flat. A hash "
        "passes such tests whatever went in, so an alarm means that something is broken, and silence says nothing "
        "about secrecy. An honest stream raises one in a hundred years. On an alarm read docs/reports.md."
    ),
    check_specs=[
        _check(
            "newest_sequences",
            "stream_report",
            "The sequences that were published since the last night: proportion and uniformity of each of the 188 "
            "P-values (SP 800-22 4.2) and the smallest, corrected together by Holm's method. On an alarm stop "
            "publishing and look at the newest batches.",
        ),
        _check(
            "long_run",
            "stream_report",
            "The same over many nights: what is too small for any of them adds up here. On an alarm compare the "
            "histograms of the picture: which test leans, and since when.",
        ),
    ],
)
def stream_report(stores: Stores) -> dg.MaterializeResult:
    """Test the newest sequences of the public stream, unless this night did already."""
    with typed_failures():
        report = report_on_stream(stores.layout, datetime.now(UTC).date().isoformat())
    return dg.MaterializeResult(
        metadata=shown.stream_report(report),
        check_results=list(shown.stream_checks(report)),
        data_version=dg.DataVersion(sha256_of_json([night.to_row() for night in report.nights])),
    )


REPORTS: Final = (source_assessment, stream_report)
