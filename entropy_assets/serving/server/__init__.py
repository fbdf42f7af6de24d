"""Inside uvicorn: bounds of a connection, the fast lane, the processes that serve."""
