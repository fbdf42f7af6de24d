"""Images fetched again from where they came: whether the same bytes are there still.

It proves nothing and disproves nothing: archives move, and calibrate their images anew. So no verdict heeds it. The
same bytes at a public address are what somebody else can fetch too, who has no image of this installation.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Final, Literal

from entropy_assets.sources.feeds.interface import FeedError, Reader
from entropy_assets.sources.feeds.web.faults import Fault

Outcome = Literal["same", "changed", "gone", "no answer", "not asked"]
LONGEST_REASON: Final = 300
"""Longest reason, characters: a server words a part of it."""
NOT_PUBLIC: Final = (
    "only its own host is asked, by https and at a public address, or what the table of its feed allows in sources.toml"
    " of this installation"
)
"""Reason of an image whose server may not be asked."""
_OUTCOMES: Final[Mapping[str, Outcome]] = {
    Fault.MISSING: "gone",
    Fault.EMPTY: "changed",
    Fault.NOT_AN_IMAGE: "changed",
    Fault.BAD_URL: "not asked",
    Fault.HOST_NOT_ALLOWED: "not asked",
    Fault.PRIVATE_ADDRESS: "not asked",
}


@dataclass(frozen=True, slots=True)
class Refetched:
    """What became of one image at its address.

    Attributes
    ----------
    image_sha256, url
        The image, and where it was fetched; empty if no feed brought it.
    outcome
        ``same``: the bytes are those of the image. ``changed``: others are there now. ``gone``: the server says that
        it has none. ``no answer``: it could not be asked to the end. ``not asked``: its address leads to no server
        that may be asked, as that of a camera.
    reason
        Why, in words; empty if it is the same.
    """

    image_sha256: str
    url: str
    outcome: Outcome
    reason: str = ""

    def to_row(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return asdict(self)


def fetched_again(
    images: Iterable[Mapping[str, Any]], reader_of: Callable[[Mapping[str, Any]], Reader | None]
) -> Iterator[Refetched]:
    """Yield what became of each image, each asked for once.

    Parameters
    ----------
    images
        As ``/blocks/{id}`` tells of them; of their fields ``image_sha256`` and ``origin`` are read.
    reader_of
        Gives what asks the server of an origin; None if its URL is no address of one.
    """
    for name, origin in {image["image_sha256"]: image.get("origin") for image in images}.items():
        if not origin:
            yield Refetched(name, "", "not asked", "no feed brought it")
            continue
        url = str(origin["url"])
        if (reader := reader_of(origin)) is None:
            yield Refetched(name, url, "not asked", "its address leads to no server")
        else:
            yield _asked(reader, name, url)


def _asked(reader: Reader, image_sha256: str, url: str) -> Refetched:
    try:
        answer = reader.image(url)
    except FeedError as error:
        outcome = _OUTCOMES.get(str(error.data.get("fault", "")), "no answer")
        reason = NOT_PUBLIC if outcome == "not asked" else error.message[:LONGEST_REASON]
        return Refetched(image_sha256, url, outcome, reason)
    found = sha256(b"" if answer is None else answer.data).hexdigest()
    if found == image_sha256:
        return Refetched(image_sha256, url, "same")
    return Refetched(image_sha256, url, "changed", f"SHA-256 is now {found}")
