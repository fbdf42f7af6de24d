"""What is shown of a look at a feed: numbers that chart over time, and a picture of what it yields a day. No image."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg

from entropy_assets.defs.metadata import table
from entropy_assets.defs.plots import ACCENT, BAD, INK, as_markdown, new_figure
from entropy_assets.sources.feeds.journal import FeedJournal
from entropy_assets.sources.feeds.rounds import Look, State
from entropy_assets.stages.reports.feed_credit import DayCredit
from entropy_assets.stages.reports.worth import Worth

_MIB: Final = 2**20
_DAYS: Final = 30
"""Days that the picture shows."""


def observation(look: Look, worth: Worth) -> dict[str, Any]:
    """Return what is shown of every look at a feed."""
    brought, journal = look.brought, look.journal
    shown: dict[str, Any] = {
        "state": str(look.state),
        "words": look.words,
        "images": float(brought.images),
        "megabytes": brought.bytes / _MIB,
        "megabytes_read": brought.read_bytes / _MIB,
        "unchanged": float(brought.unchanged),
        "duplicates": float(brought.duplicates),
        "refused": float(brought.refused),
        "in_trouble": float(look.state is State.QUARANTINE),
        "newest_assessed": float(worth.assessed),
        "newest_credited": float(worth.credited),
        "newest_credit_kilobits": worth.credit_bits / 1000,
        "newest_reasons": dg.MetadataValue.json(worth.reasons),
    }
    if journal is not None:
        shown["images_in_all"] = float(journal.total.images)
        shown["next_look"] = dg.MetadataValue.timestamp(datetime.fromtimestamp(journal.due_s, UTC))
        if journal.trouble is not None:
            shown["trouble"] = journal.trouble.kind
            shown["rounds_in_trouble"] = float(journal.trouble.times)
    return shown


def materialization(look: Look, credit: Mapping[str, DayCredit]) -> dict[str, Any]:
    """Return what is shown of a look that brought new images; `credit` is what came of those before, by day."""
    brought, journal = look.brought, look.journal
    shown: dict[str, Any] = {"images": float(brought.images), "megabytes": brought.bytes / _MIB}
    if journal is not None:
        shown["days"] = table(_rows(journal, credit))
        shown["yield_by_day"] = yield_by_day(journal, credit)
    return shown


def _rows(journal: FeedJournal, credit: Mapping[str, DayCredit]) -> Iterator[dict[str, str | float]]:
    """Yield the newest days first: a table shows its first rows."""
    for day, each in reversed(journal.days):
        yield {
            "day": day,
            "images": float(each.images),
            "credit, kbit": credit.get(day, DayCredit()).bits / 1000,
            "without credit": float(credit.get(day, DayCredit()).refused),
            "MiB": round(each.bytes / _MIB, 3),
            "MiB read": round(each.read_bytes / _MIB, 3),
            "unchanged": float(each.unchanged),
            "duplicates": float(each.duplicates),
            "refused": float(each.refused),
            "rounds in trouble": float(each.failures),
        }


def yield_by_day(journal: FeedJournal, credit: Mapping[str, DayCredit]) -> dg.MarkdownMetadataValue:
    """Show what a feed brought on each of the last days, the rounds that ended in trouble, and what it was worth.

    An image is credited with its batch, which a day's end can part from its arrival.
    """
    days = journal.days[-_DAYS:]
    figure, axes = new_figure(2, height=2.4)
    axis = axes[0, 0]
    places = range(len(days))
    axis.bar(places, [each.images for _, each in days], color=ACCENT, label="new images")
    axis.bar(places, [-each.failures for _, each in days], color=BAD, label="rounds in trouble")
    axis.axhline(0, color=INK, linewidth=0.8)
    axis.set_ylabel("a day", fontsize=7)
    bits = [credit.get(day, DayCredit()).bits for day, _ in days]
    axes[0, 1].bar(places, [each / 1000 for each in bits], color=INK, label="credit, kbit")
    for each in axes[0]:
        each.set_xticks(places, [day[5:] for day, _ in days], rotation=90)
        each.tick_params(labelsize=7)
    figure.legend(loc="outside lower center", ncols=3, fontsize=7)
    images = sum(each.images for _, each in days)
    return as_markdown(figure, f"{images} new images and {sum(bits)} bits of credit in {len(days)} days")
