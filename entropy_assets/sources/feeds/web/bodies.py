"""The body of an answer, counted as it comes and as it is unpacked, and put together where it broke off.

Two parts become one file only if the server says by a strong name that they are of the same version.
"""

import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from entropy_assets.sources.feeds.interface import FeedError, FeedLies, FeedUnavailable
from entropy_assets.sources.feeds.web.faults import Fault, Trouble
from entropy_assets.sources.feeds.web.headers import ContentRange, Headers
from entropy_assets.sources.feeds.web.wire import Incoming

LOOK_BYTES: Final = 64 << 10
"""After so many bytes it is looked at what is coming."""
PIECE_BYTES: Final = 1 << 20
"""Most that is unpacked at once."""
MOST_MEMBERS: Final = 64
"""Most gzip members in one answer, one after the other."""
_GZIP: Final = 16 + zlib.MAX_WBITS
_CODINGS: Final = ("gzip", "x-gzip")
"""How an answer may be packed: as is asked for, and its old name (RFC 9110, 8.4.1.3)."""


class Body:
    """What came of one document or image.

    Parameters
    ----------
    most
        Longest, bytes, packed and unpacked.
    look
        Is shown the first `LOOK_BYTES`, or all if there is less, and the headers; raises `Trouble` for what it should
        not be.
    resumes
        Whether what broke off may go on at its end.

    Attributes
    ----------
    came
        What was received, bytes as they came, in all attempts and of use or not.
    """

    def __init__(self, most: int, look: Callable[[bytes, Headers], None], *, resumes: bool) -> None:
        self._most = most
        self._look = look
        self._resumes = resumes
        self.came = 0
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._buffer = io.BytesIO()
        self._looked = False
        self._from = ""
        self._validator: str | None = None
        self._total: int | None = None

    @property
    def data(self) -> bytes:
        """All of it."""
        return self._buffer.getvalue()

    def asking(self, url: str) -> list[tuple[str, str]]:
        """Return the headers that ask for the rest, if some came from this URL that can go on; else none."""
        if self._validator is None or url != self._from or not self._size:
            return []
        return [("Range", f"bytes={self._size}-"), ("If-Range", self._validator)]

    @property
    def _size(self) -> int:
        return self._buffer.tell()

    def take(self, answer: Incoming, url: str, *, ranged: bool) -> None:
        """Take what an answer brings.

        Parameters
        ----------
        answer
            With the status 200 or 206.
        url
            Where it is from.
        ranged
            Whether only the rest was asked for.

        Raises
        ------
        Trouble
            If it isn't whole and fit. Of one that broke off, what came is kept if it can go on.
        """
        unpacking = _unpacking(answer.headers)
        if answer.status == 206:
            self._continue(answer.headers, ranged)
        else:
            self._begin(answer.headers, url)
        self._read(answer, unpacking)

    def _begin(self, headers: Headers, url: str) -> None:
        self.forget()
        self._from = url
        if headers.length is not None and headers.length > self._most:
            raise self._too_large(f"announces {headers.length} bytes")
        if self._resumes and not headers.codings and headers.one("accept-ranges") != "none":
            self._validator, self._total = headers.validator, headers.length

    def _continue(self, headers: Headers, ranged: bool) -> None:
        """Check that the rest of what broke off comes: of the same version, from the next byte on."""
        told = headers.one("content-range")
        place = None if told is None else ContentRange.read(told)
        if not ranged or place is None or headers.codings:
            raise Trouble(FeedLies, Fault.WRONG_RANGE, f"sends a part that was not asked for: {told}")
        same = self._validator in ([headers.etag] if headers.etag else [headers.last_modified])
        if not same or (self._total is not None and place.total not in (self._total, None)):
            self.forget()
            why = "began with one version of the file and goes on with another"
            raise Trouble(FeedUnavailable, Fault.WRONG_RANGE, why, again=True)
        if place.first != self._size or headers.length not in (None, place.last - place.first + 1):
            why = f"was asked for the bytes from {self._size} on, and sends {told}"
            raise Trouble(FeedLies, Fault.WRONG_RANGE, why)
        self._total = self._total if place.total is None else place.total
        if self._total is not None and self._total > self._most:
            raise self._too_large(f"has {self._total} bytes")

    def _read(self, answer: Incoming, unpacking: "_Plain | _Zipped") -> None:
        came = self._size
        for chunk in answer.body(self._most):
            came += len(chunk)
            self.came += len(chunk)
            if came > self._most:
                raise self._too_large("goes on and on")
            for piece in unpacking.pieces(chunk):
                if self._size + len(piece) > self._most:
                    raise self._too_large("unpacks to more and more")
                self._buffer.write(piece)
                if not self._looked and self._size >= LOOK_BYTES:
                    self._show(answer.headers)
        unpacking.require_end()
        self._require_whole()
        if not self._looked:
            self._show(answer.headers)

    def _require_whole(self) -> None:
        if not self._size:
            raise Trouble(FeedLies, Fault.EMPTY, "sends nothing")
        if self._total is not None and self._size < self._total:
            raise Trouble(FeedUnavailable, Fault.BROKEN_OFF, "sends a part of the rest alone", again=True)
        if self._total is not None and self._size > self._total:
            raise Trouble(FeedLies, Fault.WRONG_LENGTH, f"announced {self._total} bytes, and sends {self._size}")

    def _show(self, headers: Headers) -> None:
        self._looked = True
        self._look(bytes(self._buffer.getbuffer()[:LOOK_BYTES]), headers)

    def _too_large(self, what: str) -> Trouble:
        why = f"{what}; the limit is {self._most}"
        return Trouble(FeedError, Fault.TOO_LARGE, why, limit=self._most)


def _unpacking(headers: Headers) -> "_Plain | _Zipped":
    codings = headers.codings
    if not codings:
        return _Plain()
    if len(codings) > 1 or codings[0] not in _CODINGS:
        raise Trouble(FeedLies, Fault.PACKED, f"packs its answer in a way that was not asked for: {codings[:4]}")
    return _Zipped()


class _Plain:
    def pieces(self, chunk: bytes) -> Iterable[bytes]:
        return [chunk]

    def require_end(self) -> None:
        """Nothing is packed: HTTP tells the end."""


class _Zipped:
    """Unpacks a piece at a time, so that what unpacks a thousandfold is seen before it takes memory."""

    def __init__(self) -> None:
        self._members = 1
        self._unpacker = zlib.decompressobj(_GZIP)
        self._begun = False

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        self._begun = self._begun or bool(chunk)
        while chunk:  # a full piece leaves some of it, if only the checksum behind the rest
            if self._unpacker.eof:
                self._next_member()
            try:
                piece = self._unpacker.decompress(chunk, PIECE_BYTES)
            except zlib.error as error:
                raise Trouble(FeedLies, Fault.PACKED, f"packs its answer wrongly: {error}") from None
            chunk = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail
            yield piece

    def require_end(self) -> None:
        """Check that the last member has its end: its checksum was compared then."""
        if self._begun and not self._unpacker.eof:
            raise Trouble(FeedUnavailable, Fault.BROKEN_OFF, "ends before what it packed does", again=True)

    def _next_member(self) -> None:
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise Trouble(FeedLies, Fault.PACKED, f"packs its answer in more than {MOST_MEMBERS} parts")
        self._unpacker = zlib.decompressobj(_GZIP)
