"""The checker: which byte ranges of which blocks were given out, and which of them twice."""

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from entropy_assets.stores.pool.blocks import PoolBlock
from entropy_assets_tests.pool_blocks import pool_block

POSITIONS = 1 << 24
"""More than a block is long: block number and position become one integer."""
SEEN_BYTES = 16
"""Bytes of an answer that are compared with all others: two honest ones share them once in 10**27 runs."""
PRIVATE = b"private"
"""In place of the blocks of a private answer, which names none."""
PRIVATE_SHARE = 0.25
"""Of the blocks that are offered."""


@dataclass
class Draws:
    """The answers of one or several phases.

    Attributes
    ----------
    begins, ends
        One pair for each cut of each answer: block number x `POSITIONS` + position.
    cut_times
        When the cut arrived, monotonic seconds.
    heads
        The first bytes of each answer; of a private one those of each part of it. Private draws are whole parts long,
        and so are private blocks, so a part that comes again in any answer is seen.
    lengths
        Of the answers, bytes.
    counts
        What else the clients met: refusals by status, broken connections, time-outs.
    stalled_s
        Longest time for which the clients' own program stood still, seconds: by so much an answer came before the time
        that is told.
    """

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    cut_times: NDArray[np.float64]
    heads: NDArray[np.bytes_]
    lengths: NDArray[np.int64]
    counts: Counter[str]
    stalled_s: float = 0.0
    private_draws: int = 0
    private_bytes: int = 0
    foreign: int = 0
    altered: int = 0

    @property
    def draws(self) -> int:
        """Answers with bytes."""
        return len(self.lengths)

    @property
    def served_bytes(self) -> int:
        """Bytes in them."""
        return int(self.lengths.sum())

    @property
    def public_bytes(self) -> int:
        """Bytes in those of the class public."""
        return self.served_bytes - self.private_bytes

    @property
    def duplicates(self) -> int:
        """Ranges that begin inside what was given out already, or answers whose bytes came before: the greater."""
        return max(overlaps(self.begins, self.ends), len(self.heads) - len(np.unique(self.heads)))

    @property
    def refused(self) -> int:
        """Answers that said no."""
        return sum(count for name, count in self.counts.items() if name.isdigit())


def overlaps(begins: NDArray[np.int64], ends: NDArray[np.int64]) -> int:
    """Count the ranges that begin before the furthest end of those sorted before them."""
    order = np.lexsort((ends, begins))
    furthest = np.maximum.accumulate(ends[order])
    return int(np.count_nonzero(begins[order][1:] < furthest[:-1]))


def merged(phases: list[Draws]) -> Draws:
    """Give all phases as one: a range of one phase given out again in another is a duplicate too."""

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(phase, name) for phase in phases])

    return Draws(
        begins=joined("begins"),
        ends=joined("ends"),
        cut_times=joined("cut_times").astype(np.float64),
        heads=joined("heads"),
        lengths=joined("lengths"),
        counts=sum((phase.counts for phase in phases), Counter()),
        stalled_s=max(phase.stalled_s for phase in phases),
        private_draws=sum(phase.private_draws for phase in phases),
        private_bytes=sum(phase.private_bytes for phase in phases),
        foreign=sum(phase.foreign for phase in phases),
        altered=sum(phase.altered for phase in phases),
    )


@dataclass
class Known:
    """Every block that was offered to a pool in this run, numbered."""

    blocks: dict[str, PoolBlock] = field(default_factory=dict)
    numbers: dict[bytes, int] = field(default_factory=dict)
    offered_bytes: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._next_seed = 0

    def add(self, block: PoolBlock) -> None:
        """Remember a block before it is pushed."""
        self.blocks[block.block_id] = block
        self.numbers.setdefault(block.block_id.encode(), len(self.numbers))
        self.offered_bytes += len(block.data)

    def reserve(self, count: int) -> int:
        """Give the first of so many seeds in a row that nobody else gets."""
        with self._lock:
            self._next_seed += count
            return self._next_seed - count

    def make(self, count: int) -> list[PoolBlock]:
        """Make blocks that nobody saw before: one in four private, most of the usual length."""
        first, every = self.reserve(count), round(1 / PRIVATE_SHARE)
        blocks = [
            pool_block(first + at, lane="private")
            if at % every == 0
            else pool_block(first + at, length=3000 + at if at % 16 == 15 else 4096, lane="public")
            for at in range(count)
        ]
        for block in blocks:
            self.add(block)
        return blocks

    def read(self, path: Path) -> Draws:
        """Read what the clients wrote, and compare each answer's bytes with the blocks that it names."""
        with np.load(path) as log:
            times, lengths = log["times"], log["lengths"]
            bodies, cuts = log["bodies"].tobytes(), log["cuts"].tobytes().split(b"\n")
            counts: Counter[str] = Counter(json.loads(log["counts"].tobytes()))
            stalled_s = float(log["stalled_s"])
        reading = _Reading(self, bodies)
        for answer, line in enumerate(cuts if len(times) else []):
            reading.take(answer, line, int(lengths[answer]))
        starts = np.cumsum(lengths) - lengths
        parts = [bodies[at : at + SEEN_BYTES] for at in starts.tolist()] + reading.private_parts
        heads = np.array(parts, f"S{SEEN_BYTES}")
        begins, ends, answers = (
            np.array(column, np.int64) for column in (reading.begins, reading.ends, reading.answers)
        )
        found = reading.private_draws, reading.private_bytes, reading.foreign, reading.altered
        return Draws(begins, ends, times[answers], heads, lengths, counts, stalled_s, *found)


class _Reading:
    """The answers of one log, one after the other."""

    def __init__(self, known: Known, bodies: bytes) -> None:
        self.known = known
        self.bodies = bodies
        self.at = 0
        self.foreign = self.altered = self.private_draws = self.private_bytes = 0
        self.private_parts: list[bytes] = []
        self.begins: list[int] = []
        self.ends: list[int] = []
        self.answers: list[int] = []

    def take(self, answer: int, line: bytes, length: int) -> None:
        """Read the cuts of one answer; they must add up to its bytes."""
        if line == PRIVATE:
            parts = range(self.at + SEEN_BYTES, self.at + length, SEEN_BYTES)
            self.private_parts += [self.bodies[at : at + SEEN_BYTES] for at in parts]
            self.private_draws, self.private_bytes = self.private_draws + 1, self.private_bytes + length
            self.at += length
            return
        said = []
        for cut in line.split(b","):
            block_id, _, span = cut.partition(b":")
            begin, _, end = span.partition(b"-")
            number = self.known.numbers.get(block_id)
            if number is None:
                self.foreign += 1
                continue
            first, last = int(begin), int(end)
            self.begins.append(number * POSITIONS + first)
            self.ends.append(number * POSITIONS + last)
            self.answers.append(answer)
            said.append(self.known.blocks[block_id.decode()].data[first:last])
        self.altered += b"".join(said) != self.bodies[self.at : self.at + length]
        self.at += length
