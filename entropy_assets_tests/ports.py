"""TCP ports for what a test starts."""

import socket
import sys


def free_port() -> int:
    """Give a TCP port on loopback that nobody listens on and nobody else is given, until this process ends.

    It stays bound, so the kernel gives it to nobody who asks for any port: no test beside this one, before the server
    listens or after it was killed. Servers, which ask for it by number, get it; that is so on Linux alone.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        if sys.platform == "linux":
            probe.detach()  # closed with the process
        return port
