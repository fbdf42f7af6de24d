"""A bad network between a client and the pool's server: it delays, cuts, repeats, freezes, and leads elsewhere."""

import contextlib
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Self

import hiredis

DELAY_S = 0.15
CHUNK = 2**18


class BadNetwork:
    """Forward TCP to ``127.0.0.1:target``, whole requests and whole replies at a time.

    Parameters
    ----------
    target
        Port of the server; may be changed while it runs.
    seed
        Of the choice of what happens to which request.

    Attributes
    ----------
    faults
        What may happen to a script's call, with weights: ``pass``, ``delay``, ``cut before``, ``cut after``,
        ``twice`` (the second reply is swallowed) and ``replay`` (as ``pass``, and once more later).
    happened
        What did.
    sent_again
        Pushes that came a second time from the client itself.
    replaying
        Set when the requests that are to come once more may do so.
    replays_done
        How many of them have.
    """

    def __init__(self, target: int, seed: int = 1) -> None:
        self.target = target
        self.faults: dict[str, int] = {"pass": 1}
        self.happened: Counter[str] = Counter()
        self.sent_again = 0
        self.replaying = threading.Event()
        self.replays_done = 0
        self._seen: set[bytes] = set()
        self._chance = random.Random(seed)
        self._moves = threading.Event()
        self._moves.set()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])

    @property
    def address(self) -> str:
        """Address for a client of the pool."""
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._moves.set()
        self.replaying.set()
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Break every connection."""
        with self._lock:
            for end in self._sockets:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let nothing through meanwhile, and break nothing."""
        self._moves.clear()
        try:
            yield
        finally:
            self._moves.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with (
            client,
            contextlib.suppress(OSError, EOFError),
            socket.create_connection(("127.0.0.1", self.target)) as server,
        ):
            with self._lock:
                self._sockets |= {client, server}
            try:
                while True:
                    self._one(client, server)
            finally:
                with self._lock:
                    self._sockets -= {client, server}

    def _one(self, client: socket.socket, server: socket.socket) -> None:
        """Carry one request, or several that came together, and their replies."""
        request, count = self._read(client)
        fault = self._choose(request)
        if fault == "delay":
            time.sleep(self._chance.random() * DELAY_S)
        if fault == "cut before":
            raise EOFError
        if fault == "replay":
            threading.Thread(target=self._replay, args=(request,), daemon=True).start()
        server.sendall(request)
        if fault == "twice":
            server.sendall(request)
        reply, _ = self._read(server, count)
        if reply.startswith(b"-NOSCRIPT"):
            self._seen.discard(request)  # nothing ran, so it may come again
        if fault == "cut after":
            raise EOFError
        if fault == "twice":
            self._read(server, count)
        client.sendall(reply)

    def _read(self, end: socket.socket, count: int = 1) -> tuple[bytes, int]:
        """Read until `count` messages, or more of them, are whole."""
        reader = hiredis.Reader(replyError=str)
        received, whole = b"", 0
        while whole < count or reader.has_data():
            data = end.recv(CHUNK)
            if not data:
                raise EOFError
            self._moves.wait()
            received += data
            reader.feed(data)
            while reader.gets() is not False:
                whole += 1
        return received, whole

    def _choose(self, request: bytes) -> str:
        """Say what happens to a request; a connection's own greetings pass."""
        if b"EVALSHA" not in request:
            return "pass"
        is_push = b'"hash"' in request
        with self._lock:
            if is_push:
                self.sent_again += request in self._seen
                self._seen.add(request)
            fault = self._chance.choices(list(self.faults), list(self.faults.values()))[0]
            if fault == "replay" and not is_push:
                fault = "pass"
            self.happened[fault] += 1
        return fault

    def _replay(self, request: bytes) -> None:
        self.replaying.wait()
        with contextlib.suppress(OSError, EOFError), socket.create_connection(("127.0.0.1", self.target)) as server:
            server.sendall(request)
            self._read(server)
        self.replays_done += 1


class Link:
    """Forward TCP to ``127.0.0.1:target`` byte by byte, as a replica needs it; once frozen, nothing comes through."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._frozen = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def freeze(self) -> None:
        """Let nothing through any more, what is on its way included."""
        self._frozen.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self._listener.accept()
                other = socket.create_connection(("127.0.0.1", self.target))
                for way in ((one, other), (other, one)):
                    threading.Thread(target=self._pump, args=way, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (data := source.recv(CHUNK)) and not self._frozen.is_set():
                sink.sendall(data)
