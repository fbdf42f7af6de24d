"""What was looked at in the public stream, one night a line: counts of P-values and where the look ended, never bytes.

Trusted for nothing but the history of a report: who can write to it can hide an alarm or raise a false one, and can't
touch a byte that is served.
"""

from pathlib import Path
from typing import Any, Final

from entropy_assets.stores.journals.lines import append_line, objects_in, opened

NIGHT: Final = "night"
"""Name of the field that no two lines share."""


class NightLog:
    """The file to which nights are appended.

    Parameters
    ----------
    path
        The file; made with its folder by the first night.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: dict[str, Any]) -> bool:
        """Append a night, once; return whether this call did. Of several at once one wins."""
        with opened(self.path) as file:
            if any(kept.get(NIGHT) == row[NIGHT] for kept in objects_in(file.read())):
                return False
            append_line(file, row)
            return True

    def read(self) -> list[dict[str, Any]]:
        """Return all nights, the oldest first. A line that is none, as a crash may leave one, is left out."""
        return objects_in(self.path.read_bytes()) if self.path.exists() else []
