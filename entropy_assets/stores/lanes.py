"""The two lanes: a batch is in one of them from its intake on, and no block serves answers of both.

Public blocks reveal where they were sampled once they can't be served any more, private ones never. So whoever knows
all that is told, and all images, knows nothing of a private answer's pool half.
"""

from typing import Final, Literal, get_args

Lane = Literal["public", "private"]
LANES: Final[tuple[Lane, ...]] = get_args(Lane)
