"""What somebody may ask the service for: known to settings, keys and routes alike."""

from typing import Final, Literal, get_args

Scope = Literal["draw", "stream", "provenance", "stats"]
"""What a key, or a client without one, may ask for: bytes, streams of bytes, where blocks come from, the counts."""
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
