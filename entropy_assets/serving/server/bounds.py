"""uvicorn's HTTP protocol with bounds on what one connection may hold: bytes of a request, requests in a row, and time.

uvicorn sets none of them: a header that never ends, requests that are sent faster than they are answered, and a
connection that never says anything would cost memory and descriptors for as long as somebody wants.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MOST_REQUEST_BYTES: Final = 2**17
"""Longest request with its headers and body: a browser's cookies for this host may be long, a draw is short."""
REQUEST_S: Final = 15.0
"""Longest time, and twice the shortest, that a connection may need to bring a whole request, or to take the rest of
what was sent when it is to be closed, seconds."""


class Bounded(HttpToolsProtocol):
    """uvicorn's protocol, with bounds."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._reading = True  # a connection that says nothing is one that does not say all
        self._began = False
        self._received = 0
        self._last_state = ""
        self._watch: asyncio.TimerHandle | None = None
        self._answered: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        super().connection_made(transport)
        self._watch = self.loop.call_later(REQUEST_S / 2, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        # uvicorn tells the newest request alone, which may be one that waits behind the one that is being answered
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        HttpToolsProtocol._start_asgi_task(self, cycle, app)

    def data_received(self, data: bytes) -> None:
        """Read what came, and end a connection whose request does not end."""
        self._began = False
        HttpToolsProtocol.data_received(
            self, data
        )  # by name: each `super()` takes half a hundredth of an answer's time
        # how much of a packet belongs to a request that begins in it is not told, and many may end in it
        if self._reading and not self._began:
            self._received += len(data)
            if self._received > MOST_REQUEST_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._begin()
        HttpToolsProtocol.on_message_begin(self)

    def _begin(self) -> None:
        self._reading, self._began, self._received, self._last_state = True, True, 0, ""

    def on_message_complete(self) -> None:
        """End a request."""
        self._reading = False
        HttpToolsProtocol.on_message_complete(self)

    def on_response_complete(self) -> None:
        """Begin the next of the requests that wait; uvicorn would also read more of them."""
        HttpToolsProtocol.on_response_complete(self)
        if self.pipeline:
            self.flow.pause_reading()

    def _look(self) -> None:
        """End the connection if it does the same as at the last look, and that should have come to an end."""
        self._watch = None
        if self.transport.get_protocol() is not self:  # a WebSocket by now, which has limits of its own
            return
        state = "closing" if self.transport.is_closing() else "reading" if self._reading else ""
        if state and state == self._last_state:
            self.transport.abort()
            return
        self._last_state = state
        self._watch = self.loop.call_later(REQUEST_S / 2, self._look)
