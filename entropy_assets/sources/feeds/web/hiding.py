"""Keys, and the texts in which they must not be seen."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, quote_plus, unquote

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
        values = parts | {value for value in told.values() if value}
        forms = {form for value in values for form in (value, quote(value, safe=""), quote_plus(value))}
        self._forms = sorted(forms, key=len, reverse=True)

    def __bool__(self) -> bool:
        return bool(self._forms)

    def __repr__(self) -> str:
        return f"Secrets({sorted((*self.headers, *self.parameters))})"

    def hidden(self, text: str) -> str:
        """Return `text` with stars where a key is."""
        for form in self._forms:
            text = text.replace(form, STARS)
        return text

    def words(self, text: str) -> str:
        """Return a server's own words as they may be shown: printable, few, and without a key."""
        return self.shown(" ".join(text.split()))[:LONGEST_WORDS]

    def shown(self, text: str) -> str:
        """Return a line with a server's words in it as it may be shown: printable, bounded, and without a key."""
        return printable(self.hidden(text))[:LONGEST_LINE]

    def hidden_in_document(self, data: bytes) -> bytes:
        """Return a document with stars where a key is; one that is shorter than `LEAST_IN_DOCUMENT` stays."""
        for form in self._forms:
            if len(form) >= LEAST_IN_DOCUMENT:
                data = data.replace(form.encode("utf-8"), STARS.encode("ascii"))
        return data

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
        text = str(url)
        if any(form in text or form in unquote(text) for form in self._forms if len(form) >= LEAST_IN_DOCUMENT):
            raise ValueError("it holds a key")
        return url


def _is_token(name: str) -> bool:
    return name != "" and name.isascii() and all(letter.isalnum() or letter in "!#$%&'*+-.^_`|~" for letter in name)


def _is_header(value: str) -> bool:
    return value == value.strip() and all("\x20" <= letter <= "\x7e" for letter in value)
