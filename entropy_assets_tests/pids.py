"""Whether a process that a test knows by its number still runs."""

from pathlib import Path


def alive(pid: int) -> bool:
    """Tell whether a process runs, by Linux's ``/proc``; one that ended and only waits for its parent does not.

    One that is waited for between the opening of its file and the reading is no `FileNotFoundError`.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
