"""What stands beside a refused file, so that no refusal is unexplained."""

import json
from typing import Final

from entropy_assets.core.advice import advice_on

REASON_SUFFIX: Final = ".reason.json"


def refusal_note(name: str, reason: str | None, detail: str | None) -> bytes:
    """Return the note on a file: why it was refused, in a word and in a sentence, and what to do."""
    note = {"name": name, "reason": reason, "detail": detail, "advice": advice_on(reason)}
    return json.dumps(note).encode("ascii") + b"\n"
