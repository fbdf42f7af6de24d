"""The pool: each block is in it once and leaves it once. The server's two configuration files lie in ``server/``."""

from entropy_assets.errors import require_extra

require_extra("pool", "orjson", "pybase64", "redis")
