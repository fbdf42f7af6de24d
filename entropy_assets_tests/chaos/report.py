"""The table: one row per fault, and all draws of all rows together."""

import os
import platform
from dataclasses import dataclass, field

from entropy_assets_tests.chaos.arena import CLIENTS, WORKERS
from entropy_assets_tests.chaos.draws import Draws, merged
from entropy_assets_tests.chaos.outcome import Outcome

COLUMNS = (
    "fault",
    "draws",
    "of them private",
    "bytes served",
    "duplicates",
    "bytes lost",
    "refused (503)",
    "cut off or timed out",
    "blocks not let in",
    "healthy again, s",
)
HEAD = f"""# What faults cost

Written by `make nightly` (or by `make chaos CHAOS_REPORT=benchmarks/CHAOS.md`, the same with fewer draws):
{CLIENTS} clients draw from {WORKERS} workers while the fault happens. A duplicate is a byte range of a block that was
given out before, or an answer whose bytes were, in this phase or an earlier one, in whichever lane; private answers are
not mixed here, so that one can tell. Lost is what was offered to the pool and reached no client and waits nowhere: when
in doubt a block is lost. Not let in are blocks of another server process that were dropped, and blocks that were here
before. Healthy again is the time from the end of the fault (for a killed process: from its death, for a server: from
its return) until all workers live and each of eight new clients gets bytes.
"""


@dataclass
class Table:
    """Rows in the order in which the faults happened."""

    rows: list[tuple[str, ...]] = field(default_factory=list)
    phases: list[Draws] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def add(self, fault: str, outcome: Outcome) -> Outcome:
        """Hold a fault to the promises that none may break, and enter its row."""
        draws, pool = outcome.draws, outcome.pool
        self.phases.append(draws)
        broken = sum(draws.counts[name] for name in ("broken", "timed out", "not connected"))
        kept_out = pool.inherited_blocks + pool.refused_blocks
        numbers = (
            draws.draws,
            draws.private_draws,
            draws.served_bytes,
            draws.duplicates,
            outcome.lost_bytes,
            draws.refused,
            broken,
        )
        cells = [f"{number:,}" for number in (*numbers, kept_out)]
        self.rows.append((fault, *cells, f"{outcome.healthy_after_s:.1f}"))
        assert draws.duplicates == 0, f"{draws.duplicates} ranges were given out twice"
        assert (draws.foreign, draws.altered) == (0, 0), "answers must be the bytes of the blocks that they name"
        assert draws.counts["of another length"] == 0, "answers must come in the order of their requests"
        assert draws.counts["unasked"] == 0
        assert set(filter(str.isdigit, draws.counts)) <= {"503"}, draws.counts
        assert outcome.lost_bytes >= 0, "more was received than was offered"
        return outcome

    @property
    def draws(self) -> int:
        """Of all rows."""
        return sum(phase.draws for phase in self.phases)

    @property
    def duplicates(self) -> int:
        """Within all rows taken together."""
        return merged(self.phases).duplicates

    def text(self) -> str:
        """Give the table as Markdown."""
        served = sum(phase.served_bytes for phase in self.phases)
        private = sum(phase.private_draws for phase in self.phases)
        total = (
            "**all of them**",
            f"**{self.draws:,}**",
            f"{private:,}",
            f"{served:,}",
            f"**{self.duplicates}**",
            *[""] * 5,
        )
        rule = ("---", *["---:"] * (len(COLUMNS) - 1))
        lines = [f"| {' | '.join(row)} |" for row in (COLUMNS, rule, *self.rows, total)]
        return "\n".join([*lines, "", *self.skipped])

    def page(self) -> str:
        """Give the whole page."""
        machine = (
            f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
        )
        return f"{HEAD}\nMeasured on {machine}, clients and servers on the same cores.\n\n{self.text()}\n"
