"""What a service tells of its sensor memory, checked by an outsider with the images that are there."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from entropy_assets.core import encoding
from entropy_assets.core.credit.elsewhere.kinds import Made
from entropy_assets.core.credit.elsewhere.moved import Turned
from entropy_assets.core.credit.elsewhere.recollection import Recollection
from entropy_assets.core.credit.memory import (
    CLEARLY_PARTS,
    PARTS,
    overall,
    pieced,
    recollection_of,
    recollection_of_all,
    recollection_together,
)
from entropy_assets.core.credit.sketches import CELLS, Sketch

LATEST: Final = 4
"""Frames of the same sensor and batch that the memory surely looked at, whatever came between from other batches."""
ROUNDED_PARTS: Final = 10
"""What rounding may take from what several frames show together, parts of 10,000."""


def told_recollection(told: Any) -> Recollection:
    """Return what is told of a frame, in types that can be trusted.

    Raises
    ------
    TypeError, ValueError, InputRefused
        If it is told in another way than the one there is.
    """
    found = Recollection.from_row(told)
    numbers: list[Any] = [found.frames, found.known_parts, found.orientation, *found.cells, *found.shift]
    numbers += [found.left_parts] if "left_parts" in told else []
    lengths = len(found.shift), len(found.cells)
    if not all(type(number) is int and number >= 0 for number in numbers) or lengths not in ((2, 0), (2, CELLS**2)):
        raise TypeError(f"{told!r} is no recollection")
    if found.of is not None:
        names = [found.of, *found.together]
        for name in names:
            _require_name(name)
        if len(set(names)) < len(names) or (
            "together" in told and not (found.together and (found.cells or found.made))
        ):
            raise ValueError("frames that show nothing together")
        if found.left_parts is not None and (found.together or not found.cells):
            raise ValueError("what is left of no cells")
        if found.made is not None and (Made(found.made), found.cells) != (found.made, ()):
            raise ValueError("made of one that it lies on")
    elif found != Recollection(found.frames):
        raise ValueError("a share of no image")
    return found


def _require_name(name: Any) -> None:
    """Raise unless `name` is that of a frame, or of a part of one."""
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is no name")
    image_sha256, slash, part = name.partition("/")
    encoding.hash_bytes(image_sha256)
    if slash and str(int(part)) != part:
        raise ValueError(f"{name} is no part of an image")


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
    if any(recollection_of(turned, other, 0).rank > told.rank for other in same[-LATEST:]):
        return True
    together = recollection_of_all(turned, same[-LATEST:], 0)
    if together.together and together.known_parts > told.known_parts + _margin(together.known_parts):
        return True
    if told.of is None:
        return False
    others = [other for other in map(look_up, (told.of, *told.together)) if other is not None]
    if not told.together:
        return any(recollection_of(turned, other, told.frames) != told for other in others)
    if told.made and len(others) > len(told.together):
        return pieced([recollection_of(turned, other, told.frames) for other in others], told.frames) != told
    # Of several frames, some of which are not here, each one is here a part of what is told.
    if len(others) <= len(told.together):
        return any(recollection_of(turned, other, 0).known_parts > told.known_parts for other in others)
    return recollection_together(sketch, others, told.frames) != told


def _margin(known: int) -> int:
    """Return by how much some frames may seem to show more together than they do with others, parts of 10,000."""
    return min(CLEARLY_PARTS, (PARTS - known) // 4 + ROUNDED_PARTS)
