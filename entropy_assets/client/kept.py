"""A public answer that somebody kept, and whether its bytes are those of the blocks that it names."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from entropy_assets.errors import ChainBroken, InputRefused

HOW = "keep what 'entropy-assets draw N --class public --json' prints, or /random/N?class=public&format=json answers"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes `start` to `end` of a block are bytes `at` and on of the answer; no end is included."""

    at: int
    start: int
    end: int

    @property
    def length(self) -> int:
        """Bytes."""
        return self.end - self.start

    def __str__(self) -> str:
        return (
            f"bytes {self.at} to {self.at + self.length - 1} of the answer are its bytes {self.start} to {self.end - 1}"
        )


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The bytes of one public answer, and which stretches of which blocks they are said to be."""

    data: bytes
    stretches: Mapping[str, tuple[Stretch, ...]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what a file holds.

        Raises
        ------
        InputRefused
            If that is no public answer in JSON whose blocks cover all of its bytes.
        """
        try:
            document = json.loads(path.read_bytes())
            if (document["class"], document["encoding"]) != ("public", "base64"):
                raise InputRefused(f"{path} holds no bytes of the class public; {HOW}")
            return cls._of(base64.b64decode(document["data"], validate=True), document["blocks"])
        except (LookupError, TypeError, ValueError, RecursionError, binascii.Error) as error:
            raise InputRefused(f"{path} is no public answer ({error}); {HOW}") from error

    @classmethod
    def _of(cls, data: bytes, blocks: list[dict[str, Any]]) -> Self:
        stretches: dict[str, tuple[Stretch, ...]] = {}
        at = 0
        for cut in blocks:
            block_id, start, end = str(cut["block_id"]), cut["start"], cut["end"]
            if not (type(start) is type(end) is int and 0 <= start < end):
                raise ValueError(f"{start!r} to {end!r} is no range of bytes")
            stretches[block_id] = (*stretches.get(block_id, ()), Stretch(at, start, end))
            at += end - start
        if at != len(data):
            raise ValueError(f"it has {len(data)} bytes, and its blocks are said to give {at}")
        return cls(data, stretches)

    def require_bytes_of(self, block_id: str, block: bytes) -> tuple[Stretch, ...]:
        """Return where the answer has bytes of a block.

        Raises
        ------
        InputRefused
            If it does not name the block.
        ChainBroken
            If one of these bytes is another one than the images give, or was given twice.
        """
        found = self.stretches.get(block_id, ())
        if not found:
            raise InputRefused(f"the answer has no bytes of block {block_id}; it names {', '.join(self.stretches)}")
        for each in found:
            again = block[each.start : each.end]
            drawn = self.data[each.at : each.at + each.length]
            if drawn != again:
                place = next(n for n in range(each.length) if drawn[n : n + 1] != again[n : n + 1])
                raise ChainBroken(
                    f"byte {each.at + place} of the answer is not byte {each.start + place} of block {block_id}",
                    index=each.at + place,
                    field="data",
                )
        for one, other in pairwise(sorted(found, key=lambda each: (each.start, each.end))):
            start, end = max(one.start, other.start), min(one.end, other.end)
            if start < end:
                raise ChainBroken(
                    f"bytes {start} to {end - 1} of block {block_id} are in the answer twice",
                    index=other.at,
                    field="blocks",
                )
        return found
