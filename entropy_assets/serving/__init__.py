"""Who reads the bytes: the HTTP service. Never imports Dagster."""
