"""The configuration of a pool's server, as the embedded server gets it and as an operator can take it over.

The files in ``server/`` are the truth; here they are fitted to the version of a server and to one prefix.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

User = Literal["service", "publisher", "observer"]
USERS: Final[tuple[User, ...]] = ("service", "publisher", "observer")

_FOLDER: Final = Path(__file__).parent / "server"
_GRANTS_SINCE: Final = (7, 0)
_SINCE: Final = {"latency-tracking": (7, 0), "enable-debug-command": (7, 0), "enable-module-command": (7, 0)}


def server_configuration(version: tuple[int, int]) -> str:
    """Return ``pool.conf`` without the directives that a server of `version` does not know."""
    lines = (_FOLDER / "pool.conf").read_text(encoding="ascii").splitlines()
    known = (line for line in lines if version >= _SINCE.get(line.split(" ")[0], version))
    return "\n".join(known) + "\n"


def users_configuration(passwords: Mapping[User, str], prefix: str, version: tuple[int, int]) -> str:
    """Return the users for these passwords, as hashes, and the keys that begin with `prefix`.

    From ``users.conf``, or from ``users-6.2.conf`` for a server of a `version` that knows no grants by key and command.
    """
    name = "users.conf" if version >= _GRANTS_SINCE else "users-6.2.conf"
    text = (_FOLDER / name).read_text(encoding="ascii").replace("~entropy:", f"~{prefix}:")
    for user, password in passwords.items():
        text = text.replace(f"{user.upper()}_SHA256", hashlib.sha256(password.encode()).hexdigest())
    return text
