"""``entropy-assets up``: everything that an installation is made of, as one thing that starts, tells and stops."""

from entropy_assets.errors import require_extra

require_extra("all", "dagster", "dagster_webserver", "fastapi", "uvicorn")
