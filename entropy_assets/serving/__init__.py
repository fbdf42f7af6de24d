"""Who reads the bytes: the HTTP service. Never imports Dagster."""

from entropy_assets.errors import require_extra

require_extra("serve", "fastapi", "fastapi_offline", "prometheus_client", "starlette", "uvicorn")
