"""A NumPy generator seeded by one draw. NumPy is loaded by who asks for one, and by nobody else."""

from typing import TYPE_CHECKING, Final, Literal, get_args

from entropy_assets.errors import ClientMisused

if TYPE_CHECKING:
    import numpy as np

BitGenerator = Literal["PCG64DXSM", "PCG64", "Philox", "SFC64", "MT19937"]
SEED_BYTES: Final = 32


def seeded(seed: bytes, bit_generator: BitGenerator) -> "np.random.Generator":
    """Return NumPy's generator of that name, seeded with all of `seed`.

    Raises
    ------
    ClientMisused
        If NumPy has no such bit generator.
    """
    from numpy import frombuffer, random

    if bit_generator not in get_args(BitGenerator):
        raise ClientMisused(f"`bit_generator` is one of {', '.join(get_args(BitGenerator))}")
    seed_words = frombuffer(seed, "<u4")
    # A pool as long as the seed: NumPy's usual one would keep 128 bits of it.
    sequence = random.SeedSequence(seed_words.tolist(), pool_size=len(seed_words))
    return random.Generator(getattr(random, bit_generator)(sequence))
