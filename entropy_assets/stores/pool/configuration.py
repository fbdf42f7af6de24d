"""The configuration of a pool's server, as the embedded server gets it and as an operator can take it over.

The two files in ``server/`` are the truth; here they are fitted to the version of a server and to one prefix.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

User = Literal["service", "publisher", "observer"]
USERS: Final[tuple[User, ...]] = ("service", "publisher", "observer")

_FOLDER: Final = Path(__file__).parent / "server"
_SINCE: Final = {"latency-tracking": (7, 0), "enable-debug-command": (7, 0), "enable-module-command": (7, 0)}


def server_configuration(version: tuple[int, int]) -> str:
    """Return ``pool.conf`` without the directives that a server of `version` does not know."""
    lines = (_FOLDER / "pool.conf").read_text(encoding="ascii").splitlines()
    known = (line for line in lines if version >= _SINCE.get(line.split(" ")[0], version))
    return "\n".join(known) + "\n"


def users_configuration(passwords: Mapping[User, str], prefix: str) -> str:
    """Return ``users.conf`` for these passwords, as hashes, and the keys that begin with `prefix`."""
    text = (_FOLDER / "users.conf").read_text(encoding="ascii").replace("~entropy:*", f"~{prefix}:*")
    for user, password in passwords.items():
        text = text.replace(f"{user.upper()}_SHA256", hashlib.sha256(password.encode()).hexdigest())
    return text
