"""Bytes under a name, created once: in a local folder, or in any object store."""
