"""From pool bytes to an answer: the class, the format, the headers."""

import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations, product
from typing import Final, Literal, NamedTuple, get_args
from urllib.parse import parse_qsl

from entropy_assets.serving.reservoir import Draw

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
_ACCEPTED: Final[dict[str, Format]] = {
    "*/*": "raw",
    "application/*": "raw",
    "application/octet-stream": "raw",
    "application/json": "json",
    "text/plain": "hex",
    "text/html": "hex",  # a browser: show something rather than download it
    "text/*": "hex",
}


@dataclass(frozen=True, slots=True)
class Request:
    """How an answer is to look; `format` None means that the Accept header decides."""

    public: bool = False
    format: Format | None = None


class Answer(NamedTuple):
    """Headers as ASGI wants them, and the body."""

    headers: list[tuple[bytes, bytes]]
    body: bytes


def negotiated(accept: str | None) -> Format | None:
    """Return the format that an Accept header prefers, raw without one; None if it wants none that exists."""
    if not accept:
        return "raw"
    offers = [_offer(part) for part in accept.split(",")]
    for media_type, _ in sorted((offer for offer in offers if offer[1] > 0), key=lambda offer: -offer[1]):
        if media_type in _ACCEPTED:
            return _ACCEPTED[media_type]
    return None


def _offer(part: str) -> tuple[str, float]:
    media_type, *parameters = (word.strip().lower() for word in part.split(";"))
    weights = [word[2:] for word in parameters if word.startswith("q=")]
    try:
        return media_type, float(weights[0]) if weights else 1.0
    except ValueError:
        return media_type, 0.0


def known_queries() -> dict[bytes, Request]:
    """Return every query string that is written the usual way, with what it asks for.

    The short-cut answers these and leaves every other spelling to FastAPI.
    """
    classes = [f"class={name}" for name in CLASSES]
    formats = [f"format={name}" for name in FORMATS]
    pairs = ("&".join(words) for pair in product(classes, formats) for words in permutations(pair))
    return {query.encode(): _request_of(query) for query in ("", *classes, *formats, *pairs)}


def _request_of(query: str) -> Request:
    words = dict(parse_qsl(query))
    wanted: dict[str, Format] = {name: name for name in FORMATS}
    return Request(public=words.get("class") == "public", format=wanted.get(words.get("format", "")))


def mixed(data: bytes) -> bytes:
    """Return `data` XOR as many bytes of the operating system's generator: unpredictable if either is."""
    fresh = int.from_bytes(os.urandom(len(data)), "little")
    return (int.from_bytes(data, "little") ^ fresh).to_bytes(len(data), "little")


def encode(draw: Draw, request: Request, chosen: Format) -> Answer:
    """Return the answer that carries `draw`: as it is with its blocks (public), or mixed (private)."""
    data = draw.data if request.public else mixed(draw.data)
    body = _BODIES[chosen](data, draw, request.public)
    headers = [
        (b"content-type", _CONTENT_TYPES[chosen]),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-entropy-class", b"public" if request.public else b"private"),
    ]
    if request.public:
        cuts = ",".join(f"{cut.block_id}:{cut.start}-{cut.end}" for cut in draw.cuts)
        headers.append((b"x-entropy-blocks", cuts.encode()))
    if draw.simulated:
        headers.append((b"x-entropy-simulated", b"true"))
    return Answer(headers, body)


def _json_body(data: bytes, draw: Draw, public: bool) -> bytes:
    answer: dict[str, object] = {
        "n": len(data),
        "class": "public" if public else "private",
        "encoding": "base64",
        "data": base64.b64encode(data).decode(),
        "simulated": draw.simulated,
    }
    if public:
        answer["blocks"] = [{"block_id": cut.block_id, "start": cut.start, "end": cut.end} for cut in draw.cuts]
    return json.dumps(answer, separators=(",", ":")).encode()


_BODIES: Final[dict[Format, Callable[[bytes, Draw, bool], bytes]]] = {
    "raw": lambda data, draw, public: data,
    "hex": lambda data, draw, public: data.hex().encode(),
    "base64": lambda data, draw, public: base64.b64encode(data),
    "json": _json_body,
}
