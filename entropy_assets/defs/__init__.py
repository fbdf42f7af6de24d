"""When the bytes are made. Dagster only; an asset body is a short story of named calls."""

from entropy_assets.errors import require_extra

require_extra("dagster", "dagster", "matplotlib", "pandas")
