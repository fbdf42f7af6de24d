"""What clients, proxies and attackers send: whole requests of every kind, and what chance makes of them."""

from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Final, NamedTuple

TARGETS: Final = (
    *[b"/random/16", b"/random/32?class=public", b"/random/7?format=hex", b"/random/4?class=public&format=hex"] * 6,
    *[b"/random/1", b"/random/48?format=json", b"/random/48?format=json&class=public", b"/random/24?format=base64"] * 2,
    b"/random/5000", b"/random/5000?class=public", b"/random/20000?format=base64", b"/random/65536",
    b"/random/65537", b"/random/0", b"/random/-1", b"/random/016", b"/random/00000016", b"/random/+16",
    b"/random/16.0", b"/random/1e2", b"/random/ten", b"/random/", b"/random", b"/random/16/", b"//random/16",
    b"/random//16", b"/RANDOM/16", b"/random/1%36", b"/%72andom/16", b"/random/16%20", b"/random/%31%36",
    b"/random/16%00", b"/random/16%", b"/random/16%zz", b"/random/../random/16", b"/./random/16", b"/random/16;a=b",
    b"/random/16#part", b"/random/16?#part", b"/random/16#?class=public", b"/random/16?", b"/random/16?&",
    b"/random/16?class=public&", b"/random/16?class", b"/random/16?class=", b"/random/16?=",
    b"/random/16?class=secret", b"/random/16?class=PUBLIC", b"/random/16?Class=public", b"/random/16?class=%70ublic",
    b"/random/16?%63lass=public", b"/random/16?class=public&class=public", b"/random/16?class=public&class=private",
    b"/random/16?format=raw", b"/random/16?format=xml", b"/random/16?format=hex&format=raw", b"/random/16?fmt=hex",
    b"/random/16?odd=1", b"/random/16?class=public;format=hex", b"/random/16?class=public&format=uint8",
    b"/random/16?format=uint16", b"/random/9?format=int&min=0&max=255", b"/random/9?format=int&min=1",
    b"/random/9?min=1&max=2", b"/random/9?format=int&min=5&max=4", b"/random/16?class=public?format=hex",
    b"/random/16?class=p\xc3\xbcblic", b"/random/\xd9\xa3", b"/random/16?class=public%00",
    b"/random/16?class=+public", b"http://localhost/random/16", b"http://attacker.example/random/16?class=public",
    b"https://localhost:1/random/16", b"localhost/random/16", b"*", b"", b"random/16", b"/download/16",
    b"/download/70000", b"/download/16?class=public", b"/download/16?format=ndjson", b"/download/0", b"/stream",
    b"/stream?class=public", b"/livez", b"/readyz", b"/health", b"/stats", b"/metrics", b"/batches",
    b"/batches?limit=2", b"/blocks/00000000-0000-8000-8000-000000000000", b"/blocks/none", b"/", b"/nowhere",
    b"/problems/not-ready", b"/page/page.css",
)  # fmt: skip
METHODS: Final = (
    *[b"GET"] * 40, *[b"HEAD"] * 3, *[b"POST"] * 4, b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT",
    b"get", b"PRI", b"QUERY", b"NOTIFY", b"M-SEARCH", b"XYZZY", b"GETT",
)  # fmt: skip
VERSIONS: Final = (
    *[b"HTTP/1.1"] * 30, *[b"HTTP/1.0"] * 3, b"HTTP/2.0", b"HTTP/1.2", b"HTTP/0.9", b"HTTP/1", b"http/1.1",
    b"ICE/1.0", b"",
)  # fmt: skip
HOSTS: Final = (
    *[b"Host: localhost"] * 30, b"Host: 127.0.0.1:8000", b"Host: [::1]", b"HOST: LocalHost:1", b"Host:localhost",
    b"Host:  localhost  ", b"Host: attacker.example", b"Host: localhost, attacker.example", b"Host:", b"Host: ",
    b"Host : localhost", b"X-Host: localhost", b"Host: localhost\r\nHost: localhost",
    b"Host: localhost\r\nHost: attacker.example",
)  # fmt: skip
KEY: Final = b"<the key>"
"""Stands for a key that opens the service."""
WEBSOCKET: Final = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
HEADERS: Final = (
    *[b"Accept: */*"] * 6, b"Accept: application/json", b"Accept: text/html,*/*;q=0.8", b"Accept: image/png",
    b"accept:*/*", b"Accept:", b"Accept: */*\r\nAccept: application/json", b"Connection: keep-alive",
    b"Connection: close", b"Connection: Close, X", b"Connection: upgrade",
    b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA", b"Upgrade: h2c",
    b"Connection: Upgrade\r\nUpgrade: TLS/1.0", b"Upgrade: websocket\r\nConnection: close, upgrade",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + WEBSOCKET,
    b"Expect: 100-continue", b"Expect: 100-Continue", b"Expect: miracles", b"Content-Length: 0",
    b"Content-Length: 5", b"Content-Length: 00", b"Content-Length: -1", b"Content-Length: +3",
    b"Content-Length: 3, 3", b"Content-Length: 3\r\nContent-Length: 3", b"Content-Length: 99999999999999999999",
    b"Content-Length: 0x3", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: identity", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 3", b"TE: trailers",
    b"Trailer: X-API-Key", b"Content-Type: application/json", b"Sec-Fetch-Site: cross-site",
    b"Sec-Fetch-Site: same-origin", b"Sec-Fetch-Site: none", b"Sec-Fetch-Mode: navigate",
    b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: document", b"Origin: http://attacker.example",
    b"If-None-Match: *", b"Range: bytes=0-3", b"X-API-Key: " + KEY, b"X-API-Key: " + KEY,
    b"x-api-key:" + KEY + b"  ", b"X-API-Key: wrong", b"Authorization: Bearer " + KEY,
    b"Authorization: bearer " + KEY, b"Authorization: Basic YTpi", b"X-API-Key: " + KEY + b"\r\nX-API-Key: wrong",
    b"X-API-Key: wrong\r\nAuthorization: Bearer " + KEY, b"X-API-Key:", b"Cookie: a=b", b"X-Forwarded-For: 10.0.0.1",
    b"X: " + b"y" * 300, b"X:\ty", b"X: a\r\n b", b" X: a", b"X", b": a", b"X Y: a", b"X: \xff", b"X: a\x00b",
    b"X: a\nY: b", b"X: a\rY: b",
)  # fmt: skip
JSON_BODY: Final = b'{"n": 16, "format": "hex"}'
BODIES: Final = (
    JSON_BODY, JSON_BODY, b'{"n": 16, "class": "public", "format": "json"}', b'{"n": 0}', b"{}", b"", b"no JSON",
    b'{"n": 16, "n": 4}', b" " * 2000, b"GET /random/64?class=public HTTP/1.1\r\nHost: localhost\r\n\r\n",
)  # fmt: skip
TRAILERS: Final = (
    b"", b"", b"X-API-Key: " + KEY + b"\r\n", b"Host: attacker.example\r\n", b"Accept: image/png\r\n",
    b"Expect: 100-continue\r\n", b"Content-Length: 4\r\n", b"X\r\n", b"Upgrade: h2c\r\n",
)  # fmt: skip
AFTER: Final = (
    *[b""] * 20,
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"x",
    b"\x00",
    b"GET",
    b"no request\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
)
SPLICES: Final = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b":",
    b"\x00",
    b"\xff",
    b"%",
    b"0",
    b"HTTP/1.1",
    b"chunked",
    b"\t",
)


class Case(NamedTuple):
    """What one client sends: segments, each with whether it awaits answers before it goes on, and how many requests.

    `half_closed` if it ends its half then.
    """

    segments: tuple[tuple[bytes, bool], ...]
    requests: int
    half_closed: bool


def cases(random: Random, key: bytes) -> Iterator[Case]:
    """Yield cases without end; `random` decides, and `key` opens the service."""
    while True:
        count = random.choice((1, 1, 1, 2, 2, 3, 5))
        sent = b"".join(_request(random) for _ in range(count)) + random.choice(AFTER)
        if random.random() < 0.25:
            sent = _mutated(random, sent)
        yield Case(tuple(_segments(random, sent.replace(KEY, key))), count, random.random() < 0.2)


def _request(random: Random) -> bytes:
    if random.random() < 0.4:  # as most are
        target = random.choice(TARGETS[:32])
        headers = [b"Host: localhost", *[b"X-API-Key: " + KEY] * (random.random() < 0.8)]
        body = _framed(random, random.choice((b"", b"", b"a")), headers) if random.random() < 0.15 else b""
        return b"GET " + target + b" HTTP/1.1\r\n" + _head(random, headers) + b"\r\n" + body
    method, target, version = (random.choice(each) for each in (METHODS, TARGETS, VERSIONS))
    if method == b"POST" and random.random() < 0.7:
        target = b"/random"
    headers = [random.choice(HOSTS), *random.sample(HEADERS, random.choice((0, 0, 1, 1, 2, 3)))]
    body = b""
    if random.random() < (0.9 if method == b"POST" else 0.15):
        body = random.choice(BODIES)
        headers += [b"Content-Type: application/json"] * (random.random() < 0.8)
        body = _framed(random, body, headers)
    return method + b" " + target + b" " * bool(version) + version + b"\r\n" + _head(random, headers) + b"\r\n" + body


def _head(random: Random, headers: list[bytes]) -> bytes:
    random.shuffle(headers)
    return b"".join(line + b"\r\n" for line in headers)


def _framed(random: Random, body: bytes, headers: list[bytes]) -> bytes:
    """Return `body` as it is sent, and say in `headers` how: by its length, in chunks, or by neither."""
    how = random.random()
    if how < 0.5:
        headers.append(b"Content-Length: %d" % (len(body) + random.choice((0, 0, 0, 0, 0, -1, 1, 7))))
        return body
    if how > 0.95:
        return body
    headers.append(b"Transfer-Encoding: chunked")
    chunks, at = b"", 0
    while at < len(body):
        size = random.randint(1, len(body) - at)
        extension = random.choice((b"", b"", b"", b";a=b", b" "))
        chunks += b"%x" % size + extension + b"\r\n" + body[at : at + size] + b"\r\n"
        at += size
    last = random.choice((b"0\r\n", b"0\r\n", b"0\r\n", b"000\r\n", b"-1\r\n", b"g\r\n", b"0;x\r\n", b""))
    return chunks + last + random.choice(TRAILERS) + random.choice((b"\r\n", b"\r\n", b"\r\n", b"\n", b""))


def _mutated(random: Random, sent: bytes) -> bytes:
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(sent) + 1)
        to = min(len(sent), at + random.choice((1, 1, 2, 5, 20)))
        kind = random.randrange(6)
        if kind == 0:
            sent = sent[:at] + sent[to:]
        elif kind == 1:
            sent = sent[:at] + sent[at:to] * 2 + sent[to:]
        elif kind == 2:
            sent = sent[:at] + random.choice(SPLICES) + sent[at:]
        elif kind == 3:
            sent = sent[:at] + random.choice(SPLICES) + sent[to:]
        elif kind == 4:
            sent = sent[:at] + bytes(byte ^ (1 << random.randrange(8)) for byte in sent[at : at + 1]) + sent[at + 1 :]
        else:
            sent = sent[:at] + sent[at:to].swapcase() + sent[to:]
    return sent


def _segments(random: Random, sent: bytes) -> Iterator[tuple[bytes, bool]]:
    how = random.random()
    cuts = 0 if how < 0.4 else random.randint(1, 4) if how < 0.9 else min(60, len(sent))
    places = sorted({0, len(sent), *(random.randrange(len(sent) + 1) for _ in range(cuts))})
    awaited = random.random() < 0.5
    for at, to in pairwise(places):
        yield sent[at:to], awaited
