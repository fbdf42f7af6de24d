"""Keys, and the texts in which they must not be seen."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from entropy_assets.sources.feeds.web.urls import WebUrl
from entropy_assets.stores.file_names import printable

STARS: Final = "***"
"""What stands in a text instead of a key."""
IN_HEADER: Final = "header:"
"""How the name of a secret begins that goes into a header: ``header:Authorization``."""
LEAST_IN_DOCUMENT: Final = 6
"""Shortest key that is looked for in documents and URLs, characters: what is shorter is in every one."""
OURS: Final = frozenset(
    (
        *("accept", "accept-encoding", "connection", "content-length", "content-type", "host", "if-modified-since"),
        *("if-none-match", "if-range", "range", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"),
    )
)
"""Headers by which the reader says what it asks for: no place for a key."""
LONGEST_LINE: Final = 500
"""Longest line of an error, characters."""
LONGEST_WORDS: Final = 160
"""Most of a server's own words in an error, characters."""
_OTHERWISE: Final = MappingProxyType({" ": "+", "/": "\\/", "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': '\\"'})
"""How else a letter is written: in a query, in JSON, on a page."""


class Secrets:
    """The keys of one question. What it prints holds none.

    Parameters
    ----------
    told
        Values by name of a parameter of the query, or of a header after `IN_HEADER`.

    Raises
    ------
    ValueError
        If one can't be sent. It is not repeated.
    """

    def __init__(self, told: Mapping[str, str]) -> None:
        names = {name: name.removeprefix(IN_HEADER) for name in told if name.startswith(IN_HEADER)}
        if not all(_is_token(name) and name.lower() not in OURS for name in names.values()):
            raise ValueError("the name of a header for a key is none that a key may go into")
        if not all(_is_header(told[name]) for name in names):
            raise ValueError("a key that goes into a header holds what no header may; is there a line end in it?")
        self.headers = {names[name]: told[name] for name in names}
        self.parameters = {name: value for name, value in told.items() if name not in names}
        # of `Bearer abc123` a server repeats the second word
        parts = {part for value in told.values() for part in (value, *value.split()) if len(part) >= LEAST_IN_DOCUMENT}
        # one that a file holds ends with a line, and is repeated without it
        values = parts | {form for value in told.values() for form in (value, value.strip()) if form}
        longest_first = sorted(values, key=len, reverse=True)
        self._every = _pattern(longest_first)
        self._long = _pattern([value for value in longest_first if len(value) >= LEAST_IN_DOCUMENT])

    def __bool__(self) -> bool:
        return self._every is not None

    def __repr__(self) -> str:
        return f"Secrets({sorted((*self.headers, *self.parameters))})"

    def hidden(self, text: str) -> str:
        """Return `text` with stars where a key is."""
        return text if self._every is None else self._every.sub(STARS, text)

    def words(self, text: str) -> str:
        """Return a server's own words as they may be shown: printable, few, and without a key."""
        return self.shown(" ".join(text.split()))[:LONGEST_WORDS]

    def shown(self, text: str) -> str:
        """Return a line with a server's words in it as it may be shown: printable, bounded, and without a key."""
        return printable(self.hidden(text))[:LONGEST_LINE]

    def hidden_in_document(self, data: bytes) -> bytes:
        """Return a document with stars where a key is; one that is shorter than `LEAST_IN_DOCUMENT` stays."""
        if self._long is None:
            return data
        # as text in which each byte is a letter, whatever the document is written in
        return self._long.sub(STARS, data.decode("latin-1")).encode("latin-1")

    def sent_with(self, url: WebUrl) -> WebUrl:
        """Return the URL with the keys in its query, instead of what it has under their names.

        Raises
        ------
        ValueError
            If it gets too long.
        """
        return url.without(lambda name, _: name in self.parameters).adding(self.parameters)

    def removed_from(self, url: WebUrl) -> WebUrl:
        """Return the URL without the parameters that hold a key, or stars for one.

        Raises
        ------
        ValueError
            If a key is still in it.
        """
        url = url.without(lambda name, value: value in (self.parameters.get(name), STARS) and name in self.parameters)
        if self._long is not None and self._long.search(str(url)):
            raise ValueError("it holds a key")
        return url


def _pattern(values: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds these values however a URL, JSON or a page writes them, in any case; None if there are none."""
    found = "|".join("".join(map(_written, value)) for value in values)
    return re.compile(found, re.ASCII | re.IGNORECASE) if found else None


def _written(letter: str) -> str:
    """Return what finds one letter, as it is or as an escape."""
    number, encoded = ord(letter), letter.encode("utf-8")
    escaped = "".join(f"%{byte:02x}" for byte in encoded)
    ways = [re.escape(letter), rf"{escaped}|\\u{number:04x}|&#0*{number};|&#x0*{number:x};"]
    if letter in _OTHERWISE:
        ways.append(re.escape(_OTHERWISE[letter]))
    if number > 127:  # as a document has it whose bytes are read one by one
        ways.append(re.escape(encoded.decode("latin-1")))
    return f"(?:{'|'.join(ways)})"


def _is_token(name: str) -> bool:
    return name != "" and name.isascii() and all(letter.isalnum() or letter in "!#$%&'*+-.^_`|~" for letter in name)


def _is_header(value: str) -> bool:
    return value == value.strip() and all("\x20" <= letter <= "\x7e" for letter in value)
