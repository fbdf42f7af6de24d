"""When the bytes are made. Dagster only; an asset body is a short story of named calls."""
