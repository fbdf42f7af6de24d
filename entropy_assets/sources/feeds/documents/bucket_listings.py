"""Listings of buckets: the XML of ListObjectsV2 of Amazon S3, as anybody may ask for it.

No document type is read, so there are no entities to unfold, and depth and counts are bounded.
"""

from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

MOST_KEYS: Final = 10_000
"""Most objects of one page; S3 gives 1,000."""
DEEPEST: Final = 8
FIELDS: Final = ("Key", "Size", "ETag", "LastModified")


@dataclass(frozen=True, slots=True)
class BucketObject:
    """An object as a listing tells of it; the size is None if it tells none."""

    key: str
    size: int | None
    etag: str
    modified: str


@dataclass(frozen=True, slots=True)
class BucketPage:
    """One page of a listing, in its order.

    Attributes
    ----------
    objects
        What is in it.
    is_truncated
        Whether it says that more follows.
    """

    objects: tuple[BucketObject, ...]
    is_truncated: bool


def bucket_page(data: bytes) -> BucketPage:
    """Return the page of a listing.

    Raises
    ------
    ValueError
        If it is none.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = reader.open
    parser.EndElementHandler = reader.close
    parser.CharacterDataHandler = reader.text.append
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(f"it is no XML: {error}") from None
    return reader.page()


def _refuse_doctype(*_: object) -> None:
    raise ValueError("it has a document type, whose entities could unfold without end")


class _Reader:
    """Collects what stands in the elements of a listing, whatever their namespace."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self._path: list[str] = []
        self._fields: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._objects: list[BucketObject] = []

    def open(self, name: str, _: object) -> None:
        self._path.append(name.rpartition(" ")[2])
        if len(self._path) > DEEPEST:
            raise ValueError("its elements lie too deep")
        if self._path[0] != "ListBucketResult":
            raise ValueError("it is no listing of a bucket")
        if len(self._path) == 2:
            self._fields = {}
        self.text.clear()

    def close(self, _: str) -> None:
        text = "".join(self.text)
        self.text.clear()
        match self._path:
            case [_, "Contents"]:
                self._keep()
            case [_, "Contents", field] if field in FIELDS:
                self._fields[field] = text
            case [_, field]:
                self._told[field] = text
        self._path.pop()

    def page(self) -> BucketPage:
        return BucketPage(tuple(self._objects), self._told.get("IsTruncated", "").strip() == "true")

    def _keep(self) -> None:
        if len(self._objects) >= MOST_KEYS:
            raise ValueError(f"it has more than {MOST_KEYS} objects")
        key, size = self._fields.get("Key", ""), self._fields.get("Size", "").strip()
        if not key:
            raise ValueError("an object of it has no key")
        known = int(size) if size.isascii() and size.isdigit() and len(size) < 20 else None
        etag, modified = self._fields.get("ETag", ""), self._fields.get("LastModified", "").strip()
        self._objects.append(BucketObject(key, known, etag.strip().strip('"'), modified))
