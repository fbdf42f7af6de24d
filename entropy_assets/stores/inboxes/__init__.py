"""Where images come in: a folder or a prefix of an object store, and what is told of where each was fetched."""
