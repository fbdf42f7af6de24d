"""What a service tells of its sensor memory, checked by an outsider with the images that are there."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from entropy_assets.core import encoding
from entropy_assets.core.credit.memory import Recollection, Turned, overall, recollection_of
from entropy_assets.core.credit.sketches import CELLS, Sketch

LATEST: Final = 4
"""Frames of the same sensor and batch that the memory surely looked at, whatever came between from other batches."""


def told_recollection(told: Any) -> Recollection:
    """Return what is told of a frame, in types that can be trusted.

    Raises
    ------
    TypeError, ValueError, InputRefused
        If it is told in another way than the one there is.
    """
    found = Recollection.from_row(told)
    numbers: list[Any] = [found.frames, found.known_parts, found.orientation, *found.cells, *found.shift]
    lengths = len(found.shift), len(found.cells)
    if not all(type(number) is int and number >= 0 for number in numbers) or lengths not in ((2, 0), (2, CELLS**2)):
        raise TypeError(f"{told!r} is no recollection")
    if found.of is not None:
        image_sha256, slash, part = found.of.partition("/")
        encoding.hash_bytes(image_sha256)
        if slash and str(int(part)) != part:
            raise ValueError(f"{found.of} is no part of an image")
    elif found != Recollection(found.frames):
        raise ValueError("a share of no image")
    return found


def told_of_parts(told: Any, sketches: Sequence[Sketch]) -> list[Recollection]:
    """Return what is told of a frame, or of each of its parts that were credited at first.

    Parameters
    ----------
    sketches
        Of these parts.

    Raises
    ------
    TypeError, ValueError, LookupError, InputRefused
        If it is told in another way than the one there is.
    """
    if sketches[0].part is None:
        return [told_recollection(told)]
    (rows,) = told.values()
    found = [told_recollection({name: value for name, value in row.items() if name != "part"}) for row in rows]
    places = [row["part"] for row in rows]
    if [*told] != ["parts"] or not all(type(place) is int for place in places):
        raise TypeError(f"{told!r} tells of no parts")
    if places != [sketch.part for sketch in sketches]:
        raise ValueError(f"{places} are not the parts that are credited")
    return found


def is_contradicted(
    told: Recollection, sketch: Sketch, in_batch: Sequence[Sketch], look_up: Callable[[str], Sketch | None]
) -> bool:
    """Tell whether images speak against what is told of a frame.

    Parameters
    ----------
    sketch
        Of the frame.
    in_batch
        Of the frames that were spent before it in its batch.
    look_up
        Gives the sketch of an image by its SHA-256, None if it is not there.
    """
    same = [other for other in in_batch if other.sensor == sketch.sensor]
    if told.frames < len(same):
        return True
    if told.cells and told.known_parts != overall(told.cells, sketch):
        return True
    turned = Turned(sketch)
    if any(recollection_of(turned, other, 0).known_parts > told.known_parts for other in same[-LATEST:]):
        return True
    other = look_up(told.of) if told.of is not None else None
    return other is not None and recollection_of(turned, other, told.frames) != told
