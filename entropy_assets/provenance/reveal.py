"""When a block reveals: when everybody is told where it was sampled, and with the images can make it again.

A public block reveals once it can't be served any more, and a private one never: its bytes, mixed, are somebody's
secret. Who knows where a block was sampled knows its bytes, so told too early they would be known before they are
drawn.
"""

from typing import Final, Literal, TypedDict

from entropy_assets.stores.lanes import Fate, Lane

MARGIN_S: Final = 60.0
"""By how much the clocks of publisher, pool and service may differ, seconds. While the pool's differs by more, and for
the life of a block after it was set forward, nothing reveals: what is gone by it is still held by workers, which go by
clocks that nobody sets."""

ASK_AGAIN_S: Final = 5.0
"""After which to ask again where the pool does not answer, seconds."""


class Reveal(TypedDict):
    """Whether a block revealed.

    Attributes
    ----------
    lane
        The lane of its batch.
    revealed
        Whether all is told.
    reveals_in_s
        Seconds until it does, at most; 0 if it did, None if it never will.
    """

    lane: Lane
    revealed: bool
    reveals_in_s: float | None


def reveal_of(lane: Lane, fate: Fate | None, *, has_own_nonce: bool, age_s: float, life_s: float) -> Reveal:
    """Return whether a published block revealed.

    Parameters
    ----------
    lane
        Its lane.
    fate
        Where the pool says that it is; None if nobody can tell, and then nothing reveals.
    has_own_nonce
        Whether its recipe gives each block a nonce of its own. Without one it would reveal all others of its batch,
        and waits until they have expired.
    age_s
        Time since it was published, seconds.
    life_s
        Life of a block, seconds.
    """
    if lane == "private":
        return {"lane": lane, "revealed": False, "reveals_in_s": None}
    if fate is not None and (abs(fate.ahead_s) > MARGIN_S or fate.stepped_s < life_s):
        fate = None
    left_s = _left_s(fate, has_own_nonce, max(0.0, life_s + MARGIN_S - age_s))
    return {"lane": lane, "revealed": left_s == 0, "reveals_in_s": left_s}


def _left_s(fate: Fate | None, has_own_nonce: bool, latest_s: float) -> float:
    if fate is None:
        return max(latest_s, ASK_AGAIN_S)
    if fate.state in ("ready", "open"):
        return max(fate.left_s, 0.001, 0.0 if has_own_nonce else latest_s)
    return 0.0 if fate.state == "gone" and has_own_nonce else latest_s


def sentence_of(reveal: Reveal, state: Literal["ready", "open", "gone", "unknown"] | None) -> str:
    """Return why a block did not reveal yet, in words."""
    if reveal["reveals_in_s"] is None:
        return "a private block never reveals: its bytes, mixed, are somebody's secret"
    when = f"it reveals in {reveal['reveals_in_s']:.0f} s at most"
    if state == "ready":
        return f"it waits in the pool to be drawn; {when}, when it was used up or has expired"
    if state == "open":
        return f"a worker holds it and may still serve from it; {when}"
    if state is None:
        return "the pool does not answer, or its clock is wrong: nobody can tell whether it is still served; ask again"
    return f"the pool can't say what became of it, so it counts as unserved until it has expired; {when}"
