"""`EntropyValidator`: the four tests, further suites, and a verdict on each block.

``block_tests`` holds the tests, ``verdicts`` what a verdict is, ``second_level`` what a batch of them says.

Tests after hashing can only show that something is broken, never that the bytes hold entropy: a hashed counter passes
them all. What a block is worth was decided before, by the credit of the noise.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from entropy_assets.core.validation.block_tests import TESTS, run_tests, sidak
from entropy_assets.core.validation.occupancy import SHANNON_FLOOR_BITS, SHORTEST, shannon_floor_applies
from entropy_assets.core.validation.verdicts import REJECT_BELOW, WARN_BELOW, BlockVerdicts, score_of
from entropy_assets.errors import InputRefused, InputTooShort

Suite = Callable[[bytes], Mapping[str, float]]
"""A further test suite: from the bytes of a block to the P-value of each of its tests, always the same names."""


class EntropyValidator:
    """Tests blocks for consistency with uniform random bytes. Holds no state between calls.

    Parameters
    ----------
    suites
        Further suites, whose P-values vote in ``p*``.
    """

    def __init__(self, suites: Sequence[Suite] = ()) -> None:
        self.suites = tuple(suites)

    def validate(self, entropy_bytes: bytes | bytearray | memoryview) -> dict[str, Any]:
        """Return the verdict on one piece of bytes as a row.

        ``shannon_entropy`` is in bits per byte; ``chi_square``, ``runs`` and ``autocorrelation`` are P-values;
        ``p_star``, ``score`` (0 to 10) and ``passed`` follow from them; statistics stand beside them.

        Raises
        ------
        InputTooShort
            Below 128 bytes, where nothing can be said at one in a million.
        """
        block = np.frombuffer(entropy_bytes, np.uint8)
        return self.validate_blocks(block[None, :]).to_rows()[0]

    def validate_blocks(self, blocks: NDArray[np.uint8]) -> BlockVerdicts:
        """Return the verdicts on many blocks of one length at once.

        Parameters
        ----------
        blocks
            ``uint8[m, n]``, ``n`` at least 128; `m` may be 0. Needs less than 64 MB beside it up to 16 MiB per block.

        Raises
        ------
        InputRefused
            If `blocks` has another type or shape, or a suite returns what is no P-value.
        InputTooShort
            Below 128 bytes per block.
        """
        _check(blocks)
        values = run_tests(blocks)
        p_values = {**values.p_values, **self._suite_p_values(blocks)}
        voting = np.stack([p_values[name] for name in p_values if name != "shannon_entropy"])
        p_star = sidak(voting.min(axis=0), len(voting))
        floor = SHANNON_FLOOR_BITS if shannon_floor_applies(blocks.shape[1]) else 0.0
        below_floor = values.shannon_bits < floor
        return BlockVerdicts(
            length=blocks.shape[1],
            values=values,
            p_values=p_values,
            p_star=p_star,
            score=score_of(p_star),
            passed=(p_star >= REJECT_BELOW) & ~below_floor,
            warned=(p_star < WARN_BELOW) | below_floor,
            below_floor=below_floor,
        )

    def _suite_p_values(self, blocks: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        """Return the P-values of the further suites as columns."""
        if not self.suites or not len(blocks):
            return {}
        rows = [self._suites_on(block.tobytes()) for block in blocks]
        if any(row.keys() != rows[0].keys() for row in rows):
            raise InputRefused("a suite must return the same names for every block")
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def _suites_on(self, block: bytes) -> dict[str, float]:
        results = [(name, float(p)) for suite in self.suites for name, p in suite(block).items()]
        names = [name for name, _ in results]
        if len({*names, *TESTS}) < len(names) + len(TESTS):
            raise InputRefused(f"two tests share a name among {', '.join(names)}")
        wrong = [name for name, p in results if not 0.0 <= p <= 1.0]
        if wrong:
            raise InputRefused(f"a suite returned what is no P-value for {', '.join(wrong)}", tests=wrong)
        return dict(results)


def _check(blocks: NDArray[np.uint8]) -> None:
    if blocks.dtype != np.uint8 or blocks.ndim != 2:
        raise InputRefused("blocks must be a uint8 array of blocks by bytes")
    if blocks.shape[1] < SHORTEST:
        raise InputTooShort(
            f"{blocks.shape[1]} bytes are too few to test; give at least {SHORTEST}",
            length=blocks.shape[1],
            shortest=SHORTEST,
        )
