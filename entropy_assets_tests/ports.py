"""TCP ports for what a test starts."""

import socket


def free_port() -> int:
    """Give a TCP port on loopback that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
