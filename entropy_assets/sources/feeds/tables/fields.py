"""What every table of ``sources.toml`` has, and the types of its fields. The texts go into the JSON schema."""

import re
import string
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

from entropy_assets.errors import brought_by
from entropy_assets.stores.blobs.address import require_address
from entropy_assets.stores.blobs.interface import require_blob_name
from entropy_assets.stores.blobs.refusals import StoreAddressInvalid
from entropy_assets.stores.file_names import SHORT_NAME
from entropy_assets.stores.lanes import Lane

with brought_by("settings"):
    from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MIB: Final = 2**20
GIB: Final = 2**30
HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
LONGEST_AGE_S: Final = 3650 * DAY_S
"""Greatest age of images that may be told, seconds: it is taken from the present, and Dagster counts with 32 bits."""
HERE: Final = "here"
"""What stands for the host of feeds that ask no server: folders and cameras of this machine."""
NOT_READ: Final = (".nc", ".nc4", ".cdf", ".h5", ".hdf5", ".hdf", ".he5")
"""Ends of the names of netCDF and HDF5."""
PLACEHOLDERS: Final = frozenset(("year", "month", "day", "yearday", "hour"))
"""What may stand in braces in a place that changes with the time, UTC."""


def _address(text: str) -> str:
    """Return an https address without anything secret; it may be shown wherever it goes."""
    return _without_secrets(text, ("https",))


def _any_address(text: str) -> str:
    return _without_secrets(text, ("http", "https"))


def _without_secrets(text: str, schemes: Collection[str]) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:  # its words repeat the address
        parts = urlsplit("")
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError("an address like https://host/folder/ is wanted")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("an address holds no user, password, key or query: those would be shown with it")
    return text if text.endswith("/") else f"{text}/"


def with_times(text: str) -> str:
    """Return a place whose braces are known, and follow each other from the year on."""
    try:
        names = [name for _, name, form, conversion in string.Formatter().parse(text) if name is not None]
        plain = all(not form and not conversion for _, name, form, conversion in string.Formatter().parse(text) if name)
    except ValueError:
        names, plain = [""], False
    if not plain or not PLACEHOLDERS.issuperset(names):
        raise ValueError(f"only {', '.join(f'{{{name}}}' for name in sorted(PLACEHOLDERS))} may stand in braces")
    if names and (names[0] != "year" or ("hour" in names and not {"day", "yearday"} & set(names))):
        raise ValueError("braces begin with {year}, and {hour} needs {day} or {yearday}")
    if "day" in names and "month" not in names:
        raise ValueError("{day} needs {month}; the day of the year is {yearday}")
    return text


def absolute(path: Path) -> Path:
    """Return a path that means the same wherever a process was started."""
    if "\0" in str(path):
        raise ValueError("a path holds no zero byte")
    try:
        expanded = path.expanduser()
    except RuntimeError:  # nobody is called so, or it isn't known where the home of this user is
        expanded = Path()
    if not expanded.is_absolute():
        raise ValueError("an absolute path is wanted, like /home/me/frames; ~ is your home")
    return expanded


def _host(text: str) -> str:
    name = r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]"
    if re.fullmatch(rf"({name})(:\d{{1,5}})?", text, re.ASCII) is None:
        raise ValueError("a host like images.example.org, *.example.org or images.example.org:8443, in small letters")
    return text


def _ending(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_]*(\.[A-Za-z0-9]{1,8}){1,2}", text) is None:
        raise ValueError("the end of a name like .fits or _raw.fits")
    return readable(text)


def readable(text: str) -> str:
    """Return the end of a name, unless it is that of a container which no image is read from."""
    if text.lower().endswith(NOT_READ):
        raise ValueError(
            "netCDF and HDF5 are not read: convert them by GDAL's gdal_translate -of FITS into a folder, and make that"
            " a feed of kind folder"
        )
    return text


def below_a_store(text: str) -> str:
    """Return the folder of an object store, unless no object can be in it."""
    try:
        if folder := text.strip("/"):
            require_blob_name(folder)
    except ValueError:
        raise ValueError("a folder like frames/{year}/{month} is wanted, with no part that is empty, . or ..") from None
    return text


def _store(text: str) -> str:
    if not text.isprintable():
        raise ValueError("an address has no control characters")
    try:
        return require_address(text)
    except StoreAddressInvalid as error:
        raise ValueError(error.message) from None


FeedName = Annotated[str, Field(pattern=f"^{SHORT_NAME}$", description="Name of the feed.")]
Claim = Annotated[
    str,
    Field(
        pattern=f"^{SHORT_NAME}$",
        description="Source of the recipe that you vouch these images come from, or drop, for which nobody vouches."
        " They go into its inbox.",
    ),
]
Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Instrument = Annotated[Line, Field(description="What takes the images; shown with each block.")]
Credit = Annotated[Line, Field(description="The credit line that must be shown with the images.")]
Licence = Annotated[Line, Field(description="The terms on which they may be used.")]
Cadence = Annotated[int, Field(le=30 * DAY_S, strict=True, description="Time from one look to the next, seconds.")]
Count = Annotated[int, Field(ge=1, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
MaxFiles = Annotated[int, Field(ge=1, le=1000, strict=True, description="Images that one look fetches at most.")]
MaxFileBytes = Annotated[int, Field(ge=1, le=GIB, strict=True, description="Length of the largest image, bytes.")]
MaxBytesPerDay = Annotated[
    int,
    Field(
        ge=1,
        le=2**50,
        strict=True,
        description="Bytes that are read in a day, UTC, after which nothing more is asked for until midnight: of"
        " images, new or not, and of listings. The answer that reaches it is still taken.",
    ),
]
MaxAge = Annotated[
    int,
    Field(
        ge=1,
        le=LONGEST_AGE_S,
        strict=True,
        description="Age of an image above which it is left, and of the newest one above which the feed is stale,"
        " seconds.",
    ),
]
Variable = Annotated[
    str,
    Field(
        pattern=r"^[A-Z_][A-Z0-9_]{0,63}$",
        description="Name of a variable of the environment that holds the key; never the key itself.",
    ),
]
Address = Annotated[
    str,
    AfterValidator(_address),
    Field(max_length=1000, description="Where the server is; another one if you have a mirror of it."),
]
OwnAddress = Annotated[str, AfterValidator(_any_address), Field(max_length=1000)]
DatedPlace = Annotated[str, AfterValidator(with_times), Field(max_length=500)]
Hosts = Annotated[
    tuple[Annotated[str, AfterValidator(_host)], ...],
    Field(max_length=32, description="Every host that may be asked, redirects included."),
]
Endings = Annotated[
    tuple[Annotated[str, AfterValidator(_ending)], ...],
    Field(min_length=1, max_length=16, description="Ends of the names of the files that are taken."),
]
Pattern = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^[^/\x00-\x1f\x7f]*$",
        description="Names of the files that are taken, in letters of any size: * is any text. Others are left.",
    ),
    AfterValidator(readable),
]
StoreAddress = Annotated[str, AfterValidator(_store), Field(max_length=1000)]


class FeedTable(BaseModel):
    """What the table of every kind may say."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    caveat: ClassVar[str] = ""
    """What to know before such a feed is asked, for people; empty for most."""

    enabled: Flag = True
    """Whether it is looked at; `sources fetch` asks it all the same."""
    claim: Claim
    instrument: Instrument | None = None
    credit: Credit | None = None
    licence: Licence | None = None
    lane: Lane | None = None
    """Lane of all files under this claim. Blocks of the public one tell how they were made once they were given out, so
    that everybody can make them again from the images; those of the private one never do. Without it by demand: in the
    one that lacks blocks just then."""
    cadence_seconds: Annotated[Cadence, Field(ge=1)] = HOUR_S
    max_files: MaxFiles = 16
    max_file_bytes: MaxFileBytes = 64 * MIB
    max_bytes_per_day: MaxBytesPerDay = 2 * GIB
    max_age_seconds: MaxAge | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables of the environment that it needs; those that are not set are an error."""
        return ()

    @property
    def needs_own_file(self) -> bool:
        """Whether who can write its file could start any program, or have any variable's value sent to a server."""
        return bool(self.variables)

    @property
    def host(self) -> str:
        """The host that it asks first, without its port: feeds with the same one are asked one after the other."""
        return HERE


class WebTable(FeedTable):
    """What the table of a feed that asks servers may say besides."""

    hosts: Hosts = ()

    @property
    def address(self) -> str:
        """Where it begins to ask."""
        raise NotImplementedError

    @property
    def host(self) -> str:
        """The host of its address."""
        return str(urlsplit(self.address).hostname)

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The hosts that may be asked; that of its address is without its port. An IPv6 address has brackets."""
        return frozenset((*self.hosts, f"[{self.host}]" if ":" in self.host else self.host))

    @property
    def is_in_own_network(self) -> bool:
        """Whether its hosts may have addresses of a private network, and be asked without TLS."""
        return False

    @property
    def trusted_file(self) -> Path | None:
        """File of the certificates by which its servers are checked; None for the usual authorities."""
        return None
