"""From pool bytes to an answer: the class, the format, the headers."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations, product
from typing import Final, Literal, NamedTuple, get_args
from urllib.parse import parse_qsl

import orjson
import pybase64 as base64

from entropy_assets.serving.answers.mixing import mixed
from entropy_assets.serving.reservoir.stock import Draw

Format = Literal["raw", "hex", "base64", "json"]
AnswerClass = Literal["private", "public"]
FORMATS: Final = get_args(Format)
CLASSES: Final = get_args(AnswerClass)

_CONTENT_TYPES: Final[dict[Format, bytes]] = {
    "raw": b"application/octet-stream",
    "hex": b"text/plain; charset=us-ascii",
    "base64": b"text/plain; charset=us-ascii",
    "json": b"application/json",
}
_MEDIA_TYPES: Final[dict[Format, str]] = {
    "raw": "application/octet-stream",
    "json": "application/json",
    "hex": "text/plain",
}
"""What an Accept header calls a format, the service's own preference first."""
_BROWSER_TYPE: Final = "text/html"
NOT_GUESSED: Final = (b"x-content-type-options", b"nosniff")
"""Keeps browsers from guessing what a text is."""


def _common_headers(chosen: Format, public: bool) -> tuple[tuple[bytes, bytes], ...]:
    headers = (
        (b"content-type", _CONTENT_TYPES[chosen]),
        (b"cache-control", b"no-store"),
        (b"x-entropy-class", b"public" if public else b"private"),
    )
    # browsers save a raw answer and never guess what it is; each header takes a hundredth of an answer's time
    return headers if chosen == "raw" else (*headers, NOT_GUESSED)


_COMMON_HEADERS: Final = {
    (chosen, public): _common_headers(chosen, public) for chosen in _CONTENT_TYPES for public in (False, True)
}


@dataclass(frozen=True, slots=True)
class AnswerKind:
    """Class and format of the answer that is wanted; `format` None means that the Accept header decides."""

    public: bool = False
    format: Format | None = None


class Answer(NamedTuple):
    """Headers as ASGI wants them, and the body."""

    headers: list[tuple[bytes, bytes]]
    body: bytes


def negotiated(accept: str | None) -> Format | None:
    """Return the format that an Accept header prefers, raw without one; None if it wants none that exists.

    As RFC 9110 12.5.1 has it: a format weighs what the most specific range that names it says. Among equals the one
    that was named by itself wins, then the one that was named first.
    """
    if not accept:
        return "raw"
    offers = dict(_offer(part) for part in reversed(accept.split(",")))
    named = list(reversed(offers))
    ratings = [(*_rating(media_type, offers, named), chosen) for chosen, media_type in _MEDIA_TYPES.items()]
    if _BROWSER_TYPE in offers:  # show a person something rather than download it
        ratings.append((*_rating(_BROWSER_TYPE, offers, named), "hex"))
    weight, _, _, chosen = max(ratings, key=lambda rating: rating[:3])
    return chosen if weight > 0 else None


def _rating(media_type: str, offers: dict[str, float], named: list[str]) -> tuple[float, int, int]:
    for vagueness, media_range in enumerate((media_type, media_type.partition("/")[0] + "/*", "*/*")):
        if media_range in offers:
            return offers[media_range], -vagueness, -named.index(media_range)
    return 0.0, 0, 0


def _offer(part: str) -> tuple[str, float]:
    media_type, *parameters = (word.strip().lower() for word in part.split(";"))
    weights = [word[2:] for word in parameters if word.startswith("q=")]
    return media_type, _weight(weights[0]) if weights else 1.0


def _weight(text: str) -> float:
    """Return a quality value, 0 for what is none."""
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def known_queries() -> dict[bytes, AnswerKind]:
    """Return every query string that is written the usual way, with what it asks for.

    The short-cut answers these and leaves every other spelling to FastAPI.
    """
    classes = [f"class={name}" for name in CLASSES]
    formats = [f"format={name}" for name in FORMATS]
    pairs = ("&".join(words) for pair in product(classes, formats) for words in permutations(pair))
    return {query.encode(): _kind_of(query) for query in ("", *classes, *formats, *pairs)}


def _kind_of(query: str) -> AnswerKind:
    values = dict(parse_qsl(query))
    formats: dict[str, Format] = {name: name for name in FORMATS}
    return AnswerKind(public=values.get("class") == "public", format=formats.get(values.get("format", "")))


def encode(draw: Draw, kind: AnswerKind, chosen: Format) -> Answer:
    """Return the answer that carries `draw`: as it is with its blocks (public), or mixed (private)."""
    data = draw.data if kind.public else mixed(draw.data)
    body = _BODIES[chosen](data, draw, kind.public)
    return Answer(headers_of(chosen, len(body), draw, kind), body)


def headers_of(chosen: Format, length: int | None, draw: Draw, kind: AnswerKind) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer; `length` is that of its body in bytes, None if nobody knows it yet."""
    headers = [*_COMMON_HEADERS[chosen, kind.public]]
    if length is not None:
        headers.append((b"content-length", b"%d" % length))
    if kind.public and draw.cuts:
        headers.append((b"x-entropy-blocks", block_cuts(draw).encode()))
        headers.append((b"x-entropy-reveals-at", draw.reveals_at.encode()))
    if draw.simulated:
        headers.append((b"x-entropy-simulated", b"true"))
    return headers


def length_of(chosen: Format, n: int) -> int | None:
    """Return the length of the body that carries `n` bytes; None where it depends on the answer."""
    return {"raw": n, "hex": 2 * n, "base64": 4 * -(-n // 3)}.get(chosen)


def json_fields(draw: Draw, public: bool) -> dict[str, object]:
    """Return what every JSON document says about where its bytes come from."""
    fields: dict[str, object] = {"class": "public" if public else "private", "simulated": draw.simulated}
    if public:
        fields |= {"blocks": block_ranges(draw), "reveals_at": draw.reveals_at}
    return fields


def block_cuts(draw: Draw) -> str:
    """Return the ranges of blocks behind `draw` in one line, as a header names them."""
    return ",".join([f"{cut.block_id}:{cut.start}-{cut.end}" for cut in draw.cuts])


def block_ranges(draw: Draw) -> list[dict[str, object]]:
    """Return the ranges of blocks behind `draw`, as JSON documents name them."""
    return [{"block_id": cut.block_id, "start": cut.start, "end": cut.end} for cut in draw.cuts]


def _json_body(data: bytes, draw: Draw, public: bool) -> bytes:
    answer = {"n": len(data), "encoding": "base64", "data": base64.b64encode(data).decode()}
    return orjson.dumps({**answer, **json_fields(draw, public)})


_BODIES: Final[dict[Format, Callable[[bytes, Draw, bool], bytes]]] = {
    "raw": lambda data, draw, public: data,
    "hex": lambda data, draw, public: data.hex().encode(),
    "base64": lambda data, draw, public: base64.b64encode(data),
    "json": _json_body,
}
