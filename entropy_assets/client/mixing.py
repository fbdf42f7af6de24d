"""Where private bytes are mixed on the client's side, so that a broken service makes nothing worse."""

import os


def mixed(data: bytes) -> bytes:
    """Return `data` XOR as many bytes of this machine's generator: unpredictable if either is."""
    fresh = int.from_bytes(os.urandom(len(data)), "little")
    return (int.from_bytes(data, "little") ^ fresh).to_bytes(len(data), "little")
