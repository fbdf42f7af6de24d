"""Which hosts a feed may ask and be led to, as its configuration says."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from entropy_assets.sources.feeds.tables.fields import WebTable
from entropy_assets.sources.feeds.web.urls import WebUrl, require_host

_PORT: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Rule:
    host: str
    port: int | None
    below: bool

    @classmethod
    def read(cls, text: str) -> Self:
        parts = _PORT.fullmatch(text.strip())
        if parts is None:
            raise ValueError(f"{text!r} is no host: write one like data.example.org, *.example.org or host:8443")
        host, port = parts["host"], parts["port"]
        if port is not None and not 0 < int(port) < 1 << 16:
            raise ValueError(f"{text!r} has no port between 1 and 65535")
        if below := host.startswith("*."):
            host = host.removeprefix("*.")
            if "." not in host:
                raise ValueError(f"{text!r} would let a feed ask half the world: name a host, or a domain of somebody")
        return cls(require_host(host), None if port is None else int(port), below)

    def has(self, url: WebUrl) -> bool:
        if not (url.has_usual_port if self.port is None else self.port == url.port):
            return False
        return url.host.endswith("." + self.host) if self.below else url.host == self.host


@dataclass(frozen=True, slots=True)
class HostRules:
    """The hosts of one feed.

    Parameters
    ----------
    hosts
        Those that may be asked by https: ``data.example.org``, ``*.example.org`` for all names below that one, or
        ``telescope.example.org:8443``. A name that isn't ASCII is written as DNS has it, ``xn--``.
    plain
        Names among them that may be asked by plain http.
    local
        Names among them that may have addresses of a private network, or of this machine.

    Raises
    ------
    ValueError
        If one is no such name, or is in `plain` or `local` and not in `hosts`.
    """

    hosts: Iterable[str]
    plain: Iterable[str] = ()
    local: Iterable[str] = ()
    _rules: tuple[_Rule, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        hosts = tuple(self.hosts)
        rules = tuple(map(_Rule.read, hosts))
        if not rules:
            raise ValueError("a feed names the hosts that it may ask")
        named = {rule.host for rule in rules if not rule.below}
        for kind in ("plain", "local"):
            names = frozenset(require_host(name) for name in getattr(self, kind))
            if strange := sorted(names - named):
                raise ValueError(f"{strange[0]!r} is in {kind}, and must be among the hosts by that very name")
            object.__setattr__(self, kind, names)
        object.__setattr__(self, "hosts", hosts)
        object.__setattr__(self, "_rules", rules)

    def allows(self, url: WebUrl) -> bool:
        """Tell whether this URL may be asked: its host and port, and its scheme."""
        return (url.scheme == "https" or self.is_plain(url.host)) and any(rule.has(url) for rule in self._rules)

    def is_plain(self, host: str) -> bool:
        """Tell whether this host may be asked by plain http."""
        return host in self.plain

    def is_local(self, host: str) -> bool:
        """Tell whether this host may be in a private network, or this machine."""
        return host in self.local


def rules_of(table: WebTable) -> HostRules:
    """Return the hosts that a feed may ask and be led to, as its table says.

    Raises
    ------
    ValueError
        If its address is none that may be asked for, or one of its hosts is none.
    """
    url = WebUrl.read(table.address)
    hosts = table.allowed_hosts | (frozenset() if url.has_usual_port else {url.authority})
    own = sorted(table.allowed_hosts) if table.is_in_own_network else ()
    return HostRules(sorted(hosts), plain=own, local=own)
