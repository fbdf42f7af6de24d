"""A proxy between a client and the pool's server that can swallow a reply after the server has acted."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class CuttingProxy:
    """Forward TCP to a unix socket; while `cutting`, drop each reply to a script and close the connection."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.cutting = False
        self.cut_replies = 0

    @property
    def url(self) -> str:
        """Address for a client."""
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._socket_path)
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        """Run one connection until either side ends it."""
        script_asked = threading.Event()
        threading.Thread(target=self._ask, args=(client, server, script_asked), daemon=True).start()
        with contextlib.suppress(OSError), client, server:
            while data := server.recv(2**16):
                if self.cutting and script_asked.is_set():
                    self.cut_replies += 1
                    client.shutdown(socket.SHUT_RDWR)  # closing alone says nothing while a thread still reads
                    return
                client.sendall(data)

    @staticmethod
    def _ask(client: socket.socket, server: socket.socket, script_asked: threading.Event) -> None:
        """Pass requests on. The connection's own greetings are never cut, so that a retry gets as far as it can."""
        with contextlib.suppress(OSError):
            while data := client.recv(2**16):
                if b"EVALSHA" in data:
                    script_asked.set()
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
