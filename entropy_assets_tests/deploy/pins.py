"""What a lock pins."""

import re
from pathlib import Path

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def pins_of(lock: Path) -> dict[str, str]:
    """Return the version of each package that `lock` names."""
    return dict(_PIN.findall(lock.read_text(encoding="utf-8")))
