"""The permutation tests of SP 800-90B 5.1: whether the order of the samples is one among all orders.

Under the IID assumption every order is as likely as that which was seen. So a statistic of it is as often among the
six largest of itself and 10,000 permutations as any: 6 in 10,001 times, and as often among the six smallest.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from entropy_assets.core.sp800_90b.alphabets import Symbols
from entropy_assets.core.sp800_90b.iid.shuffles import ALGORITHM, Shuffler
from entropy_assets.core.sp800_90b.iid.statistics import NAMES, Law, statistics

PERMUTATIONS: Final = 10_000
"""Permutations that decide (5.1 step 2)."""
TOLERATED: Final = 5
"""A statistic fails that is reached or passed by so many permutations, or fewer, on one side (5.1 step 4)."""
EARLY_PERMUTATIONS: Final = 1_666
"""Permutations after which an early decision is made: 1 in 1,667 is as seldom as 6 in 10,001."""

Progress = Callable[[int, tuple[str, ...]], None]
"""Is told after each permutation how many there were, and which statistics are undecided."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a statistic is decided.

    Attributes
    ----------
    name
        What the decision is called.
    permutations
        How many there are at most.
    tolerated
        A statistic fails if on one side so many of them, or fewer, reach or pass it.
    """

    name: str
    permutations: int
    tolerated: int

    @property
    def false_rejection_rate(self) -> float:
        """The rate at which one statistic of IID samples fails: exact if no two orders share a value, else a bound.

        The statistic's rank among itself and the permutations is uniform, and ties only keep it from failing.
        """
        return 2 * (self.tolerated + 1) / (self.permutations + 1)

    def failure_rate(self, p: float) -> float:
        """Return the probability to fail a statistic that a permutation reaches or passes with probability `p`.

        One less this is the rate at which a statistic is missed whose `p` is that small. Of one side; the other one's
        `p` is near 1.
        """
        from scipy.special import bdtr

        return float(bdtr(self.tolerated, self.permutations, p))


STANDARD: Final = Rule("SP 800-90B 5.1", PERMUTATIONS, TOLERATED)
"""The decision of the standard."""
EARLY: Final = Rule("early: none of 1,666 as extreme", EARLY_PERMUTATIONS, 0)
"""An early decision: not the standard's, with its rate of false rejections. A failure takes a sixth of the time. What
lies on the border is decided more by chance: a statistic that a permutation reaches with p = .0003 fails here 61 % of
the times, there 92 %; with p = .002 here 3.6 %, there never; with p = .00003 95 % and always."""


@dataclass(frozen=True, slots=True)
class PermutationVerdict:
    """What the permutation tests say.

    Attributes
    ----------
    rule
        Whose decision this is.
    statistics
        Of the samples in their order, by name.
    counts
        How many permutations had a larger, an equal and a smaller value. Those of a statistic that passes end when it
        is decided.
    permutations
        How many were made.
    seed, algorithm
        From what: the same verdict comes out again. The seed is None if a `Shuffler` was handed in.
    failed
        The statistics that fail.
    """

    rule: Rule
    statistics: dict[str, float]
    counts: dict[str, tuple[int, int, int]]
    permutations: int
    seed: int | None
    algorithm: str
    failed: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the IID assumption stands."""
        return not self.failed

    @property
    def false_rejection_bound(self) -> float:
        """Most often that IID samples fail: the rate of one statistic times their number. They go together in part."""
        return len(self.statistics) * self.rule.false_rejection_rate

    def to_row(self) -> dict[str, Any]:
        """Return all of it as JSON-able values."""
        rates = {
            "false_rejection_rate": self.rule.false_rejection_rate,
            "false_rejection_bound": self.false_rejection_bound,
        }
        return asdict(self) | rates | {"passed": self.passed}


def permutation_tests(
    places: Symbols, raw: Symbols, source: int | Shuffler, rule: Rule = STANDARD, progress: Progress | None = None
) -> PermutationVerdict:
    """Return the verdict of the permutation tests; it depends on nothing but what is handed in.

    A statistic that can't fail any more is not computed further, and permutations end when all are decided, as in
    NIST's tool: that changes no verdict. Each permutation is one of the permutation before.

    Parameters
    ----------
    places, raw
        The samples, ``uint8[n]``, as places in the ascending symbols ``uint8[alphabet]``.
    source
        A seed, or a stream of permutations that goes on.
    rule
        `STANDARD` or `EARLY`.
    progress
        Is told of each permutation. What it raises stops the tests.
    """
    law = Law.of(places, raw)
    of_samples = statistics(places, law)
    counts = {name: [0, 0, 0] for name in NAMES}
    shuffler = Shuffler.seeded(source) if isinstance(source, int) else source
    shuffled, undecided, made = places.copy(), NAMES, 0
    while undecided and made < rule.permutations:
        shuffler.shuffle(shuffled)
        made += 1
        for name, value in statistics(shuffled, law, undecided).items():
            seen = of_samples[name]
            counts[name][0 if value > seen else 1 if value == seen else 2] += 1
        undecided = tuple(name for name in undecided if _may_fail(counts[name], rule))
        if progress:
            progress(made, undecided)
    return PermutationVerdict(
        rule=rule,
        statistics=of_samples,
        counts={name: (count[0], count[1], count[2]) for name, count in counts.items()},
        permutations=made,
        seed=source if isinstance(source, int) else None,
        algorithm=ALGORITHM,
        failed=undecided,
    )


def _may_fail(counts: list[int], rule: Rule) -> bool:
    """Tell whether one of both sides has so few permutations yet that the statistic would fail."""
    larger, equal, smaller = counts
    return larger + equal <= rule.tolerated or equal + smaller <= rule.tolerated
