"""The fault table: each way in which a server can misbehave, and what is seen of it.

Behind each row the server recovers, and the same reader gets the same thing whole: nothing of a fault stays.
"""

import gzip
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import pytest

from entropy_assets.sources.feeds.interface import FeedDenied, FeedError, FeedLies, FeedUnavailable
from entropy_assets.sources.feeds.web.faults import ADVICE, Fault, advice_on, refusal
from entropy_assets.sources.feeds.web.headers import Headers
from entropy_assets.sources.feeds.web.pacing import Pacing
from entropy_assets_tests.sources.feeds.fault_server import Answer, Asked, FakeClock, answer, bomb, chunked, redirect
from entropy_assets_tests.sources.feeds.web.conftest import Web, failure

FITS = b"SIMPLE  =                    T".ljust(2880) + bytes(range(256)) * 45
ENTRY = "<Contents><Key>OR_ABI-L1b-RadF-M6C02_G19_s2026326231{:07}.nc</Key><Size>1</Size></Contents>"
LISTING = "".join(map(ENTRY.format, range(10_000))).encode()
DAY = {"Date": "Sun, 29 Nov 2026 23:06:40 GMT", "Content-Type": "image/fits"}
PAGE = {"Content-Type": "text/html; charset=utf-8"}
SORRY = b"<!doctype html><title>Down</title><style>p{}</style><p>We are  sorry:\n\x1b[31mno images</p>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A misbehaviour and what is seen.

    Attributes
    ----------
    answers
        What the server says, one after the other; the last one for ever.
    sees
        The error and its fault; None if all is well in the end.
    asked
        How many requests reach the server.
    waited
        How many seconds are waited for it in all.
    says
        What the message holds.
    retry_after_s
        As the error tells it.
    document
        Whether a document is asked for and not an image.
    limits
        Other ones than usual.
    """

    answers: tuple[Answer, ...]
    sees: tuple[type[FeedError], Fault] | None = None
    asked: int = 1
    waited: float = 0.0
    says: str = ""
    retry_after_s: int | None = None
    document: bool = False
    limits: tuple[tuple[str, float], ...] = ()


def drip(clock: FakeClock, whole: bytes, seconds: float) -> Callable[[Asked], Iterator[bytes]]:
    """Return an answer of which a byte comes at a time, each after so many seconds."""

    def told(_: Asked) -> Iterator[bytes]:
        for place in range(len(whole)):
            yield whole[place : place + 1]
            clock.turn(seconds)

    return told


def silence(_: Asked) -> Iterator[bytes]:
    """Say nothing, for longer than the test waits for a byte."""
    time.sleep(0.4)
    yield b""


ONCE = (("attempts", 1),)
LIES, AWAY, DENIED = FeedLies, FeedUnavailable, FeedDenied
GOOD = answer(FITS, headers=DAY)
TABLE: dict[str, Row] = {
    # --- asked too often
    "429 with a long Retry-After": Row(
        answers=(answer(b"<p>slow down", 429, {"Retry-After": "2870", "X-RateLimit-Remaining": "0"} | PAGE),),
        sees=(AWAY, Fault.BUSY),
        says="feed.test answers 429: slow down",
        retry_after_s=2870,
    ),
    "429 with a date": Row(
        answers=(answer(b"", 429, DAY | {"Retry-After": "Mon, 30 Nov 2026 00:06:40 GMT"}),),
        sees=(AWAY, Fault.BUSY),
        retry_after_s=3600,
    ),
    "429 that names no time": Row(
        answers=(answer(b"", 429, {"Retry-After": "soon"}),), sees=(AWAY, Fault.BUSY), retry_after_s=60
    ),
    "429 with a short Retry-After": Row(answers=(answer(b"", 429, {"Retry-After": "7"}), GOOD), asked=2, waited=7),
    "429 for ever": Row(
        answers=(answer(b"", 429, {"Retry-After": "7"}),), sees=(AWAY, Fault.BUSY), asked=4, waited=21, retry_after_s=7
    ),
    "429 with a wait beyond the budget": Row(
        answers=(answer(b"", 429, {"Retry-After": "7"}), GOOD),
        sees=(AWAY, Fault.BUSY),
        retry_after_s=7,
        limits=(("budget_s", 6),),
    ),
    "403 with no requests left": Row(
        answers=(answer(b"", 403, {"X-RateLimit-Remaining": "0"}),), sees=(AWAY, Fault.BUSY), retry_after_s=60
    ),
    # --- a server that is not well; each pause is 3/4 of the longest, and a second between questions at least
    "503 burst": Row(answers=(answer(b"", 503), answer(b"", 502), GOOD), asked=3, waited=1 + 1.5),
    "503 for ever": Row(
        answers=(answer(b"", 503),), sees=(AWAY, Fault.BUSY), asked=4, waited=1 + 1.5 + 3, says="answers 503"
    ),
    "503 with a long Retry-After": Row(
        answers=(answer(b"", 503, {"Retry-After": "120"}),), sees=(AWAY, Fault.BUSY), retry_after_s=120
    ),
    "500 until the budget is used up": Row(
        answers=(answer(b"", 500),),
        sees=(AWAY, Fault.SERVER_ERROR),
        asked=2,
        waited=1,
        limits=(("budget_s", 2), ("attempts", 9)),
    ),
    "hangs up": Row(answers=(b"", b"HTTP/1.1 200 OK\r\nDa", GOOD), asked=3, waited=2.5),
    "hangs up for ever": Row(answers=(b"",), sees=(AWAY, Fault.UNREACHABLE), asked=4, waited=5.5, says="hung up"),
    "says nothing": Row(
        answers=(silence,), sees=(AWAY, Fault.TOO_SLOW), says="too long", limits=(*ONCE, ("read_s", 0.1))
    ),
    # --- a broken answer
    "truncated body": Row(
        answers=(answer(FITS[:-1], length=len(FITS)),),
        sees=(AWAY, Fault.BROKEN_OFF),
        asked=4,
        waited=5.5,
        says="broke off in the middle",
    ),
    "truncated body, once": Row(answers=(answer(FITS[:-1], length=len(FITS)), GOOD), asked=2, waited=1),
    "truncated chunks": Row(answers=(chunked(FITS[:99], end=b""),), sees=(AWAY, Fault.BROKEN_OFF), asked=4, waited=5.5),
    "chunks that are none": Row(
        answers=(chunked(FITS, end=b"xyz\r\n\r\n"),), sees=(LIES, Fault.MALFORMED), says="doesn't speak HTTP"
    ),
    "truncated gzip": Row(
        answers=(answer(gzip.compress(FITS)[:-9], headers={"Content-Encoding": "gzip"}),),
        sees=(AWAY, Fault.BROKEN_OFF),
        asked=4,
        waited=5.5,
    ),
    "longer than announced": Row(
        answers=(answer(FITS, length=len(FITS) - 9),), sees=(LIES, Fault.WRONG_LENGTH), says="sends more"
    ),
    "a line end too many": Row(answers=(answer(FITS + b"\r\n", length=len(FITS)),)),
    "two lengths": Row(
        answers=(answer(FITS, headers={"Content-Length": ["5", "6"]}, length=None),), sees=(LIES, Fault.MALFORMED)
    ),
    "HTTP/1.0 without a length": Row(answers=(answer(FITS, version="1.0", length=None),)),
    "nothing": Row(answers=(answer(b""),), sees=(LIES, Fault.EMPTY), says="sends nothing"),
    "204": Row(answers=(answer(b"", 204, length=None),), sees=(LIES, Fault.MALFORMED), says="204"),
    "304 that nobody asked for": Row(answers=(answer(b"", 304, length=None),), sees=(LIES, Fault.MALFORMED)),
    "101": Row(answers=(answer(b"", 101, length=None),), sees=(LIES, Fault.MALFORMED)),
    "no HTTP": Row(answers=(b"SSH-2.0-OpenSSH_9.2\r\n\r\n",), sees=(LIES, Fault.MALFORMED), says="doesn't speak HTTP"),
    "a length and chunks that disagree": Row(
        answers=(chunked(FITS, headers={"Content-Length": "4"}),), sees=(LIES, Fault.WRONG_LENGTH)
    ),
    "a length with a sign": Row(
        answers=(answer(FITS, headers={"Content-Length": f"+{len(FITS)}"}, length=None),), sees=(LIES, Fault.MALFORMED)
    ),
    "packed on the way": Row(
        answers=(answer(FITS, headers={"Transfer-Encoding": "gzip, chunked"}, length=None),),
        sees=(LIES, Fault.MALFORMED),
    ),
    "a zero in a header": Row(answers=(answer(FITS, headers={"X": "a\0b"}),), sees=(LIES, Fault.MALFORMED)),
    "a header in two lines": Row(answers=(answer(FITS, headers={"X": "a\r\n b"}),)),
    "a line end in a header": Row(answers=(answer(FITS, headers={"X": "a\r\n\r\n"}),), sees=(LIES, Fault.NOT_AN_IMAGE)),
    "another version of HTTP": Row(answers=(b"HTTP/2 200\r\n\r\n",), sees=(LIES, Fault.MALFORMED)),
    # --- too much
    "gzip bomb": Row(
        answers=(answer(bomb(64 << 20), headers={"Content-Encoding": "gzip"}),),
        sees=(FeedError, Fault.TOO_LARGE),
        document=True,
        says="unpacks to more and more; the limit is 4194304; raise",
    ),
    "gzip bomb of many parts": Row(
        answers=(answer(bomb(1 << 18) * 63, headers={"Content-Encoding": "gzip"}),),
        sees=(FeedError, Fault.TOO_LARGE),
        document=True,
    ),
    "gzip of nothing, again and again": Row(
        answers=(answer(gzip.compress(b"") * 65, headers={"Content-Encoding": "gzip"}),), sees=(LIES, Fault.PACKED)
    ),
    "gzip in gzip": Row(
        answers=(answer(gzip.compress(gzip.compress(FITS)), headers={"Content-Encoding": "gzip, gzip"}),),
        sees=(LIES, Fault.PACKED),
        says="not asked for",
    ),
    "gzip that is none": Row(
        answers=(answer(FITS, headers={"Content-Encoding": "gzip"}),), sees=(LIES, Fault.PACKED), says="wrongly"
    ),
    "a packing nobody asked for": Row(
        answers=(answer(FITS, headers={"Content-Encoding": "br"}),), sees=(LIES, Fault.PACKED)
    ),
    "gzip though not asked for": Row(answers=(answer(gzip.compress(FITS), headers={"Content-Encoding": "x-gzip"}),)),
    "announces too much": Row(
        answers=(answer(FITS, length=1 << 40),), sees=(FeedError, Fault.TOO_LARGE), says="announces 1099511627776"
    ),
    "goes on and on": Row(
        answers=(lambda _: iter([answer(length=None, version="1.0"), *[FITS * 64] * 64]),),
        sees=(FeedError, Fault.TOO_LARGE),
        says="goes on and on",
    ),
    "listing of 10,000 entries": Row(answers=(answer(LISTING),), document=True),
    "listing of 10,000 entries, above the limit": Row(
        answers=(answer(LISTING),),
        sees=(FeedError, Fault.TOO_LARGE),
        document=True,
        limits=(("document_bytes", 1 << 19),),
    ),
    "far too many pixels": Row(
        answers=(answer(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x08\2\0\0\0" + bytes(99)),),
        sees=(FeedError, Fault.TOO_LARGE),
        says="65536 x 65536 pixels",
    ),
    "a long header": Row(
        answers=(answer(FITS, headers={"X": "x" * 200_000}),), sees=(LIES, Fault.MALFORMED), says="doesn't speak HTTP"
    ),
    "many headers": Row(
        answers=(answer(FITS, headers={f"X-{number}": "x" for number in range(30_000)}),), sees=(LIES, Fault.MALFORMED)
    ),
    "announcements without end": Row(
        answers=(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20_000 + GOOD,), sees=(LIES, Fault.MALFORMED), says="more around"
    ),
    "a few announcements": Row(answers=(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" * 3 + GOOD,)),
    "long trailers": Row(
        answers=(chunked(FITS, end=b"0\r\n" + b"A: b\r\n" * 30_000 + b"\r\n"),), sees=(LIES, Fault.MALFORMED)
    ),
    "a few trailers": Row(answers=(chunked(FITS, end=b"0\r\nContent-Length: 7\r\n\r\n"),)),
    "a long end of a chunk's line": Row(
        answers=(chunked(FITS, end=b"1;" + b"x" * 200_000 + b"\r\nx\r\n0\r\n\r\n"),), sees=(LIES, Fault.MALFORMED)
    ),
    "more between the chunks than in them": Row(
        answers=(chunked(FITS, end=(b"1;" + b"x" * 90_000 + b"\r\nx\r\n") * 20 + b"0\r\n\r\n"),),
        sees=(LIES, Fault.MALFORMED),
        says="more around",
        limits=(("image_bytes", 20_000),),
    ),
    "chunks of a byte": Row(answers=(chunked(*(FITS[place : place + 1] for place in range(len(FITS)))),)),
    "packed a thousand times": Row(
        answers=(answer(FITS, headers={"Content-Encoding": ["gzip"] * 1000}),),
        sees=(LIES, Fault.PACKED),
        says="['gzip', 'gzip', 'gzip', 'gzip']",
    ),
    "announcements just within the limit": Row(answers=(b"HTTP/1.1 103 \r\n\r\n" * 15_000 + GOOD,)),
    # --- something else
    "a page instead of an image": Row(
        answers=(answer(SORRY, headers=PAGE),),
        sees=(LIES, Fault.NOT_AN_IMAGE),
        says=r"sends text/html instead of an image: Down We are sorry: \x1b[31mno images",
    ),
    "an image that is called a page": Row(answers=(answer(FITS, headers=PAGE),), sees=(LIES, Fault.NOT_AN_IMAGE)),
    "a page that is called an image": Row(
        answers=(answer(SORRY, headers={"Content-Type": "image/png"}),), sees=(LIES, Fault.NOT_AN_IMAGE)
    ),
    "an error in JSON": Row(
        answers=(answer(b'{"error": "no such"}', headers={"Content-Type": "application/json"}),),
        sees=(LIES, Fault.NOT_AN_IMAGE),
        says='instead of an image: {"error": "no such"}',
    ),
    "HDF5": Row(answers=(answer(b"\x89HDF\r\n\x1a\n" + bytes(99)),), sees=(FeedError, Fault.NOT_READ), says="netCDF-4"),
    "bytes that are no words": Row(
        answers=(answer(bytes(range(128, 256)) * 9, headers={"Content-Type": "application/octet-stream"}),),
        sees=(LIES, Fault.NOT_AN_IMAGE),
        says="sends application/octet-stream instead of an image: bytes that are no words",
    ),
    "a page of plain text": Row(
        answers=(answer(FITS, headers={"Content-Type": "text/plain"}),),
    ),
    # --- refused
    "401": Row(answers=(answer(b"API_KEY_MISSING", 401),), sees=(DENIED, Fault.DENIED), says="this feed sends no key"),
    "403": Row(answers=(answer(b"API_KEY_INVALID", 403),), sees=(DENIED, Fault.DENIED), says="API_KEY_INVALID"),
    "404": Row(answers=(answer(b"", 404),), sees=(FeedError, Fault.MISSING), says="https://feed.test/a answers 404"),
    "404 with a page": Row(
        answers=(answer(b"<!DOCTYPE HTML><p>Error code: 404</p>", 404),),
        sees=(FeedError, Fault.MISSING),
        says="answers 404; look at that address in a browser",
    ),
    "410": Row(answers=(answer(b"", 410),), sees=(FeedError, Fault.MISSING)),
    "400": Row(answers=(answer(b'{"reason": "bad page"}', 400),), sees=(FeedError, Fault.REFUSED), says="bad page"),
    # --- led astray
    "to a host that is not allowed": Row(
        answers=(redirect("https://evil.test/a"),), sees=(LIES, Fault.HOST_NOT_ALLOWED), says="https://evil.test asked"
    ),
    "to another host without its scheme": Row(
        answers=(redirect("//evil.test/a"),), sees=(LIES, Fault.HOST_NOT_ALLOWED)
    ),
    "to a private address": Row(
        answers=(redirect("https://169.254.169.254/latest/"),), sees=(LIES, Fault.HOST_NOT_ALLOWED)
    ),
    "to this machine": Row(answers=(redirect("http://127.0.0.1:6379/"),), sees=(LIES, Fault.HOST_NOT_ALLOWED)),
    "to another port": Row(answers=(redirect("https://feed.test:22/"),), sees=(LIES, Fault.HOST_NOT_ALLOWED)),
    "to another scheme": Row(answers=(redirect("file:///etc/passwd"),), sees=(LIES, Fault.MISLED)),
    "to a user": Row(answers=(redirect("https://feed.test@evil.test/"),), sees=(LIES, Fault.MISLED)),
    "nowhere": Row(answers=(answer(b"", 302),), sees=(LIES, Fault.MISLED), says="doesn't say where"),
    "two ways": Row(answers=(answer(b"", 302, {"Location": ["/a", "/b"]}),), sees=(LIES, Fault.MISLED)),
    "back to itself": Row(answers=(redirect("/a#b"),), sees=(LIES, Fault.MISLED), says="in a circle"),
    "to plain http": Row(answers=(redirect("http://feed.test/a"),), sees=(LIES, Fault.MISLED), says="in a circle"),
    "to a very long URL": Row(answers=(redirect("/" + "é" * 1999),), sees=(LIES, Fault.MISLED)),
    # --- what is no fault
    "a clock a year ahead": Row(answers=(answer(FITS, headers={"Date": "Mon, 29 Nov 2027 23:06:40 GMT"}),)),
    "a date that is none": Row(answers=(answer(FITS, headers={"Date": "yesterday", "Last-Modified": "0"}),)),
}


@pytest.mark.parametrize("name", TABLE)
def test_each_misbehaviour_is_seen_for_what_it_is_and_leaves_nothing(web: Web, name: str) -> None:
    """What the row says, and nothing else; and behind it the server's recovery."""
    row = TABLE[name]
    reader = web.reader(**dict(row.limits))
    read = reader.document if row.document else reader.image
    content = LISTING if row.document else FITS
    web.server.give("/a", *row.answers)
    if row.sees is None:
        assert read("https://feed.test/a").data == content  # type: ignore[union-attr]
    else:
        kind, fault = row.sees
        error = failure(read, "https://feed.test/a")
        assert (type(error), error.data["fault"]) == (kind, fault), error
        assert row.says in error.message
        assert error.message.isprintable()
        assert (error.data["feed"], error.data["host"], error.data["url"]) == (
            "mine",
            "feed.test",
            "https://feed.test/a",
        )
        assert error.data.get("retry_after_s") == row.retry_after_s
        assert advice_on(fault, has_key=False) in error.message
    assert len(web.server.asked) == row.asked
    assert sum(web.clock.slept) == row.waited

    web.clock.turn(86_400)
    web.server.give("/a", answer(content))
    again = web.reader()
    assert (again.document if row.document else again.image)("https://feed.test/a").data == content  # type: ignore[union-attr]


@pytest.mark.parametrize("part", ["head", "body", "chunks"])
def test_a_slow_drip_ends_in_time(web: Web, part: str) -> None:
    """However steadily it comes: 60 seconds for a document in all, by a clock that a byte turns by five seconds."""
    whole = {"head": answer(b"x" * 99), "body": answer(b"x" * 99), "chunks": chunked(*[b"x"] * 99)}[part]
    head = 0 if part == "head" else whole.index(b"\r\n\r\n") + 4
    dripped = drip(web.clock, whole[head:], 5)
    web.server.give("/a", lambda asked: chain([whole[:head]], dripped(asked)))
    error = failure(web.reader(attempts=1).document, "https://feed.test/a")
    assert (type(error), error.data["fault"]) == (FeedUnavailable, Fault.TOO_SLOW)


def test_a_silence_ends_in_time_too(web: Web) -> None:
    """By the system's clock: what is left of the time for all is the longest wait for the next bytes."""
    web.server.give("/a", silence)
    web.pacing = Pacing()
    error = failure(web.reader(attempts=1, read_s=30, document_s=0.25).document, "https://feed.test/a")
    assert (type(error), error.data["fault"]) == (FeedUnavailable, Fault.TOO_SLOW)


def test_a_host_that_asked_to_be_left_alone_is(web: Web) -> None:
    """By every reader of the process, for every path, until the time that it named; others are asked meanwhile."""
    web.server.give("/a", answer(b"", 429, {"Retry-After": "2870"}))
    web.server.give("/b", answer(b"fine"))
    failure(web.reader().document, "https://feed.test/a")
    web.clock.turn(70)
    error = failure(web.reader().document, "https://feed.test/b")
    assert (type(error), error.data["fault"], error.data["retry_after_s"]) == (FeedUnavailable, Fault.RESTING, 2800)
    assert web.reader().document("https://other.test/b").data == b"fine"
    assert web.clock.slept == []
    web.clock.turn(2780)
    assert web.reader().document("https://feed.test/b").data == b"fine"
    web.clock.turn(0.25)
    assert web.reader().document("https://feed.test/b").data == b"fine"
    assert web.clock.slept == [20, 0.75]
    assert len(web.server.asked) == 4


def test_every_fault_has_a_word_of_its_own() -> None:
    assert len({*Fault}) == len(Fault)
    assert all(str(fault).replace("_", "").isalpha() for fault in Fault)
    assert set(ADVICE) <= set(Fault)


def test_every_status_means_something() -> None:
    """None but those of a busy or failing server is tried again."""
    for status in range(100, 600):
        trouble = refusal(status, Headers([], 0.0), "", 30)
        assert issubclass(trouble.kind, FeedError)
        assert trouble.again == (status >= 500 or status in (408, 425))
        assert trouble.data == {"status": status}
