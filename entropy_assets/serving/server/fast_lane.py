"""The hot path inside uvicorn's own HTTP protocol: no task, no scope, no ASGI messages for an answer from memory.

It leans on how `HttpToolsProtocol` of one uvicorn series works inside, so it is tried on a connection of its own at
every start (`lane_check`); where it does not fit, the service runs without it, with the same answers.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from entropy_assets.serving.access.allowances import lines_of
from entropy_assets.serving.answers.hot_path import HotPath, HotRequest, Taken, lines_beside
from entropy_assets.serving.http.problem_answers import failure, log_unforeseen
from entropy_assets.serving.server.bounds import Bounded

_GET: Final = b"GET"


class FastLane(Bounded):
    """uvicorn's protocol with a lane for what `HotPath` answers.

    A request takes the lane only if it is a GET of HTTP/1.1 that keeps the connection, has no body, expects nothing,
    comes when no other is unanswered on its connection, and finds room in the write buffer. All else goes uvicorn's
    way, with all that was read of it.
    """

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], **more: Any) -> None:
        super().__init__(config, server_state, app_state, **more)
        self._hot_path: HotPath = getattr(self.app, "hot_path")  # noqa: B009 - mypy takes it for a function
        self._address = ""
        self._undecided = False
        self._between = True  # two requests: the parser awaits the first byte of one
        self._begins = 0
        self._asked: HotRequest | None = None
        self._common_head = b""
        self._common_of: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""

    def data_received(self, data: bytes) -> None:
        """Answer at once what came before, byte for byte, and read all else."""
        cycle: RequestResponseCycle | None = self.cycle
        if (
            self._between
            and (cycle is None or cycle.response_complete)
            and not self.pipeline
            and self._last_act is None
            and not self.flow.write_paused
            and not self.transport.is_closing()
        ):
            try:  # the parser, which is not asked here, would hand what is raised to `_feed`
                asked = self._hot_path.known(data)
                if asked is not None and (taken := self._hot_path.take(asked, self._address)) is not None:
                    self._reading, self._phase = False, ""
                    self._write(taken)
                    return
            except BaseException as error:
                self._fail(error)
                if not isinstance(error, Exception):
                    raise
                return
            self._begins = 0
            super().data_received(data)
            # one request began in it, and was answered from memory: it was whole, and nothing came behind it
            if self._begins == 1 and self._asked is not None:
                self._hot_path.remember(data, self.headers, self._asked)
            return
        super().data_received(data)

    def _feed(self, data: bytes) -> None:
        try:
            super()._feed(data)
        except httptools.HttpParserCallbackError as error:
            if not self._undecided:  # it was not the answer that failed
                raise
            self._fail(error.__context__ or error)
        if self._undecided:  # its body is to come
            self._leave()

    def _refuse(self) -> None:
        if self._undecided:
            with suppress(httptools.HttpParserError, ValueError):  # an address that is none is refused as well
                self._leave()
        super()._refuse()

    # --- what the parser calls -------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request; what uvicorn prepares for one is made when it turns out to need it."""
        self._begin()
        self._between = False
        self._begins, self._asked = self._begins + 1, None
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Decide whether the request may take the lane."""
        parser = self.parser
        self._undecided = (
            parser.get_method() == _GET
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and parser.get_http_version() == "1.1"
            and not self.expect_100_continue
            and not self._is_busy()
            and not self.pipeline
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )
        if not self._undecided:
            self._go_the_usual_way()

    def on_chunk_header(self) -> None:
        """Take the head of a chunk: such a request goes the usual way, since fields may follow its body."""
        if self._undecided:
            self._leave()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body: such a request goes the usual way."""
        if self._undecided:
            self._leave()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Answer the request if it may take the lane and its answer is in memory."""
        if self._undecided:
            asked = self._hot_path.asked(self.url, self.headers)
            taken = None if asked is None else self._hot_path.take(asked, self._address)
            if taken is not None:
                self._undecided = self._reading = False
                self._between, self._asked = True, asked
                self._write(taken)
                return
            self._leave()
        super().on_message_complete()
        self._between = not self._reading

    def _leave(self) -> None:
        self._undecided = False
        self._go_the_usual_way()

    def _go_the_usual_way(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        super().on_headers_complete()

    def _fail(self, error: BaseException) -> None:
        """Say that the service failed, and close: how much of what came was read, nobody knows now."""
        self._undecided = self._reading = False
        answer = failure(log_unforeseen({"method": "GET"}, error), close=True)
        head = b"HTTP/1.1 500 Internal Server Error\r\n" + lines_of(self.server_state.default_headers)
        self.transport.write(b"".join((head, lines_of(answer.raw_headers), b"\r\n", answer.body)))
        self._end_with(self.transport.close)

    # --- the lane --------------------------------------------------------------------------------------------

    def _write(self, taken: Taken) -> None:
        defaults = self.server_state.default_headers
        if defaults is not self._common_of:  # uvicorn makes a new list each second, with the date
            self._common_of = defaults
            self._common_head = b"HTTP/1.1 200 OK\r\n" + lines_of(defaults)
        self.transport.write(b"".join((self._common_head, taken[1], lines_beside(taken), taken[4])))
        self.server_state.total_requests += 1
