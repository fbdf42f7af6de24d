"""Inside uvicorn: bounds of a connection, the fast lane, the processes that serve."""

from entropy_assets.errors import require_extra

require_extra("serve", "fastapi", "httptools", "starlette", "uvicorn")
