"""Dagster's ``dagster.yaml`` in an installation: the shipped one until somebody edits it, and his own from then on."""

import hashlib
from pathlib import Path
from typing import Final

from entropy_assets.stores.durable import write_durably
from entropy_assets.stores.home import Home

PACKAGE: Final = Path(__file__).parents[1]
USED: Final = "dagster.yaml"
GIVEN: Final = "dagster.yaml.given"
"""A copy of the shipped file as it was when it was put there: who edited the used one shows by it."""
OFFERED: Final = "dagster.yaml.new"
_BEFORE_IT_WAS_KEPT: Final = "e36939004b2baef00113f19893e4a9fe1a866c438aca11d13248d6ea1c0817f2"
"""SHA-256 of the file that was put there, over whatever was, before there was `GIVEN`."""


def shipped(package: Path = PACKAGE) -> Path:
    """Return the ``dagster.yaml`` of this checkout, which may be edited, or the package's own where there is none."""
    of_checkout = package.parent / USED
    return of_checkout if of_checkout.is_file() else package / "supervisor" / USED


def provide(home: Home, package: Path = PACKAGE) -> str:
    """Put the shipped ``dagster.yaml`` where Dagster looks for it, unless somebody's own is there.

    Own is a file that is not the one that was put there. Beside it the shipped one is laid as `OFFERED`, if it is
    another one than was put there last.

    Returns
    -------
    str
        A sentence on what is offered; empty if nothing is.
    """
    folder, new = home.dagster_folder, shipped(package).read_bytes()
    used, given = _bytes_of(folder / USED), _bytes_of(folder / GIVEN)
    if used in (None, new, given) or hashlib.sha256(used).hexdigest() == _BEFORE_IT_WAS_KEPT:
        if used != new:  # else it may be a link to what somebody keeps elsewhere
            write_durably(folder / USED, new)
        write_durably(folder / GIVEN, new)
        (folder / OFFERED).unlink(missing_ok=True)
        return ""
    if given == new:
        return ""
    write_durably(folder / OFFERED, new)
    return f"{folder / USED} was edited and stays as it is; this release's own is beside it as {OFFERED}"


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
