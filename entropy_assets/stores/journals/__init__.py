"""Append-only files, one JSON object a line: what happened, in names and numbers, never bytes."""
