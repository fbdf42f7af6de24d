"""The job that asks the feeds, a step for each host, and the schedule that starts it when one is due."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import dagster as dg

from entropy_assets.defs.cursors import UNFINISHED
from entropy_assets.defs.feeds import shown
from entropy_assets.defs.feeds.asking import Feeds, ImageFeeds
from entropy_assets.defs.feeds.assets import key_of
from entropy_assets.defs.resources import Stores, typed_failures
from entropy_assets.sources.feeds.roster import terms_of
from entropy_assets.sources.feeds.rounds import Look, State
from entropy_assets.stages.reports.feed_credit import DayCredit, credit_by_day
from entropy_assets.stages.reports.worth import Worth, worth_of
from entropy_assets.stores.batches import BatchStore

INGEST: Final = "ingest_feeds"
IDLE_S: Final = 3000.0
"""Cadence that the schedule follows while there is no file of feeds, seconds: the first one is seen in five minutes."""
NOT_ASKED: Final = (State.NOT_DUE, State.BUSY)
MOST_WORDS: Final = 1000
"""Characters of the reasons that a tick tells."""


def ingest_job(feeds: ImageFeeds) -> dg.JobDefinition:
    """Return the job that asks all feeds that are due, those of one host in one step."""
    steps = [_step(host, names) for host, names in feeds.hosts.items()] or [say_why_not]

    @dg.job(
        name=INGEST,
        tags={"entropy/stage": INGEST},
        description="Ask every feed that is due, and put what is new into the inbox of what it claims. A feed in "
        "trouble goes into quarantine and fails no run: alerts.jsonl tells of it once.",
    )
    def ingest_feeds() -> None:
        for step in steps:
            step()

    return ingest_feeds


@dg.op
def say_why_not(feeds: Feeds) -> None:
    """Fail with what is wrong with the file of feeds; where there is none, do nothing."""
    with typed_failures():
        feeds.refuse_if_unusable()


def _step(host: str, names: Sequence[str]) -> dg.OpDefinition:
    # Two hosts may read alike without their dots, so the step has the name of its first feed too.
    name = re.sub(r"\W", "_", f"ask_{host}_for_{names[0]}")

    @dg.op(name=name, pool=f"host/{host}", description=f"Ask {host} for {', '.join(names)}.")
    def ask(context: dg.OpExecutionContext, stores: Stores, feeds: Feeds) -> None:
        with typed_failures():
            looks = feeds.ask(names)
            worth = {look.feed: _worth(stores.layout.batches(), look) for look in looks}
            has_new = any(look.brought.images for look in looks)
            days = credit_by_day(stores.layout.feeds(), stores.layout.batches()) if has_new else {}
        for look in looks:
            _tell(context, look, worth[look.feed], days.get(look.feed, {}))

    return ask


def _worth(batches: BatchStore, look: Look) -> Worth:
    return worth_of(batches, look.journal.newest if look.journal is not None else ())


def _tell(context: dg.OpExecutionContext, look: Look, worth: Worth, credit: Mapping[str, DayCredit]) -> None:
    """Write what came of a feed into the log, and into the events of its asset if it was asked."""
    context.log.info("%s: %s, %s", look.feed, look.state, look.words)
    if look.state in NOT_ASKED:
        return
    context.log_event(dg.AssetObservation(key_of(look.feed), metadata=shown.observation(look, worth)))
    if look.brought.images:
        # Dagster judges freshness by materializations alone.
        context.log_event(dg.AssetMaterialization(key_of(look.feed), metadata=shown.materialization(look, credit)))


def ingest_schedule(feeds: ImageFeeds, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Return the schedule that follows the most frequent feed, and starts a run if any is due.

    It is there without any feed too, and its ticks then cost a look for the file and leave no event: so the first file
    is found by a pipeline that runs. The run reads the file anew, and has the steps that it asks for.
    """
    cadences = [terms_of(table).cadence_s for table in feeds.configuration.enabled.values()]

    @dg.schedule(
        name=INGEST,
        job=job,
        cron_schedule=cron_of(min(cadences, default=60.0 if feeds.is_configured else IDLE_S)),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Asks the feeds that are due. A tick without a run says of each feed when it is asked again, and "
        "why it is in quarantine.",
    )
    def ingest_when_due(context: dg.ScheduleEvaluationContext, feeds: Feeds) -> dg.RunRequest | dg.SkipReason:
        return request_of(context.instance, feeds)

    return ingest_when_due


def request_of(instance: dg.DagsterInstance, feeds: ImageFeeds) -> dg.RunRequest | dg.SkipReason:
    """Return the request of a run that asks the feeds, or why there is none.

    Raises
    ------
    dg.Failure
        If the file of feeds can't be used.
    """
    feeds = feeds.read_again()
    with typed_failures():
        feeds.refuse_if_unusable()
    under_way = instance.get_runs_count(dg.RunsFilter(job_name=INGEST, statuses=UNFINISHED))
    if under_way:
        return dg.SkipReason(f"{under_way} runs ask them already")
    due, others = feeds.due()
    if due:
        return dg.RunRequest(job_name=INGEST)
    return dg.SkipReason("; ".join(others)[:MOST_WORDS] or "no feed is enabled: entropy-assets sources add KIND")


def cron_of(cadence_s: float) -> str:
    """Return the times of a schedule that looks ten times in a cadence, but not more than once a minute.

    A feed is due a cadence after its last look, and not on the minute: who looked once in a cadence would be early, and
    late by a whole one.
    """
    minutes = max((each for each in (1, 2, 3, 5, 10, 15, 20, 30) if each * 600 <= cadence_s), default=1)
    return f"*/{minutes} * * * *"
