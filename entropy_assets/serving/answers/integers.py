"""Integers from pool bytes by rejection: every one as likely as every other, and recomputable from the blocks named.

The rule, for integers from `low` to `high`:

1. ``span = high - low``; ``bits`` is its bit length; a candidate is ``max(1, ceil(bits / 8))`` bytes.
2. Take the bytes in the order of ``X-Entropy-Blocks``, candidate by candidate, each a big-endian number.
3. Keep its lowest ``bits`` bits. If that is at most ``span``, the next integer is ``low`` plus it; else drop it.

No byte is drawn beyond the last integer, so the blocks named are exactly the bytes that the rule reads, those of
dropped candidates included. A candidate is kept at least every other time. A modulo would make small integers likelier.
"""

import struct
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

import orjson

from entropy_assets.errors import PoolExhausted, RejectedTooOften
from entropy_assets.serving.answers.formats import Answer, AnswerKind, headers_of, json_fields
from entropy_assets.serving.answers.mixing import mixed
from entropy_assets.serving.reservoir.stock import Cut, Draw

IntegerFormat = Literal["uint8", "uint16", "int", "bigint"]
INTEGER_FORMATS: Final = get_args(IntegerFormat)
LEAST_INTEGER: Final = -(2**63)
GREATEST_INTEGER: Final = 2**63 - 1
EXACT_NUMBER: Final = 2**53 - 1
"""Beyond it a number of JSON becomes another one where it is read as a float, as in JavaScript (RFC 8259, 6)."""
ROUND: Final = 4096
"""Candidates that are drawn at once; between two rounds others are served."""
HONEST_EXCESS: Final = 4
"""A draw is given up at this many times the bytes that a request may take: no honest source comes near."""
_SHORTEST_EXCESS: Final = 4096

_READERS: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}


@dataclass(frozen=True, slots=True)
class Integers:
    """The integers from `low` to `high`, both included, under the name of the format that asked for them."""

    name: IntegerFormat
    low: int
    high: int

    @property
    def span(self) -> int:
        """How far the greatest is from the least."""
        return self.high - self.low

    @property
    def mask(self) -> int:
        """The bits of a candidate that count."""
        return int((1 << self.span.bit_length()) - 1)

    @property
    def width(self) -> int:
        """Bytes of a candidate."""
        return max(1, -(-self.span.bit_length() // 8))

    def most(self, n_bytes: int) -> int:
        """Return how many integers take at most `n_bytes` on average."""
        return n_bytes * (self.span + 1) // (self.width * (self.mask + 1))

    def accepted(self, data: bytes) -> list[int]:
        """Return the integers that the candidates in `data` make; its length is a multiple of the width."""
        low, span, mask = self.low, self.span, self.mask
        return [low + word for word in (each & mask for each in _numbers(data, self.width)) if word <= span]


def _numbers(data: bytes, width: int) -> Iterable[int]:
    if width in _READERS:
        return struct.unpack(f">{len(data) // width}{_READERS[width]}", data)
    return (int.from_bytes(data[start : start + width], "big") for start in range(0, len(data), width))


def integers_named(name: IntegerFormat, low: int | None, high: int | None) -> Integers:
    """Return what the format `name` with its limits asks for.

    Raises
    ------
    ValueError
        If ``int`` or ``bigint`` lacks a limit, another format has one, they are the wrong way round, or ``int`` goes
        beyond what a number of JSON surely holds.
    """
    if name == "uint8" or name == "uint16":
        if low is not None or high is not None:
            raise ValueError(f"min and max belong to the format int, and {name} has its own")
        return Integers(name, 0, 255 if name == "uint8" else 65_535)
    if low is None or high is None:
        raise ValueError(f"the format {name} needs min and max")
    if low > high:
        raise ValueError(f"min {low} is greater than max {high}")
    if name == "int" and max(-low, high) > EXACT_NUMBER:
        raise ValueError(
            f"beyond {EXACT_NUMBER} many readers of JSON round numbers: ask for the format bigint, of strings"
        )
    return Integers(name, low, high)


class IntegerDraw:
    """One answer in the making.

    Parameters
    ----------
    wanted
        Which integers.
    public
        Whether the pool's bytes are taken as they are, or mixed.
    draw
        Gives so many bytes of the pool or raises.
    longest
        Bytes after which to give up.
    """

    def __init__(self, wanted: Integers, public: bool, draw: Callable[[int], Awaitable[Draw]], longest: int) -> None:
        self.wanted = wanted
        self.public = public
        self.values: list[int] = []
        self.cuts: list[Cut] = []
        self.simulated = False
        self.reveals_at = ""
        self.consumed = 0
        self._draw = draw
        self._longest = max(HONEST_EXCESS * longest, _SHORTEST_EXCESS)

    async def fill(self, n: int) -> None:
        """Draw until there are `n` integers.

        Raises
        ------
        RejectedTooOften
            If the bytes are refused far more often than chance would have it.
        EntropyAssetsError
            What `draw` raises; `consumed` bytes are lost by then.
        """
        while len(self.values) < n:
            self._take(await self._next(self.wanted.width * min(ROUND, n - len(self.values))))

    async def _next(self, n_bytes: int) -> Draw:
        if self.consumed > self._longest:
            raise RejectedTooOften(
                "the pool's bytes were refused too often to be random; look at its source", consumed=self.consumed
            )
        try:
            return await self._draw(n_bytes)
        except PoolExhausted as error:
            if self.consumed:
                raise PoolExhausted(
                    f"the pool ran dry in the middle; {self.consumed} bytes were consumed and reach nobody",
                    **error.data,
                ) from None
            raise

    def _take(self, draw: Draw) -> None:
        self.consumed += len(draw.data)
        self.simulated |= draw.simulated
        self.reveals_at = max(self.reveals_at, draw.reveals_at)
        for cut in draw.cuts:
            self._name(cut)
        self.values += self.wanted.accepted(draw.data if self.public else mixed(draw.data))

    def _name(self, cut: Cut) -> None:
        last = self.cuts[-1] if self.cuts else None
        if last is not None and last.block_id == cut.block_id and last.end == cut.start:
            self.cuts[-1] = last._replace(end=cut.end)
        else:
            self.cuts.append(cut)

    def answer(self) -> Answer:
        """Return the JSON document with the integers."""
        kind, drawn = AnswerKind(self.public), Draw(b"", tuple(self.cuts), self.simulated, self.reveals_at)
        wanted, write = self.wanted, str if self.wanted.name == "bigint" else int
        fields: dict[str, object] = {"n": len(self.values), "encoding": wanted.name, "data": [*map(write, self.values)]}
        if wanted.name in ("int", "bigint"):
            fields |= {"min": write(wanted.low), "max": write(wanted.high)}
        body = orjson.dumps({**fields, **json_fields(drawn, self.public)})
        return Answer(headers_of("json", len(body), drawn, kind), body)
