"""The NASA Image and Video Library: a search, page by page, and of each find its original.

It is an archive whose order nobody promises: a new picture may stand on any page. So each look reads one page, and
after the last one it begins again; what was had is told by its address.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final
from urllib.parse import parse_qs, quote, urlsplit

from entropy_assets.errors import brought_by
from entropy_assets.sources.feeds.documents.answers import AnswerFields, read_json
from entropy_assets.sources.feeds.documents.times import iso_time, stamp
from entropy_assets.sources.feeds.fetching import Clock, ServerFeed, file_name, present, upgraded
from entropy_assets.sources.feeds.interface import Candidate, Discovery, FetchedImage, Reader, WebAnswer
from entropy_assets.sources.feeds.tables.web import NASA_TERMS, NasaImagesTable
from entropy_assets.stores.inboxes.origins import Origin

with brought_by("settings"):
    from pydantic import Field, TypeAdapter

PAGE_SIZE: Final = 100
ESA_TERMS: Final = f"ESA's part CC BY 4.0; else {NASA_TERMS}"
"""Licence of a find whose author names ESA: its credit line is obligatory."""
MOST_PAGES: Final = 100
"""The server gives no page beyond its ten thousandth find."""
ENDINGS: Final = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
"""Of several originals the one whose ending comes first: what is lossless before what is not."""


class _Find(AnswerFields):
    nasa_id: Annotated[str, Field(min_length=1, max_length=300)]
    media_type: str = "image"
    center: Annotated[str, Field(max_length=200)] = ""
    date_created: Annotated[str, Field(max_length=40)] = ""
    secondary_creator: str = ""
    photographer: str = ""


class _Item(AnswerFields):
    data: Annotated[tuple[_Find, ...], Field(max_length=100)] = ()


class _Link(AnswerFields):
    rel: str = ""
    href: str = ""


class _Finds(AnswerFields):
    items: Annotated[tuple[_Item, ...], Field(max_length=1000)] = ()
    links: Annotated[tuple[_Link, ...], Field(max_length=100)] = ()


class _Search(AnswerFields):
    """The answer of ``/search``."""

    collection: _Finds


class _Files(AnswerFields):
    items: Annotated[tuple[_Link, ...], Field(max_length=10_000)] = ()


class _Asset(AnswerFields):
    """The answer of ``/asset/{nasa_id}``."""

    collection: _Files


_SEARCH: Final = TypeAdapter(_Search)
_ASSET: Final = TypeAdapter(_Asset)


class NasaImagesFeed(ServerFeed):
    """See the module."""

    def __init__(self, name: str, table: NasaImagesTable, reader: Reader, clock: Clock = present) -> None:
        super().__init__(name, table, reader, clock)
        self._told = table

    def discover(self, cursor: str) -> Discovery:
        """As `Feed.discover`; the cursor is the number of the page that comes next."""
        page = int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 4 else 1
        query = {"q": self._told.query, "media_type": "image", "page": f"{page}", "page_size": f"{PAGE_SIZE}"}
        if self._told.year_start is not None:
            query["year_start"] = f"{self._told.year_start}"
        found = self.asked(_found, f"{self._told.base}search", query=query)
        following = self._following(found.links, page)
        candidates = [self._candidate(find) for item in found.items for find in item.data if find.media_type == "image"]
        candidates.sort(key=lambda candidate: candidate.dated_at or "")
        return Discovery(candidates if cursor else candidates[-self._told.max_files :], f"{following}")

    def fetch(self, candidate: Candidate, known: Origin | None = None) -> FetchedImage | None:
        """As `Feed.fetch`: the original of a find, whose address is told by the list of its files."""
        files = self.asked(_files, candidate.url)
        original = self._original(files)
        answer = self.reader.image(original, known=known)
        if answer is None:
            return None
        # the note tells where the bytes are; the address of the candidate is that of a list
        return FetchedImage(
            file_name(original), answer.data, replace(self.image(candidate, answer).origin, url=original)
        )

    def _following(self, links: Sequence[_Link], page: int) -> int:
        """Return the number of the next page; after the last one it is the first. The link itself is never followed.

        Raises
        ------
        FeedLies
            If the link to it leads to another host, or not onwards.
        """
        following = next((link.href for link in links if link.rel == "next"), None)
        if following is None or page >= MOST_PAGES:
            return 1
        try:
            place = urlsplit(following)
            told = parse_qs(place.query, max_num_fields=100).get("page", [])
        except ValueError:
            raise self.lies("the link to the next page of its search is no address") from None
        if place.netloc.lower() != urlsplit(self._told.base).netloc:
            raise self.lies(f"the link to the next page of its search leads to another host than {self.host}")
        if told != [f"{page + 1}"]:
            raise self.lies(f"behind page {page} of its search comes page {page + 1}, and it says otherwise")
        return page + 1

    def _candidate(self, find: _Find) -> Candidate:
        created = iso_time(find.date_created)
        author = find.secondary_creator or find.photographer or find.center
        return Candidate(
            url=f"{self._told.base}asset/{quote(find.nasa_id, safe='')}",
            dated_at=None if created is None else stamp(created),
            credit=f"NASA: {author}" if author and "NASA" not in author else author or None,
            licence=ESA_TERMS if re.search(r"\bESA\b", author) else None,
        )

    def _original(self, files: Sequence[_Link]) -> str:
        """Return where the original of a find is.

        Raises
        ------
        FeedLies
            If there is none.
        """
        originals = [file.href for file in files if "~orig." in file.href.rpartition("/")[2]]
        for ending in ENDINGS:
            for href in originals:
                if href.lower().endswith(ending):
                    return _quoted(href)
        raise self.lies("there is no original among the files of a find")


def _found(answer: WebAnswer) -> _Finds:
    return read_json(_SEARCH, answer.data).collection


def _files(answer: WebAnswer) -> Sequence[_Link]:
    return read_json(_ASSET, answer.data).collection.items


def _quoted(href: str) -> str:
    """Return an address with its spaces and other such characters quoted; what is quoted already stays so."""
    return quote(upgraded(href.strip()), safe="/:%~+,;=@!$&'()*?")
