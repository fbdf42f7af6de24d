"""URLs of feeds: read strictly, quoted as RFC 3986 has it, and the same for the same place.

What a listing or a redirect tells is somebody else's text. Parsers that forgive it disagree on which host it names, so
nothing is forgiven but what honest listings do: spaces, letters beyond ASCII, a bare per cent sign.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import quote, unquote_plus, urlencode, urljoin

from entropy_assets.stores.inboxes.origins import LONGEST

LONGEST_URL: Final = LONGEST
"""Longest URL, characters, once it is quoted: what a note of origin can hold."""
PORTS: Final = {"https": 443, "http": 80}
_PARTS: Final = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?",
    re.ASCII | re.IGNORECASE,
)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.ASCII | re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_ESCAPES: Final = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\\ud800-\udfff]")
_PATH: Final = "/!$&'()*+,;=:@~%"
_QUERY: Final = _PATH + "?"


def require_host(text: str) -> str:
    """Return a host as it is compared: a name in small letters without a dot at its end, or an address.

    An address is in its usual form, of version 6 without brackets. A name that other parsers could take for an
    address (``127.1``, ``0x7f.1``, ``2130706433``) is none.

    Raises
    ------
    ValueError
        If it is none.
    """
    host = text.lower()
    if host.startswith("["):
        if not host.endswith("]") or "%" in host:
            raise ValueError(f"{text!r} is no host")
        return str(ipaddress.IPv6Address(host[1:-1]))
    host = host.removesuffix(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return str(ipaddress.IPv4Address(host))
    if not host.isascii():
        raise ValueError(f"{text!r} is no name as DNS has it: write it in ASCII, xn--")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{text!r} is no host")
    return host


@dataclass(frozen=True, slots=True)
class WebUrl:
    """Where something is: ``https`` or ``http``, with everything quoted, and no fragment.

    Attributes
    ----------
    scheme
        ``https`` or ``http``.
    host
        As `require_host` gives it.
    port
        From 1 to 65535.
    path
        From its slash on, without ``.`` and ``..``.
    query
        Without its question mark; None if there is none.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str | None = None

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the URL that `text` is.

        Raises
        ------
        ValueError
            If it is none that may be asked for. `text` isn't repeated: it may hold a password.
        """
        text = text.strip(" ")
        if _CONTROLS.search(text):
            raise ValueError("the URL holds a control character or a backslash")
        if len(text) > LONGEST_URL:
            raise ValueError(f"the URL is longer than {LONGEST_URL} characters")
        if (parts := _PARTS.fullmatch(text)) is None:
            raise ValueError("this is no URL of the form https://host/path")
        if "@" in parts["authority"]:
            raise ValueError("the URL holds a user's name or password")
        if (authority := _AUTHORITY.fullmatch(parts["authority"])) is None:
            raise ValueError("the URL names no host and port in ASCII")
        scheme = parts["scheme"].lower()
        port = int(authority["port"] or PORTS[scheme])
        if not 0 < port < 1 << 16:
            raise ValueError("the URL has a port that is none")
        host = require_host(authority["host"])
        path = _without_dots(_quoted(parts["path"], _PATH))
        query = None if parts["query"] is None else _quoted(parts["query"], _QUERY)
        return cls(scheme, host, port, path, query)._fitting()

    def led_to(self, location: str) -> Self:
        """Return where a redirect from here leads.

        Raises
        ------
        ValueError
            As `read` does.
        """
        location = location.strip(" ")
        if _CONTROLS.search(location) or len(location) > LONGEST_URL:
            raise ValueError("it leads to what is no URL")
        return self.read(location if _SCHEME.match(location) else urljoin(str(self), location))

    def secured(self) -> Self:
        """Return the same by https, if it is plain http on the usual port."""
        if self.scheme == "http" and self.port == PORTS["http"]:
            return replace(self, scheme="https", port=PORTS["https"])
        return self

    def adding(self, parameters: Mapping[str, str]) -> Self:
        """Return this URL with these parameters at the end of its query.

        Raises
        ------
        ValueError
            If it gets too long.
        """
        if not parameters:
            return self
        added = urlencode(parameters, quote_via=quote, safe="", errors="strict")
        return replace(self, query=f"{self.query}&{added}" if self.query else added)._fitting()

    def without(self, unwanted: Callable[[str, str], bool]) -> Self:
        """Return this URL without the parameters of whose names and values, unquoted, `unwanted` is true."""
        if self.query is None:
            return self
        pairs = self.query.split("&")
        kept = [pair for pair in pairs if not unwanted(*map(unquote_plus, (pair + "=").split("=", 2)[:2]))]
        return self if kept == pairs else replace(self, query="&".join(kept) or None)

    @property
    def origin(self) -> tuple[str, str, int]:
        """What a key is for: scheme, host and port."""
        return self.scheme, self.host, self.port

    @property
    def has_usual_port(self) -> bool:
        """Whether the port is that of its scheme."""
        return self.port == PORTS[self.scheme]

    @property
    def authority(self) -> str:
        """Host and port as the ``Host`` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.has_usual_port else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query, as the request line has them."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    def _fitting(self) -> Self:
        if len(str(self)) > LONGEST_URL:
            raise ValueError(f"the URL is longer than {LONGEST_URL} characters once it is quoted")
        return self


def _quoted(text: str, safe: str) -> str:
    return quote(_ESCAPES.sub("%25", text), safe=safe)


def _without_dots(path: str) -> str:
    """Return `path` without ``.`` and ``..`` (RFC 3986, 5.2.4), however they are quoted; it begins with a slash."""
    kept: list[str] = []
    parts = path.split("/")[1:] or [""]
    for part in parts:
        plain = part.lower().replace("%2e", ".")
        if plain == "..":
            kept = kept[:-1]
        elif plain != ".":
            kept.append(part)
    if parts[-1].lower().replace("%2e", ".") in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
