"""The pool: each block is in it once and leaves it once. The server's two configuration files lie in ``server/``."""
