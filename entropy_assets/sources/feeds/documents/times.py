"""Times as servers write them, and as this house does: ``2026-11-29T08:33:00Z``."""

from datetime import UTC, datetime
from typing import Final

EARLIEST: Final = 1900
LATEST: Final = 9998


def stamp(moment: datetime) -> str:
    """Return a moment as this house writes it, UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def stamp_of(seconds: float) -> str | None:
    """Return a time in seconds since 1970 as this house writes it; None if no calendar has it, or no image is of it.

    A file can be given any time, by whoever owns it.
    """
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return stamp(moment) if EARLIEST <= moment.year <= LATEST else None


def time_in(text: str, *forms: str) -> datetime | None:
    """Return the time that `text` tells in one of `forms` of ``strptime``, else None. Without a zone it is UTC."""
    for form in forms:
        try:
            found = datetime.strptime(text, form)  # noqa: DTZ007 - the zone follows
        except ValueError:
            continue
        # `strptime` takes one digit for two: 0833 would be 8:03:03 by a form with seconds
        if found.strftime(form) == text and EARLIEST <= found.year <= LATEST:
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return None


def iso_time(text: str) -> datetime | None:
    """Return the time in a text of ISO 8601; None if there is none. Without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if EARLIEST <= found.year <= LATEST else None
