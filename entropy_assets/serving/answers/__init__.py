"""From bytes to an answer: class, format, integers, pieces, and what can be answered from memory. No web framework."""

from entropy_assets.errors import require_extra

require_extra("serve", "orjson", "pybase64")
