"""How long what is kept, as the operator says. Without a word of his all that batches need is kept for ever."""

from dataclasses import dataclass
from typing import Final, Protocol, Self

DAY_S: Final = 86_400.0
GRACE_S: Final = DAY_S
"""Age under which no image goes, whoever needs it: a batch may be being made of it. Seconds."""
LONGEST_LIFE_S: Final = 30 * DAY_S
"""Longest life of a block that the settings allow: an older one can't be served, whatever its life was. Seconds."""
SLACK_S: Final = 3600.0
"""By how much the clocks of publisher, pool, service and retention may differ together, seconds."""


FAILED_DAYS: Final = 90
"""Days for which a failed run of no batch is kept if nobody says: a quarter, as are the ticks that failed."""


class _Kept(Protocol):
    """The settings that say what is kept."""

    @property
    def keep_noise_days(self) -> int | None: ...
    @property
    def keep_batches_days(self) -> int | None: ...
    @property
    def keep_bytes(self) -> int | None: ...
    @property
    def keep_least_days(self) -> int: ...
    @property
    def keep_inbox_days(self) -> int | None: ...
    @property
    def pool_ttl_seconds(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepLimits:
    """How long what is kept. None keeps it for ever.

    Attributes
    ----------
    noise_days
        Days for which noise arrays, maps and blocks of a batch are kept, from its publication on. They can be made
        again from its images.
    batches_days
        Days for which whole batches are kept, from their publication on, and images that no younger batch needs.
    total_bytes
        Bytes that batches and images may take together: above it the oldest go before their time.
    least_days
        Days for which a batch is kept whatever the size.
    inbox_days
        Days for which the settled files in the inboxes are kept, from the intake of their batch on.
    life_s
        Life of a block in the pool, seconds.
    """

    noise_days: int | None = None
    batches_days: int | None = None
    total_bytes: int | None = None
    least_days: int = 7
    inbox_days: int | None = None
    life_s: float = 3600.0

    @classmethod
    def of(cls, kept: _Kept) -> Self:
        """Return the limits that the settings describe."""
        return cls(
            noise_days=kept.keep_noise_days,
            batches_days=kept.keep_batches_days,
            total_bytes=kept.keep_bytes,
            least_days=kept.keep_least_days,
            inbox_days=kept.keep_inbox_days,
            life_s=kept.pool_ttl_seconds,
        )

    @property
    def keep_all(self) -> bool:
        """Tell whether nothing ever goes."""
        return (self.noise_days, self.batches_days, self.total_bytes, self.inbox_days) == (None,) * 4

    @property
    def remove_batches(self) -> bool:
        """Tell whether whole batches, and with them images, may go."""
        return self.batches_days is not None or self.total_bytes is not None


class _KeptRuns(Protocol):
    """The settings that say which runs are kept."""

    @property
    def keep_runs_days(self) -> int | None: ...
    @property
    def keep_batchless_runs_days(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """How long Dagster's runs are kept, from their ends on.

    Attributes
    ----------
    days
        Days for any run; None for ever.
    batchless_days
        Days for a run of no batch that did not fail: there may be one a minute.
    """

    days: int | None = None
    batchless_days: int = 7

    @classmethod
    def of(cls, kept: _KeptRuns) -> Self:
        """Return the limits that the settings describe."""
        return cls(days=kept.keep_runs_days, batchless_days=kept.keep_batchless_runs_days)


KEEP_ALL: Final = KeepLimits()
