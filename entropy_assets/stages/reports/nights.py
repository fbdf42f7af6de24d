"""The nightly look at the public stream: SP 800-22 on its newest sequences, and the long run over all of them.

**What is promised.** An honest stream raises an alarm in one year in a hundred (`ALPHA_YEAR`), whatever the dependence
between tests. One half is for the nights: each may spend a 366th of it, and looks only at sequences that no night saw.
The other half is for the long run, whose looks overlap: each pays its own 366th, as if they did not (Bonferroni), which
is dear by less than it seems, since a defect that the long run finds grows with every night.

A night is a date in UTC, and is looked at once: a run that is repeated shows the same look again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Final, Self

from entropy_assets.core.sp800_22.second_level.grain import grain
from entropy_assets.core.sp800_22.suite import run_suite
from entropy_assets.stages.reports.stream import SEQUENCE_BITS, Place, stream_after
from entropy_assets.stages.reports.tallies import Counts, LookVerdict, RowCounts, summed, verdict_on
from entropy_assets.stores.home import Home

ALPHA_YEAR: Final = 0.01
"""Probability that an honest stream raises any alarm within a year."""
LOOKS_A_YEAR: Final = 366
"""Nights of the longest year."""
LEVEL: Final = ALPHA_YEAR / 2 / LOOKS_A_YEAR
"""What one night, and one look at the long run, may spend: 1.4e-5 each."""
MOST_SEQUENCES: Final = 200
"""Newest sequences that one night looks at, 25 MB of blocks and some ten seconds; it passes over those before."""
NIGHTS_SHOWN: Final = 30
"""Newest nights that are shown side by side."""
JUDGED_SEQUENCES: Final = 10_000
"""Newest sequences on which the long run is judged: P-values of these tests are approximations, whose bins are off by
parts of a percent, which would itself raise an alarm over some hundred thousand sequences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What one night saw.

    Attributes
    ----------
    night
        Its date in UTC, ``YYYY-MM-DD``.
    sequences, skipped
        Sequences of 1,000,000 bits that were tested, and that were passed over since there were too many.
    missing
        Published batches whose files are gone.
    upto
        The place in the stream at which it ended.
    tallies
        Counts of the P-values of its sequences.
    """

    night: str
    sequences: int
    skipped: int
    missing: int
    upto: Place
    tallies: Counts

    def to_row(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return {
            "night": self.night,
            "sequences": self.sequences,
            "skipped": self.skipped,
            "missing": self.missing,
            "batch": self.upto.batch,
            "offset": self.upto.offset,
            "rows": {row: tally.to_row() for row, tally in self.tallies.items()},
        }

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Return what `to_row` gave.

        Raises
        ------
        LookupError, TypeError, ValueError, AttributeError
            If `row` is none of it.
        """
        return cls(
            night=str(row["night"]),
            sequences=int(row["sequences"]),
            skipped=int(row["skipped"]),
            missing=int(row["missing"]),
            upto=Place(str(row["batch"]), int(row["offset"])),
            tallies={name: RowCounts.from_row(counts) for name, counts in row["rows"].items()},
        )


@dataclass(frozen=True)
class StreamReport:
    """What is known of the public stream.

    Attributes
    ----------
    nights
        All looks, the oldest first; the last is the one that is reported.
    is_new
        Whether the last look was made for this report.
    waiting
        Whole sequences that no night has seen yet.
    """

    nights: Sequence[Night]
    is_new: bool
    waiting: int

    @property
    def newest(self) -> Night | None:
        """The look that is reported; None while the stream has not one whole sequence."""
        return self.nights[-1] if self.nights else None

    @cached_property
    def of_night(self) -> LookVerdict:
        """What the sequences of the newest look say."""
        return self.of_each_night[-1] if self.nights else LookVerdict(LEVEL, ())

    @cached_property
    def of_each_night(self) -> tuple[LookVerdict, ...]:
        """What each of the newest nights says by itself, up to `NIGHTS_SHOWN` of them."""
        return tuple(verdict_on(night.tallies, LEVEL, smallest_too=True) for night in self.nights[-NIGHTS_SHOWN:])

    @cached_property
    def life(self) -> Counts:
        """Counts over the life of the stream."""
        return summed(night.tallies for night in self.nights)

    @property
    def sequences(self) -> int:
        """Sequences over the life of the stream."""
        return sum(night.sequences for night in self.nights)

    @cached_property
    def judged(self) -> Sequence[Night]:
        """The newest nights on which the long run is judged."""
        counts = accumulate(night.sequences for night in reversed(self.nights))
        kept = sum(count <= JUDGED_SEQUENCES for count in counts)
        return self.nights[len(self.nights) - kept :]

    @cached_property
    def of_long_run(self) -> LookVerdict:
        """What the sequences of the newest nights say together."""
        return verdict_on(summed(night.tallies for night in self.judged), LEVEL, smallest_too=False)


def report_on_stream(home: Home, night: str, most_sequences: int = MOST_SEQUENCES) -> StreamReport:
    """Look at the stream of an installation, unless this night did already, and return what is known of it.

    Parameters
    ----------
    night
        Today's date in UTC, ``YYYY-MM-DD``.

    Raises
    ------
    LedgerError, BatchError
        If the ledger can't be read, or does not know where the last look ended; if blocks are not those that were
        published.
    """
    log, ledger = home.nights(), home.ledger(readonly=True)
    nights = nights_in(log.read())
    ahead = stream_after(nights[-1].upto if nights else None, home.batches(), ledger)
    count = ahead.sequences
    if not count or any(kept.night == night for kept in nights):
        return StreamReport(nights, is_new=False, waiting=count)
    p_values: dict[str, list[float]] = {}
    grains: dict[str, float] = {}
    for sequence in ahead.newest(most_sequences, ledger):
        for finding in run_suite(sequence).findings:
            grains[finding.name] = max(grains.get(finding.name, 0.0), grain(finding, SEQUENCE_BITS))
            for value in finding.p_values:
                kept_p = p_values.setdefault(f"{finding.name} {value.label}".strip(), [])
                kept_p += [] if value.p is None else [value.p]
    look = Night(
        night=night,
        sequences=min(count, most_sequences),
        skipped=max(0, count - most_sequences),
        missing=len(ahead.missing),
        upto=ahead.place_after(count),
        tallies={row: RowCounts.of(values, grains[row.split()[0]]) for row, values in p_values.items()},
    )
    if not log.append(look.to_row()):  # another run was first, and its look is the one that counts
        return StreamReport(nights_in(log.read()), is_new=False, waiting=0)
    return StreamReport([*nights, look], is_new=True, waiting=0)


def nights_in(rows: Sequence[dict[str, Any]]) -> list[Night]:
    """Return the nights that `rows` of the log hold; a row that is none is left out."""
    found = []
    for row in rows:
        try:
            found.append(Night.from_row(row))
        except (LookupError, TypeError, ValueError, AttributeError):
            continue
    return found
