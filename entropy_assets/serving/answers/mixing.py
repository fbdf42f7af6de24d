"""Where private bytes are mixed: the pool's XOR fresh ones of the operating system, anew for each answer."""

import os
from typing import Final

import numpy as np

_BYTE: Final = np.dtype(np.uint8)
FEW_BYTES: Final = 512
"""Below it integers are faster than arrays."""


def mixed(data: bytes) -> bytes:
    """Return `data` XOR as many bytes of the operating system's generator: unpredictable if either is.

    The generator is asked for each answer: bytes that wait in memory would be given out twice by the two copies of a
    virtual machine.
    """
    fresh = os.urandom(len(data))
    if len(data) < FEW_BYTES:
        return (int.from_bytes(data, "little") ^ int.from_bytes(fresh, "little")).to_bytes(len(data), "little")
    return np.bitwise_xor(np.frombuffer(data, _BYTE), np.frombuffer(fresh, _BYTE)).tobytes()
