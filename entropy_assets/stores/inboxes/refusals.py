"""What stands beside a refused file, so that no refusal is unexplained."""

import json
from typing import Final

REASON_SUFFIX: Final = ".reason.json"


def refusal_note(name: str, reason: str | None, detail: str | None) -> bytes:
    """Return the note on a file: why it was refused, in the word that `docs/reasons.md` lists, and in a sentence."""
    return json.dumps({"name": name, "reason": reason, "detail": detail}).encode("ascii") + b"\n"
