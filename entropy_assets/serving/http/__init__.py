"""The HTTP face, by FastAPI: one file for each family of routes."""
