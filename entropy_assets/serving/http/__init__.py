"""The HTTP face, by FastAPI: one file for each family of routes."""

from entropy_assets.errors import require_extra

require_extra("serve", "fastapi", "fastapi_offline", "orjson", "prometheus_client", "pybase64", "starlette")
