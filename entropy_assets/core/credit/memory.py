"""Sensor memory: which part of a frame's noise earlier frames have shown already, in whatever batch, however it lies.

A frame is looked up among thousands in two steps. A short index of each, 2.4 KB, finds candidates by products of
matrices: frames that fit as they lie, in any of the 8 orientations, frames whose spectrum fits, which no shift and no
sign changes, and those of which the frame may have been made (`elsewhere`). The newest frames of the same sensor are
candidates anyway. Each candidate is then fitted over all orientations and all shifts of its fold, and what it shares is
measured on integers: candidates are found in floating point, but no credit follows from that. Those that lie as the
frame does are fitted together as well (`together`), so that a sum or a mean of them is known too.
"""

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from entropy_assets.core.credit.elsewhere.filtered import by_a_filter
from entropy_assets.core.credit.elsewhere.kinds import RULES, Made
from entropy_assets.core.credit.elsewhere.moved import Placement, Turned, correlation, explained, joined, searched
from entropy_assets.core.credit.elsewhere.recollection import Recollection
from entropy_assets.core.credit.elsewhere.rows import NewestRows
from entropy_assets.core.credit.elsewhere.spectra import HALVES, OF_HALF, halves_of
from entropy_assets.core.credit.elsewhere.turns import shown_in_turns
from entropy_assets.core.credit.gaussian import left_of, pair_entropy, raised
from entropy_assets.core.credit.sketches import CODE_RMS, INDEXED, LYING, Sketch, index_of, unit, views
from entropy_assets.core.credit.squarewise.columns import known_beside_columns
from entropy_assets.core.credit.squarewise.probes import Twins, copied_share
from entropy_assets.core.credit.together import are_less_alike, fit, telling
from entropy_assets.core.extraction.slopes import of_planes

PARTS: Final = 10_000
"""Shares of the variance are rounded up to one part in this, so that the last bit of a sum doesn't reach the credit."""
NEWEST: Final = 16
"""Frames of the same sensor that are looked at whatever their index says."""
BEST: Final = 8
"""Candidates of each kind that the index gives."""
MORE: Final = 24
"""Candidates that lie as the frame does, by the index, of which it is asked what they show together."""
MORE_CORRELATED: Final = 3 / LYING
"""Correlation in the index from which on they are such candidates: three standard errors."""
CLEAR_ERRORS: Final = 3.0
"""Standard errors by which several frames must show more together than the best of them alone."""
LYING_ERRORS: Final = 6.0
"""Standard errors beyond which a correlation of frames that lie alike is believed. Of 10,000 frames of independent
noise, one look in 50,000 finds one."""
CLEARLY_PARTS: Final = 300
"""By so much a frame must fit better where it lies otherwise before it counts as moved, parts of 10,000."""
UNEVENLY_ALIKE: Final = 0.3
"""By so much the correlations of the cells of two frames differ where the one has parts of the other, and not all."""
SPLICED_ERRORS: Final = 3.0
"""Standard errors by which less must be left, by the probes of two frames, than their folds say, since of 40 frames the
worst counts; and by which anything must be left at all."""
ROUNDING: Final = 0.25
"""Noise that counts as that of rounding, ADC steps. A copy to which a gain was given has the root of a twelfth, which
looks like .2 where two frames of one pattern are expected; fresh noise that seems so narrow holds .01 bit at most."""
OF_PLANES: Final = 3
"""So many times what planes take of the noise of a mosaic (`extraction.slopes`) a grey frame may be apart from it and
count as a copy: a mosaic's sketch is without them, and a grey one's is not."""
QUANTISED: Final = 2 / (12 * CODE_RMS**2)
"""What rounding folds to codes may take from a correlation near 1, twice."""


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """What is looked through of a frame: the index of its sketch.

    Attributes
    ----------
    name, sensor, live_pixels
        As of the sketch.
    index
        Of `lookup_of`; or of `index_of` alone, as it was kept before there was more.
    """

    name: str
    sensor: str
    live_pixels: int
    index: npt.NDArray[np.int8]


def lookup_of(sketch: Sketch) -> npt.NDArray[np.int8]:
    """Return what a frame is looked through by: its index, and the spectra of the halves that can be made of it."""
    return np.concatenate([index_of(sketch), halves_of(sketch.fold)])


Shelf = Callable[[Sequence[str]], Iterable[Sketch]]
"""Gives the sketches of remembered frames by their names."""


class SensorMemory:
    """The frames that came before, the newest ones up to a number.

    Parameters
    ----------
    most_frames
        How many are kept.
    """

    def __init__(self, most_frames: int) -> None:
        self._frames: deque[Remembered] = deque(maxlen=most_frames)
        self._lying, self._spectra, self._halves = (NewestRows(most_frames) for _ in range(3))

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: Remembered) -> None:
        """Remember `frame`; it is newer than all that are here."""
        self._frames.append(frame)
        vector = unit(frame.index[:INDEXED])
        self._lying.add(vector[: LYING * LYING])
        self._spectra.add(vector[LYING * LYING :])
        halves = np.zeros(HALVES, dtype=np.float32)
        halves[: len(frame.index) - INDEXED] = frame.index[INDEXED:] / np.float32(CODE_RMS * math.sqrt(OF_HALF))
        self._halves.add(halves)

    def recollect(self, sketch: Sketch, shelf: Shelf) -> Recollection:
        """Return what the frames that are here show of the noise of `sketch`."""
        same = [frame for frame in self._frames if frame.sensor == sketch.sensor]
        names = dict.fromkeys(frame.name for frame in same[-NEWEST:])
        best, more = self._by_index(sketch)
        names |= dict.fromkeys(self._frames[place].name for place in best)
        both = names | dict.fromkeys(self._frames[place].name for place in more)
        turned, candidates = Turned(sketch), list(shelf(list(both)))
        halved = {self._frames[place].name for place in self._remade(turned)} - names.keys()
        return recollection_of_all(turned, candidates, len(same), names, list(shelf(sorted(halved))))

    def _by_index(self, sketch: Sketch) -> tuple[list[int], list[int]]:
        """Return the places of the candidates that the index gives: to be looked at alone, and together alone."""
        if not self._frames:
            return [], []
        lying, spectra = views(sketch)
        scores = (
            np.abs(self._lying.all @ lying.T).max(axis=1),
            (self._spectra.all @ spectra.T).max(axis=1),
        )
        best = {int(place) for score in scores for place in np.argsort(-score, kind="stable")[:BEST]}
        more = np.argsort(-scores[0], kind="stable")[:MORE]
        return sorted(best), [int(place) for place in more if scores[0][place] > MORE_CORRELATED]

    def _remade(self, turned: Turned) -> list[int]:
        """Return the places of frames that the frame may be made of, or that may be made of it, and nothing else."""
        if not self._frames:
            return []
        asked = turned.remakings.asked
        may_be = [turned.sketch.may_be_half(frame.sensor, frame.live_pixels) for frame in self._frames]
        return asked.among(self._spectra.all, self._halves.all, np.array(may_be))


def recollection_of_all(
    turned: Turned,
    others: Sequence[Sketch],
    frames: int,
    alone: Collection[str] | None = None,
    remade: Sequence[Sketch] = (),
) -> Recollection:
    """Return what `others` show of a frame's noise: the best of them, or several that show clearly more together.

    Parameters
    ----------
    frames
        Remembered frames of its sensor.
    alone
        Names of those that are looked at alone, wherever they lie; all if None.
    remade
        Further frames, of which it is asked alone whether the one was made of the other.
    """
    sketch = turned.sketch
    found = [recollection_of(turned, other, frames) for other in others if alone is None or other.name in alone]
    found += [_remade(turned, other, frames) for other in remade]
    found.append(pieced(found, frames))
    best = max(found, key=lambda each: each.rank)
    alike = [other for other in others if _may_lie_alike(sketch, other)]
    kept = [alike[n] for n in telling(sketch.pairs, [other.pairs for other in alike])]
    together = recollection_together(sketch, kept, frames, beyond=best.known_parts)
    return _in_turns(sketch, kept, frames) or together or best


def _in_turns(sketch: Sketch, others: Sequence[Sketch], frames: int) -> Recollection | None:
    """Return what frames show together that lie as this one does and take turns in it; None if they don't."""
    is_asked = are_less_alike(sketch.pairs, [other.pairs for other in others])
    shown = shown_in_turns(sketch.fold, [other.fold for other in others]) if is_asked else None
    if shown is None:
        return None
    names = sorted(other.name for other in others)
    return Recollection(frames, math.ceil(min(1.0, shown) * PARTS), (), names[0], together=tuple(names[1:]))


def recollection_together(
    sketch: Sketch, others: Sequence[Sketch], frames: int, beyond: int | None = None
) -> Recollection | None:
    """Return what several frames that lie as this one does show of it together; None if they don't.

    Parameters
    ----------
    beyond
        Known parts of 10,000 that they must clearly exceed; None if they need not.
    """
    if len(others) < 2 or not all(_may_lie_alike(sketch, other) for other in others):
        return None
    ordered = sorted(others, key=lambda other: other.name)
    found = fit(sketch.pairs, [other.pairs for other in ordered])
    if found is None:
        return None
    cells = tuple(math.ceil(share * PARTS) for share in found.cells)
    clearly = CLEAR_ERRORS * found.error * PARTS
    if copied := copied_share(sketch.probes, [other.probes for other in ordered], sketch.sigma):
        if are_less_alike(sketch.pairs, [other.pairs for other in ordered]):
            # Where pixels take turns, both of a pair are of one frame in a part of the copies: Cauchy's inequality.
            copied = min(1.0, math.sqrt(len(others) * copied))
        most = (1 - copied) * pair_entropy(sketch.sigma)
        cells, clearly = raised(cells, PARTS, sketch.cell_pixels, sketch.sigma, most), 0.0
    parts = overall(cells, sketch)
    if beyond is not None and parts <= beyond + clearly:
        return None
    names = [other.name for other in ordered]
    of = names.pop(found.strongest)
    return Recollection(frames, parts, cells, of, together=tuple(names))


def pieced(found: Sequence[Recollection], frames: int) -> Recollection:
    """Return what the earlier frames show together that were made of a frame, as its fields or colours: the sum.

    Parameters
    ----------
    found
        What each of several frames shows.
    frames
        Remembered frames of its sensor.
    """
    pieces = sorted((each for each in found if each.made and RULES[Made(each.made)].is_larger), key=_name)
    if not pieces:
        return Recollection(frames)
    strongest = max(pieces, key=lambda each: each.known_parts)
    known = min(PARTS, sum(each.known_parts for each in pieces))
    together = tuple(each.of for each in pieces if each.of and each is not strongest)
    return strongest._replace(frames=frames, known_parts=known, together=together)


def _name(recollection: Recollection) -> str:
    return recollection.of or ""


def recollection_of(turned: Turned, other: Sketch, frames: int) -> Recollection:
    """Return what `other` shows of a frame's noise; `frames` of its sensor are remembered."""
    as_it_is, remade = _as_it_is(turned, other, frames), _remade(turned, other, frames)
    is_clear = remade.known_parts == PARTS or remade.known_parts > as_it_is.known_parts + CLEARLY_PARTS
    return remade if is_clear else as_it_is


def _remade(turned: Turned, other: Sketch, frames: int) -> Recollection:
    """Return what a frame shows of which this one was made, or which was made of it.

    No sensor alternates the signs of a pattern, so what does so counts as a copy from a half on.
    """
    found = turned.remakings.of(other.fold, may_be_half=turned.sketch.may_be_half(other.sensor, other.live_pixels))
    if found is None:
        return Recollection(frames)
    rule, pixels = RULES[found.made], (turned.sketch.live_pixels, other.live_pixels)
    larger, smaller = pixels if rule.is_larger else pixels[::-1]
    counts = larger, smaller * rule.phases
    parts = known_parts(found.rho, found.error, max(counts) / max(1, min(counts)))
    known = PARTS if any(rule.signs) and 2 * parts >= PARTS else -(-parts // found.of)
    return Recollection(frames, known, (), other.name, found.orientation, found.shift, made=found.made.value)


def _as_it_is(turned: Turned, other: Sketch, frames: int) -> Recollection:
    """Return what a frame shows that lies as this one does, or otherwise, in parts, or through a filter."""
    lying, looks = _lying(turned.sketch, other, frames), searched(turned, other)
    if not looks:
        return lying or Recollection(frames)
    found = lying
    # Where both lie alike, the fold of the whole fits at its place as well. At others besides it fits if the one was
    # added to itself; a pattern which does so explains the square of its correlation. And parts may lie there that
    # were moved: then the others, which were not, are more alike than these. A pattern is everywhere.
    in_place = lying is not None and (looks[0].orientation, looks[0].shift) == (0, (0, 0))
    if not in_place or _lies_in_part(turned.sketch, other):
        moved = _moved(turned, other, frames, joined(turned, other, looks))
        found = moved if found is None or moved.known_parts > found.known_parts + CLEARLY_PARTS else found
    elif looks[0].is_same or explained(turned, other, looks) > looks[0].rho:
        return _moved(turned, other, frames, joined(turned, other, looks))
    by_filter = by_a_filter(turned, other, looks[0])
    filtered = _moved(turned, other, frames, by_filter) if by_filter else Recollection(frames)
    return found if found and found.known_parts >= filtered.known_parts else filtered


def _lies_in_part(sketch: Sketch, other: Sketch) -> bool:
    """Tell whether cells of two frames are clearly more alike than others."""
    alike = [abs(correlation(a, b)[0]) for a, b in zip(sketch.pairs, other.pairs, strict=True)]
    return max(alike) - min(alike) > UNEVENLY_ALIKE


def _lying(sketch: Sketch, other: Sketch, frames: int) -> Recollection | None:
    """Return what a frame of the same shape shows that lies as this one does; None if that is nothing."""
    if not _may_lie_alike(sketch, other):
        return None
    rho, error = correlation(sketch.pairs, other.pairs)
    sign = -1 if rho < 0 else 1
    twins = Twins.of(sketch.probes, other.probes)
    discrete = twins.discrete_bits(sketch.sigma, sign) if twins else None
    if abs(rho) <= LYING_ERRORS * error and discrete is None:
        return None
    of_cells = (sign * correlation(a, b)[0] for a, b in zip(sketch.pairs, other.pairs, strict=True))
    cells = tuple(known_parts(max(0.0, of_cell), error, 1.0) for of_cell in of_cells)
    beside = known_beside_columns(sketch.pairs, other.pairs, sign, twins.overlap if twins else 1.0)
    cells = tuple(max(parts, math.ceil(beside * PARTS)) for parts in cells)
    cells = tuple(PARTS if left_of(sketch.sigma, parts, PARTS) < ROUNDING else parts for parts in cells)
    apart = OF_PLANES * abs(of_planes(sketch.mosaic) - of_planes(other.mosaic))
    if apart and abs(rho) >= 1 - apart:
        return Recollection(frames, PARTS, (PARTS,) * len(cells), other.name)
    # Squares that are live in one of them alone, and other noise in some, thin the correlation out.
    if twins and (fresh := twins.fresh_bits(sketch.sigma, sign)):
        margin = SPLICED_ERRORS * fresh.error
        most = fresh.bits if fresh.bits > margin else 0.0
        if discrete is None or most < discrete:
            cells = raised(cells, PARTS, sketch.cell_pixels, sketch.sigma, most, margin)
    found = Recollection(frames, overall(cells, sketch), cells, other.name)
    if discrete is None:
        return found
    # Of wide noise one part of 10,000 holds more than this, so it is told by itself, and no cell counts as a copy.
    higher = raised(cells, PARTS, sketch.cell_pixels, sketch.sigma, discrete)
    cells = tuple(max(known, min(parts, PARTS - 1)) for known, parts in zip(cells, higher, strict=True))
    return found._replace(known_parts=overall(cells, sketch), cells=cells, left_parts=math.floor(discrete * PARTS))


def _may_lie_alike(sketch: Sketch, other: Sketch) -> bool:
    """Tell whether two frames are of one shape."""
    return sketch.shape == other.shape


def overall(cells: Sequence[int], sketch: Sketch) -> int:
    """Return the share of a whole frame that is known, parts of 10,000, if these are the shares of its cells."""
    known = sum(parts * pixels for parts, pixels in zip(cells, sketch.cell_pixels, strict=True))
    return -(-known // max(1, sketch.live_pixels))


def _moved(turned: Turned, other: Sketch, frames: int, best: Placement) -> Recollection:
    """Return what another frame shows that lies otherwise."""
    counts = turned.sketch.live_pixels, other.live_pixels
    parts = known_parts(best.rho, best.error, max(counts) / max(1, min(counts)))
    return Recollection(frames, parts, (), other.name, best.orientation, best.shift)


def known_parts(rho: float, error: float, ratio: float) -> int:
    """Return the share of the noise that counts as known, parts of 10,000, for a correlation of folds.

    It is the correlation of two frames of one pattern. Of a copy with noise added the square is known, which is less.

    Parameters
    ----------
    rho, error
        The correlation and its standard error for independent noise; two of what that is at `rho` are added.
    ratio
        Live pixels of the one frame over those of the other: where one is a part of the other, the rest of it thins
        the correlation out by the root of this.
    """
    upper = rho + 2 * error * (1 - min(1.0, rho) ** 2) + QUANTISED
    return math.ceil(min(1.0, upper * math.sqrt(ratio)) * PARTS)
