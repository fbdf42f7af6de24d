"""The two lanes: a batch is in one of them from its intake on, and no block serves answers of both.

Public blocks reveal where they were sampled once they can't be served any more, private ones never. So whoever knows
all that is told, and all images, knows nothing of a private answer's pool half.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

Lane = Literal["public", "private"]
LANES: Final[tuple[Lane, ...]] = get_args(Lane)
DEFAULT_TTL_S: Final = 3600.0
"""Life of a block in the pool, seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """Where a block is.

    Attributes
    ----------
    state
        ``ready`` in the pool; ``open``, a public block that somebody holds; ``gone``, since it can't be served any
        more; ``unknown``, never here, or forgotten.
    left_s
        Seconds after which it can't be served any more, for ``ready`` and ``open``; else 0.
    ahead_s
        By how much the clock of who says so is ahead of this machine's, seconds.
    stepped_s
        Since when it is known to have been set forward last, seconds.
    """

    state: Literal["ready", "open", "gone", "unknown"]
    left_s: float = 0.0
    ahead_s: float = 0.0
    stepped_s: float = math.inf
