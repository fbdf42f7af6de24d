"""``/download/{n}``: more bytes than one draw gives, in pieces, for as long as the client reads.

A download that can't be completed is cut off: its body is shorter than the length that was announced, or lacks its
last chunk, which every HTTP client reports as an error. There is no other way to say so once the first byte is out.
"""

import asyncio
from typing import Annotated, Any, Final, Literal

import orjson
import pybase64 as base64
from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field

from entropy_assets.errors import EntropyAssetsError
from entropy_assets.serving.access.meter import Meter, subject_of
from entropy_assets.serving.answers.formats import NOT_GUESSED, AnswerClass, AnswerKind, headers_of, json_fields
from entropy_assets.serving.answers.mixing import mixed
from entropy_assets.serving.answers.pieces import PIECE_BYTES, Pieces, Seats, first_of
from entropy_assets.serving.http.admission import admitted
from entropy_assets.serving.http.orders import (
    BYTE_HEADERS,
    DRY_PROBLEMS,
    Omitted,
    PlainDigits,
    ResponseTable,
    only,
)
from entropy_assets.serving.problems import problem_schema
from entropy_assets.serving.reservoir.stock import NOTHING, Draw
from entropy_assets.serving.service import RandomService

DownloadFormat = Literal["raw", "ndjson"]
_NDJSON: Final = b"application/x-ndjson"
_DOWNLOAD_CLASS: Final = "`private` comes raw, `public` as lines that name their blocks."
_FORMAT: Final = "`raw` for the class `private`, `ndjson` for `public`; it need not be said."
_RESPONSES: Final[ResponseTable] = {
    200: {
        "description": "Exactly `n` bytes; or lines `{n, encoding, data, class, simulated, blocks}` with `n` in all. "
        "A body that ends early is one that could not be completed.",
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
        "headers": {name: BYTE_HEADERS[name] for name in ("X-Entropy-Class", "X-Entropy-Simulated")},
    },
    422: problem_schema("invalid-request"),
    503: problem_schema(*DRY_PROBLEMS, "too-many-streams"),
}
_HEAD_RESPONSES: Final[ResponseTable] = {200: {"description": "No body."}, 422: {"description": "Not valid."}}


class Download(Response):
    """One download; the pieces are drawn while it is sent.

    Parameters
    ----------
    service
        Where bytes and counts are.
    seats
        How many downloads and streams may run.
    n
        Bytes.
    public
        Whether to send the pool's bytes as lines that name their blocks.
    """

    def __init__(self, service: RandomService, seats: Seats, n: int, public: bool) -> None:
        super().__init__()
        self._service = service
        self._seats = seats
        self._n = n
        self._public = public

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it (ASGI). What goes wrong before the first byte is raised; later the body is cut off."""
        config = self._service.config
        longest, patience_s = config.max_request_bytes, config.streams.patience_s
        reservoir = self._service.reservoirs.of(public=self._public)
        with self._seats.seat(subject_of(scope)):
            meter = await Meter.started(self._service.gate, scope, "stream", min(self._n, PIECE_BYTES))
            sending = _Sending(
                self._service,
                Pieces(reservoir, meter, longest=longest, patience_s=patience_s),
                self._n,
                self._public,
                send,
            )
            whole = False
            try:
                whole = await first_of(sending.send_all(meter), sending.left_by_client(receive), sending.stalled())
            finally:
                if sending.has_begun:
                    self._service.counts.add("downloads_finished" if whole else "downloads_cut")


class _Sending:
    """One download on its way: its head, then piece by piece."""

    def __init__(self, service: RandomService, pieces: Pieces, n: int, public: bool, send: Any) -> None:
        self._idle_s = service.config.streams.idle_s
        self._pieces = pieces
        self._n = n
        self._public = public
        self._send = send
        self._simulated = False
        self._left = n
        self._client_left = False
        self.has_begun = False
        self._counts = service.counts

    async def send_all(self, meter: Meter) -> bool:
        """Send everything; tell whether it could be completed."""
        draw = await self._pieces.next(self._left)
        self._simulated = draw.simulated
        headers = [*_headers(self._n, self._public, draw.simulated), *meter.headers]
        self.has_begun = True
        self._counts.add("downloads_begun")
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        while True:
            self._left -= len(draw.data)
            body = {"type": "http.response.body", "body": self._body(draw), "more_body": self._left > 0}
            sent = False
            try:
                await self._send(body)
                sent = not self._client_left  # what is sent to nobody goes nowhere, without a word
            finally:
                if not sent:
                    self._counts.add("undelivered_bytes", len(draw.data))
            if self._left == 0 or not sent:
                return sent
            await asyncio.sleep(0)  # sending waits for nobody while the buffer has room: let the others go on
            try:
                draw = await self._pieces.next(self._left)
            except EntropyAssetsError:
                return False
            if draw.simulated and not self._simulated and not self._public:
                return False  # the header that would say so is gone already

    def _body(self, draw: Draw) -> bytes:
        if not self._public:
            return mixed(draw.data)
        data = base64.b64encode(draw.data).decode()
        line = {"n": len(draw.data), "encoding": "base64", "data": data, **json_fields(draw, public=True)}
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

    async def left_by_client(self, receive: Any) -> bool:
        """Wait until the client leaves; then it is not whole."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._client_left = True
        return False

    async def stalled(self) -> bool:
        """Wait until nothing more was sent for as long as the limits say; then it is not whole."""
        before = -1
        while before != self._left:
            before = self._left
            await asyncio.sleep(self._idle_s)
        return False


def _headers(n: int, public: bool, simulated: bool) -> list[tuple[bytes, bytes]]:
    draw = NOTHING._replace(simulated=simulated and not public)
    headers = headers_of("raw", None if public else n, draw, AnswerKind(public))
    headers.append((b"accept-ranges", b"none"))  # a part that is asked for again would be other bytes
    return [(b"content-type", _NDJSON), NOT_GUESSED, *headers[1:]] if public else headers


def add_downloads(app: FastAPI, service: RandomService, seats: Seats) -> None:
    """Add ``GET`` and ``HEAD /download/{n}``."""
    limits = Field(ge=1, le=service.config.streams.max_download_bytes)
    count = Path(description="Bytes wanted.")

    @app.get(
        "/download/{n}",
        summary="Draw many bytes",
        tags=["random"],
        responses=_RESPONSES,
        response_class=Response,
        dependencies=[admitted("stream"), only("class", "format")],
    )
    async def download(
        n: Annotated[int, limits, PlainDigits, count],
        answer_class: Annotated[AnswerClass, Query(alias="class", description=_DOWNLOAD_CLASS)] = "private",
        answer_format: Annotated[DownloadFormat | Omitted, Query(alias="format", description=_FORMAT)] = None,
    ) -> Response:
        """Return exactly `n` random bytes that nobody else gets, or a body that ends early."""
        return Download(service, seats, n, _is_public(answer_class, answer_format))

    @app.head(
        "/download/{n}",
        summary="Draw nothing",
        tags=["random"],
        responses=_HEAD_RESPONSES,
        response_class=Response,
        dependencies=[admitted("stream"), only("class", "format")],
    )
    async def download_head(
        request: Request,
        n: Annotated[int, limits, PlainDigits, count],
        answer_class: Annotated[AnswerClass, Query(alias="class", description=_DOWNLOAD_CLASS)] = "private",
        answer_format: Annotated[DownloadFormat | Omitted, Query(alias="format", description=_FORMAT)] = None,
    ) -> Response:
        """Return the headers that GET would give and that do not depend on the bytes. Consumes nothing."""
        meter = await Meter.started(service.gate, request.scope, "stream", 0)
        response = Response()
        response.raw_headers = [*_headers(n, _is_public(answer_class, answer_format), False), *meter.headers]
        return response


def _is_public(answer_class: AnswerClass, answer_format: DownloadFormat | None) -> bool:
    public = answer_class == "public"
    if answer_format not in (None, "ndjson" if public else "raw"):
        message = "the class private comes raw, the class public as ndjson, whose lines name their blocks"
        raise RequestValidationError([{"loc": ("query", "format"), "msg": message}])
    return public
