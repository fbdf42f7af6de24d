"""Index pages: what Apache, nginx and Caddy write for a folder, and most others in their way.

A page is read as links and the text behind each, in one pass: the parser of the standard library takes minutes for half
a megabyte of comments that never end (CVE-2025-6069), and many an installed Python has that one. Only what lies in
the folder itself is told: links elsewhere, upwards, deeper, or with a query, as the ones that sort, are left out.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from html import unescape
from typing import Final
from urllib.parse import quote, unquote, urljoin, urlsplit

from entropy_assets.sources.feeds.documents.times import iso_time, time_in

MOST_LINKS: Final = 20_000
"""Most links of one page: who has more files keeps them in folders by day."""
LONGEST_TEXT: Final = 400
"""What is looked at behind a link, characters."""
_TIMES: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", re.ASCII), ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d", re.ASCII), ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M")),
    (re.compile(r"\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d", re.ASCII), ("%d-%b-%Y %H:%M",)),
)
_PLAIN: Final = re.compile(r"(?:\./)?(?P<name>[A-Za-z0-9%._~ -]+)", re.ASCII)
"""A link that is a name alone, as nearly all are: it needs no look at where it leads."""
_PIECES: Final = re.compile(r"<(?P<tag>[^<>]{0,4000})>|(?P<text>[^<]+)")
_FIELDS: Final = re.compile(r"""(?<!\S)(?P<name>[A-Za-z-]{1,20})\s?=\s?(?P<value>"[^"]*"|'[^']*'|[^\s"']+)""")
_BYTES: Final = re.compile(r"(?<![\d.:-])(\d{1,15})\s*$", re.ASCII)


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A file that an index page lists.

    Attributes
    ----------
    name
        Its name.
    url
        Where it is, quoted.
    modified
        When it was changed; None if the page does not tell. The page tells no zone: it is taken as UTC.
    size
        Its length, bytes, if the page tells it to the byte.
    told
        What the page tells of time and size, as it is: it changes when the file does.
    """

    name: str
    url: str
    modified: datetime | None
    size: int | None
    told: str


def index_entries(data: bytes, url: str) -> tuple[IndexEntry, ...]:
    """Return the files of the index page that came from `url`, in its order.

    Raises
    ------
    ValueError
        If it is no page with links, or has too many.
    """
    links = _links(data.decode("utf-8", errors="replace"))
    if not links:
        raise ValueError("it is no page with links")
    folder = urlsplit(url)
    base = f"{folder.scheme}://{folder.netloc}{folder.path.rpartition('/')[0]}/"
    found: dict[str, IndexEntry] = {}
    for link in links:
        name = _name_in(link.href, url, base)
        # an icon and a name are two links to one file, and the text stands behind the second
        if name is not None and (name not in found or found[name].modified is None):
            found[name] = _entry(name, f"{base}{quote(name)}", link)
    return tuple(found.values())


def _name_in(href: str, url: str, base: str) -> str | None:
    """Return the name of the file in the folder itself that a link leads to; None if it leads elsewhere."""
    if (plain := _PLAIN.fullmatch(href)) is not None:
        return _file_name(plain["name"])
    try:
        parts = urlsplit(urljoin(url, href))
    except ValueError:
        return None
    place, _, last = f"{parts.scheme}://{parts.netloc}{parts.path}".rpartition("/")
    if parts.query or parts.fragment or unquote(place) != unquote(base.removesuffix("/")):
        return None
    return _file_name(last)


def _file_name(last: str) -> str | None:
    """Return the name in the last part of an address; None if it is none of a file."""
    name = unquote(last, errors="replace")
    return name if name not in ("", ".", "..") and not re.search(r"[/\\\x00-\x1f\x7f]", name) else None


class _Link:
    """A link, and what stands behind it up to the next one."""

    def __init__(self, href: str) -> None:
        self.href = href
        self.time = ""
        self.size = ""
        self._parts: list[str] = []
        self._length = 0

    def add(self, text: str) -> None:
        if self._length < LONGEST_TEXT:
            self._parts.append(text)
            self._length += len(text)

    @property
    def text(self) -> str:
        return " ".join(unescape(" ".join(self._parts)[:LONGEST_TEXT]).split())


def _links(page: str) -> list[_Link]:
    """Return the links of a page, in its order."""
    links: list[_Link] = []
    inside = False
    for piece in _PIECES.finditer(page):
        if piece["tag"] is None:
            if links and not inside:
                links[-1].add(piece["text"])
            continue
        name = piece["tag"].split(maxsplit=1)[0].lower() if piece["tag"].strip() else ""
        told = {match["name"].lower(): match["value"].strip("\"'") for match in _FIELDS.finditer(piece["tag"])}
        if name == "a" and "href" in told:
            if len(links) >= MOST_LINKS:
                raise ValueError(f"more than {MOST_LINKS} links; use folders by day, with {{year}} in the address")
            links.append(_Link(unescape(told["href"]).strip()))
        elif links and name == "time":
            links[-1].time = told.get("datetime", "")
        elif links and "data-size" in told:
            links[-1].size = told["data-size"]
        inside = (inside and name != "/a") or (name == "a" and "href" in told)
    return links


def _entry(name: str, url: str, link: _Link) -> IndexEntry:
    text, modified = link.text, iso_time(link.time) if link.time else None
    for pattern, forms in _TIMES:
        if modified is None and (match := pattern.search(text)) is not None:
            modified, text = time_in(match[0], *forms), text[match.end() :]
    told = link.size if link.size else text
    found = _BYTES.search(told)
    size = int(found[1]) if found is not None and (modified is not None or link.size) else None
    return IndexEntry(name, url, modified, size, f"{link.time} {link.size} {link.text}".strip()[:LONGEST_TEXT])
