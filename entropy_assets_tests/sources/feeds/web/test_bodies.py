"""What comes is counted, and two parts become one file only if they are of the same version."""

import gzip
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from entropy_assets.sources.feeds.interface import FeedError, FeedLies
from entropy_assets.sources.feeds.web.bodies import PIECE_BYTES
from entropy_assets.sources.feeds.web.faults import Fault
from entropy_assets_tests.sources.feeds.fault_server import Answer, Asked, answer, bomb, chunked, ranged, redirect
from entropy_assets_tests.sources.feeds.web.conftest import Web, failure

URL = "https://feed.test/a"
FITS = b"SIMPLE  =                    T".ljust(2880) + bytes(range(256)) * 45
OTHER = FITS[:-9] + b"different"
STRONG = {"ETag": '"1"'}
WEAK = {"ETag": 'W/"1"'}
DATED = {"Last-Modified": "Sun, 29 Nov 2026 22:00:00 GMT", "Date": "Sun, 29 Nov 2026 23:06:40 GMT"}
JUST_NOW = {"Last-Modified": "Sun, 29 Nov 2026 23:06:00 GMT", "Date": "Sun, 29 Nov 2026 23:06:40 GMT"}


def cut(headers: dict[str, str], at: int = 5000, whole: bytes = FITS) -> bytes:
    return answer(whole[:at], headers=headers, length=len(whole))


def part(first: int, headers: dict[str, str], whole: bytes = FITS, place: str | None = None) -> bytes:
    told = f"bytes {first}-{len(whole) - 1}/{len(whole)}" if place is None else place
    return answer(whole[first:], 206, headers | {"Content-Range": told})


@pytest.mark.parametrize("headers, version", [(STRONG, '"1"'), (DATED, DATED["Last-Modified"])])
def test_what_broke_off_goes_on_where_it_ended(web: Web, headers: dict[str, str], version: str) -> None:
    """However often, as long as its version has a strong name."""
    web.server.give("/a", cut(headers), lambda _: iter([part(5000, headers)[:-2000]]), ranged(FITS, headers))
    told = web.reader().image(URL)
    assert told is not None
    assert told.data == FITS
    assert [(asked.header("range"), asked.header("if-range")) for asked in web.server.asked] == [
        (None, None),
        ("bytes=5000-", version),
        (f"bytes={len(FITS) - 2000}-", version),
    ]


def test_all_that_came_is_counted(web: Web) -> None:
    """Of the part that broke off, of the rest, of a page that is no image, and of what a refusal says."""
    reader = web.reader()
    web.server.give("/a", cut(STRONG), ranged(FITS, STRONG))
    reader.image(URL)
    assert reader.read_bytes == len(FITS)
    web.server.give("/a", answer(b"<html>" + bytes(1000)))
    failure(lambda: reader.image(URL))
    assert reader.read_bytes == len(FITS) + 1006
    web.server.give("/a", answer(b"no", 404))
    failure(lambda: reader.image(URL))
    packed = bomb(100_000)
    web.server.give("/a", answer(packed, headers={"Content-Encoding": "gzip"}))
    reader.document(URL)
    assert reader.read_bytes == len(FITS) + 1008 + len(packed), "as it came, and not as it was unpacked"


@pytest.mark.parametrize(
    "headers",
    [{}, WEAK, JUST_NOW, {"Last-Modified": DATED["Last-Modified"]}, STRONG | {"Accept-Ranges": "none"}, {"ETag": "1"}],
)
def test_what_has_no_strong_name_begins_anew(web: Web, headers: dict[str, str]) -> None:
    web.server.give("/a", cut(headers, whole=OTHER), answer(FITS, headers=headers))
    told = web.reader().image(URL)
    assert told is not None
    assert told.data == FITS
    assert [asked.header("range") for asked in web.server.asked] == [None, None]


def test_a_file_that_changed_in_between_is_sent_whole_and_taken_whole(web: Web) -> None:
    """What an honest server does by If-Range."""
    web.server.give("/a", cut(STRONG, whole=OTHER), ranged(FITS, {"ETag": '"2"'}))
    told = web.reader().image(URL)
    assert told is not None
    assert (told.data, told.etag, len(web.server.asked)) == (FITS, '"2"', 2)


@pytest.mark.parametrize(
    "second",
    [
        part(5000, {"ETag": '"2"'}),
        part(5000, {"ETag": 'W/"1"'}),
        part(5000, {}),
        part(5000, DATED),
        part(5000, STRONG, whole=FITS + b"more"),
    ],
)
def test_a_server_that_goes_on_with_another_version_is_asked_for_the_whole(web: Web, second: bytes) -> None:
    """An ETag that changes in the middle, whatever the server makes of If-Range: no byte of the first is kept."""
    web.server.give("/a", cut(STRONG, whole=OTHER), second, answer(FITS, headers={"ETag": '"2"'}))
    told = web.reader().image(URL)
    assert told is not None
    assert told.data == FITS
    assert [asked.header("range") for asked in web.server.asked] == [None, "bytes=5000-", None]


@pytest.mark.parametrize(
    "second",
    [
        part(0, STRONG),
        part(4999, STRONG),
        part(5001, STRONG),
        part(5000, STRONG, place=""),
        part(5000, STRONG, place="bytes 5000-4999/*"),
        part(5000, STRONG, place=f"bytes 5000-{len(FITS)}/{len(FITS)}"),
        part(5000, STRONG, place=f"octets 5000-{len(FITS) - 1}/{len(FITS)}"),
        part(5000, STRONG, place=f"bytes 5000-{len(FITS) - 2}/{len(FITS)}"),
        answer(FITS[5000:], 206, STRONG | {"Content-Type": "multipart/byteranges; boundary=x"}),
        part(5000, STRONG | {"Content-Encoding": "gzip"}),
    ],
)
def test_a_part_that_was_not_asked_for_is_not_taken(web: Web, second: bytes) -> None:
    web.server.give("/a", cut(STRONG), second)
    error = failure(web.reader().image, URL)
    assert (type(error), error.data["fault"]) == (FeedLies, Fault.WRONG_RANGE)
    assert len(web.server.asked) == 2


def test_a_part_where_none_was_asked_for_is_not_taken(web: Web) -> None:
    web.server.give("/a", part(5000, STRONG))
    error = failure(web.reader().image, URL)
    assert (type(error), error.data["fault"]) == (FeedLies, Fault.WRONG_RANGE)


def test_a_part_longer_than_the_rest_is_not_taken(web: Web) -> None:
    """In chunks, where no length says so."""
    place = {"Content-Range": f"bytes 5000-{len(FITS) - 1}/{len(FITS)}"} | STRONG
    web.server.give("/a", cut(STRONG), chunked(FITS[5000:] + b"more", headers=place).replace(b"200", b"206", 1))
    error = failure(web.reader().image, URL)
    assert (type(error), error.data["fault"]) == (FeedLies, Fault.WRONG_LENGTH)


def test_a_server_that_sends_a_part_of_the_rest_is_asked_for_more(web: Web) -> None:
    """As it may (RFC 9110, 15.3.7)."""
    middle = answer(FITS[5000:7000], 206, STRONG | {"Content-Range": f"bytes 5000-6999/{len(FITS)}"})
    web.server.give("/a", cut(STRONG), middle, ranged(FITS, STRONG))
    told = web.reader().image(URL)
    assert told is not None
    assert told.data == FITS
    assert web.server.asked[-1].header("range") == "bytes=7000-"


def test_a_server_that_has_no_rest_is_asked_for_the_whole(web: Web) -> None:
    web.server.give("/a", cut(STRONG, whole=OTHER), answer(b"", 416), answer(FITS))
    told = web.reader().image(URL)
    assert told is not None
    assert told.data == FITS


def test_the_rest_is_asked_of_where_the_beginning_came_from(web: Web) -> None:
    """Through a redirect that leads elsewhere now, the whole is asked for."""
    web.server.give("/a", redirect("/b"), redirect("/b"), redirect("/c"))
    web.server.give("/b", cut(STRONG, whole=OTHER), cut(STRONG, whole=OTHER)[:-100])
    web.server.give("/c", ranged(FITS, STRONG))
    told = web.reader().image(URL)
    assert told is not None
    assert told.data == FITS
    assert [(asked.path, asked.header("range")) for asked in web.server.asked] == [
        ("/a", None),
        ("/b", None),
        ("/a", None),
        ("/b", "bytes=5000-"),
        ("/a", None),
        ("/c", None),
    ]


def test_no_rest_is_asked_for_of_what_was_packed(web: Web) -> None:
    packed = answer(gzip.compress(FITS)[:-20], headers=STRONG | {"Content-Encoding": "gzip"}, length=9999)
    web.server.give("/a", packed, answer(FITS, headers=STRONG))
    assert web.reader().image(URL) is not None
    assert web.server.asked[1].header("range") is None


def test_no_rest_is_asked_for_of_a_document(web: Web) -> None:
    web.server.give("/a", cut(STRONG), answer(b"{}", headers=STRONG))
    assert web.reader().document(URL).data == b"{}"
    assert web.server.asked[1].header("range") is None


def _in_two(data: bytes) -> bytes:
    return gzip.compress(data[:9]) + gzip.compress(data[9:])


@pytest.mark.parametrize("size", [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
@pytest.mark.parametrize("pack", [gzip.compress, lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])])
def test_what_is_packed_comes_out_whole(web: Web, size: int, pack: Callable[[bytes], bytes]) -> None:
    """Also where it fills the pieces in which it is unpacked."""
    data = bytes(size)
    web.server.give("/a", answer(pack(data), headers={"Content-Encoding": "gzip"}))
    assert web.reader().document(URL).data == data


def test_a_bomb_takes_no_memory(web: Web) -> None:
    """Of 32 MB that unpack from 32 kB, not more than the limit and two pieces are ever held."""
    packed = bomb(32 << 20)
    web.server.give("/a", answer(packed, headers={"Content-Encoding": "gzip"}))
    reader = web.reader(document_bytes=1 << 20)
    tracemalloc.start()
    error = failure(reader.document, URL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.data["fault"] == Fault.TOO_LARGE
    assert peak < (1 << 20) + 4 * PIECE_BYTES


@pytest.mark.parametrize("size, fits", [(9999, True), (10_000, True), (10_001, False)])
@pytest.mark.parametrize("told", ["length", "chunks", "nothing"])
def test_the_limit_is_a_limit_to_the_byte(web: Web, size: int, fits: bool, told: str) -> None:
    body = b"x" * size
    answers: dict[str, Answer] = {
        "length": answer(body),
        "chunks": chunked(*(body[place : place + 7] for place in range(0, size, 7))),
        "nothing": answer(body, length=None, version="1.0"),
    }
    web.server.give("/a", answers[told])
    reader = web.reader(document_bytes=10_000)
    if fits:
        assert reader.document(URL).data == body
    else:
        error = failure(reader.document, URL)
        assert (type(error), error.data["fault"], error.data["limit"]) == (FeedError, Fault.TOO_LARGE, 10_000)


def test_a_page_is_not_read_to_its_end(web: Web) -> None:
    """What is no image is seen by its first bytes: an endless page ends there."""
    sent = []

    def endless(_: Asked) -> Iterator[bytes]:
        yield answer(headers={"Content-Type": "text/html"}, length=None, version="1.0")
        for number in range(4000):
            sent.append(number)
            yield b"<p>not here " * 1000

    web.server.give("/a", endless)
    error = failure(web.reader(image_bytes=1 << 30).image, URL)
    assert (type(error), error.data["fault"]) == (FeedLies, Fault.NOT_AN_IMAGE)
    assert len(sent) < 4000
