"""The tables of feeds that ask servers. What is taken for granted of a server stands in `DATA.md` 2 of the references.

Credit and licence lines are what their owners ask for. NASA's material is free with credit; its logo is not used, and
nothing is said that sounds like its approval.
"""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from entropy_assets.errors import brought_by
from entropy_assets.sources.feeds.tables import fields
from entropy_assets.sources.feeds.tables.fields import DAY_S, HOUR_S, MIB, Address, Hosts, WebTable

with brought_by("settings"):
    from pydantic import AfterValidator, Field, model_validator

NASA_TERMS: Final = "NASA media usage guidelines: free with credit, no endorsement"
NOAA_TERMS: Final = "NOAA open data: no restrictions on use"
Channel = Literal[
    "0094", "0131", "0171", "0193", "0211", "0304", "0335", "1600", "1700",
    "HMIB", "HMII", "HMID", "HMIBC", "HMIIC", "HMIIF",
]  # fmt: skip
Wavelength = Literal["0094", "0131", "0171", "0193", "0211", "0304", "0335", "1600", "1700", "4500"]


class ServerTable(WebTable):
    """A table of a server whose address is known."""

    base: Address

    @property
    def address(self) -> str:
        """Where the server is."""
        return self.base


class SdoLatestTable(ServerTable):
    """The newest pictures of the Solar Dynamics Observatory: 8-bit JPEG, colourised, one each 15 minutes."""

    kind: Literal["sdo-latest"]
    base: Address = "https://sdo.gsfc.nasa.gov/assets/img/"
    claim: fields.Claim = "sdo-latest"
    instrument: fields.Instrument | None = "SDO AIA and HMI"
    credit: fields.Credit | None = "Courtesy of NASA/SDO and the AIA, EVE, and HMI science teams"
    licence: fields.Licence | None = NASA_TERMS
    cadence_seconds: Annotated[fields.Cadence, Field(ge=900)] = 900
    max_age_seconds: fields.MaxAge | None = 6 * HOUR_S
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=15)] = ("0171",)
    """Wavelengths of AIA in units of .1 nm, and pictures of HMI."""
    size: Literal[512, 1024, 2048, 4096] = 4096
    """Width and height, pixels."""
    times: (
        Annotated[
            str, Field(max_length=500, pattern=r"^[A-Za-z0-9_./-]*\{channel\}[A-Za-z0-9_./-]*$|^[A-Za-z0-9_./-]+$")
        ]
        | None
    ) = None
    """Path of the server's times file below `base`, with {channel} where the channel goes. With it the pictures come
    from the archive of dated ones, as the server advises."""


class JsocAiaTable(ServerTable):
    """Synoptic frames of SDO's AIA: FITS, 1024 x 1024, each pixel the mean of 4 x 4, each 3 minutes."""

    kind: Literal["jsoc-aia"]
    base: Address = "https://jsoc1.stanford.edu/data/aia/synoptic/"
    claim: fields.Claim = "jsoc-aia"
    instrument: fields.Instrument | None = "SDO AIA"
    credit: fields.Credit | None = "Courtesy of NASA/SDO and the AIA, EVE, and HMI science teams"
    licence: fields.Licence | None = NASA_TERMS
    cadence_seconds: Annotated[fields.Cadence, Field(ge=180)] = 900
    max_age_seconds: fields.MaxAge | None = 6 * HOUR_S
    wavelengths: Annotated[tuple[Wavelength, ...], Field(min_length=1, max_length=10)] = ("0193",)
    """Wavelengths in units of .1 nm."""
    folder: Literal["nrt", "mostrecent"] = "nrt"
    """``nrt`` has each frame of the last days, ``mostrecent`` the newest of each wavelength."""


class BucketTable(ServerTable):
    """A bucket on S3 that everybody may list over HTTP."""

    cadence_seconds: Annotated[fields.Cadence, Field(ge=60)] = 900
    endings: fields.Endings = (".fits", ".fits.gz")

    @property
    def dated_prefix(self) -> str:
        """What the keys begin with; times stand in braces."""
        raise NotImplementedError


class PublicBucketTable(BucketTable):
    """Any such bucket."""

    kind: Literal["public-bucket"]
    prefix: fields.DatedPlace
    """What the keys begin with; {year}, {month}, {day}, {yearday} and {hour} are filled in, UTC."""

    @property
    def dated_prefix(self) -> str:
        """What the keys begin with, as told."""
        return self.prefix


class GoesCcor1Table(BucketTable):
    """Level 1a of the coronagraph CCOR-1 on GOES-19: FITS, uncalibrated counts, each 15 minutes."""

    kind: Literal["goes19-ccor1"]
    base: Address = "https://noaa-nesdis-swfo-ccor-1-pds.s3.amazonaws.com/"
    claim: fields.Claim = "goes19-ccor1"
    instrument: fields.Instrument | None = "GOES-19 CCOR-1"
    credit: fields.Credit | None = "NOAA/NESDIS, U.S. Naval Research Laboratory"
    licence: fields.Licence | None = NOAA_TERMS
    max_age_seconds: fields.MaxAge | None = 2 * DAY_S

    @property
    def dated_prefix(self) -> str:
        """The folder of a day."""
        return "SWFO/GOES-19/CCOR-1/ccor1-l1a_science/{year}/{month}/{day}/"


class GoesSuviTable(BucketTable):
    """Level 1b of the ultraviolet imager SUVI on GOES-19: resampled, lossless, each 4 minutes.

    The bucket has each frame as netCDF and as FITS, and FITS is taken. No recipe lists it, so nobody vouches for it and
    its images go where dropped ones do.
    """

    caveat: ClassVar[str] = (
        "its frames are calibrated, and those that are no integers of a converter are refused (unsupported_pixels);"
        " goes19-ccor1 has raw counts"
    )

    kind: Literal["goes19-suvi"]
    base: Address = "https://noaa-goes19.s3.amazonaws.com/"
    claim: fields.Claim = "drop"
    instrument: fields.Instrument | None = "GOES-19 SUVI"
    credit: fields.Credit | None = "NOAA/NESDIS"
    licence: fields.Licence | None = NOAA_TERMS
    max_age_seconds: fields.MaxAge | None = DAY_S
    product: Literal["Fe093", "Fe131", "Fe171", "Fe195", "Fe284", "He303"] = "Fe171"
    """Line of the spectrum."""

    @property
    def dated_prefix(self) -> str:
        """The folder of an hour."""
        return f"SUVI-L1b-{self.product}/{{year}}/{{yearday}}/{{hour}}/"


class EpicTable(ServerTable):
    """Pictures of the whole Earth by EPIC on DSCOVR: 8-bit PNG, colour-processed, 13 to 22 a day."""

    kind: Literal["epic"]
    base: Address = "https://epic.gsfc.nasa.gov/"
    claim: fields.Claim = "epic"
    instrument: fields.Instrument | None = "DSCOVR EPIC"
    credit: fields.Credit | None = "NASA EPIC team"
    licence: fields.Licence | None = NASA_TERMS
    hosts: Hosts = ("epic.gsfc.nasa.gov", "api.nasa.gov")
    cadence_seconds: Annotated[fields.Cadence, Field(ge=600)] = HOUR_S
    max_age_seconds: fields.MaxAge | None = 7 * DAY_S
    collection: Literal["natural", "enhanced"] = "natural"
    """How their colours were made."""
    form: Literal["png", "jpg"] = "png"
    """Container of the pictures."""
    key_env: fields.Variable | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        """The one of the key, if it is named: the listing is then asked of api.nasa.gov."""
        return (self.key_env,) if self.key_env else ()


class NasaImagesTable(ServerTable):
    """The NASA Image and Video Library: edited pictures, an archive and no stream."""

    kind: Literal["nasa-images"]
    base: Address = "https://images-api.nasa.gov/"
    claim: fields.Claim = "nasa-images"
    credit: fields.Credit | None = "NASA"
    licence: fields.Licence | None = NASA_TERMS
    hosts: Hosts = ("images-api.nasa.gov", "images-assets.nasa.gov")
    cadence_seconds: Annotated[fields.Cadence, Field(ge=600)] = 6 * HOUR_S
    query: fields.Line
    """What is searched for."""
    year_start: Annotated[int, Field(ge=1900, le=9999, strict=True)] | None = None
    """The earliest year of the pictures."""


class ApodTable(ServerTable):
    """Astronomy Picture of the Day: edited pictures; those with a copyright are left out."""

    kind: Literal["apod"]
    base: Address = "https://api.nasa.gov/planetary/apod/"
    claim: fields.Claim = "apod"
    credit: fields.Credit | None = "NASA, Astronomy Picture of the Day"
    licence: fields.Licence | None = f"public domain, {NASA_TERMS}"
    hosts: Hosts = ("api.nasa.gov", "apod.nasa.gov")
    cadence_seconds: Annotated[fields.Cadence, Field(ge=HOUR_S)] = 6 * HOUR_S
    max_age_seconds: fields.MaxAge | None = 7 * DAY_S
    key_env: fields.Variable | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        """The one of the key, if it is named; without it NASA's public DEMO_KEY is sent."""
        return (self.key_env,) if self.key_env else ()


class MastTable(ServerTable):
    """Raw frames of the space telescopes by the archive MAST: FITS of 16 bits, 10 to 170 MB each."""

    kind: Literal["mast"]
    base: Address = "https://mast.stsci.edu/api/"
    claim: fields.Claim = "mast-raw"
    credit: fields.Credit | None = "NASA, ESA, STScI; from the Mikulski Archive for Space Telescopes"
    licence: fields.Licence | None = "public domain with credit (MAST)"
    cadence_seconds: Annotated[fields.Cadence, Field(ge=HOUR_S)] = 6 * HOUR_S
    max_files: fields.MaxFiles = 4
    max_file_bytes: fields.MaxFileBytes = 192 * MIB
    collection: Literal["HST", "JWST"] = "HST"
    """The telescope."""
    endings: fields.Endings = ("_raw.fits", "_uncal.fits")
    lookback_days: Annotated[int, Field(ge=1, le=365, strict=True)] = 3
    """How long ago frames may have been released that a look takes, days: what appears there later is not seen."""
    observations: Annotated[tuple[Annotated[str, Field(pattern=r"^[0-9]{1,20}$")], ...], Field(max_length=1000)] = ()
    """Numbers (obsid) of the observations to take; without them all that are newly released."""


class DirectoryTable(WebTable):
    """A folder that a web server lists: the index pages of Apache, nginx and Caddy."""

    kind: Literal["http-directory"]
    url: Annotated[fields.OwnAddress, AfterValidator(fields.with_times)]
    """Address of the folder; {year}, {month}, {day}, {yearday} and {hour} are filled in, UTC. Folders in it are not
    entered: make each a feed."""
    pattern: fields.Pattern = "*.fit*"
    cadence_seconds: Annotated[fields.Cadence, Field(ge=10)] = 300
    from_the_oldest: fields.Flag = False
    """Begin with the oldest file there, not with the newest ones."""
    own_network: fields.Flag = False
    """Whether it is a server of your own network: it may have a private address and speak plain HTTP."""
    ca_file: Annotated[Path, AfterValidator(fields.absolute)] | None = None
    """File of the certificates, in PEM, by which its https is checked instead of the usual authorities: of who signed
    that of a server of your own, or its own."""

    @model_validator(mode="after")
    def _closed_to_readers(self) -> Self:
        if self.url.startswith("http://") and not self.own_network:
            raise ValueError("url begins with http://: use https, or set own_network = true for a server of your own")
        if self.ca_file is not None and self.url.startswith("http://"):
            raise ValueError("url begins with http://, and ca_file is for https")
        if self.own_network and any(set("*:") & set(re.sub(r"^\[.*\]$", "", host)) for host in self.hosts):
            raise ValueError("own_network needs the names of its hosts, without ports and one by one")
        return self

    @property
    def address(self) -> str:
        """Where the folder is."""
        return self.url

    @property
    def is_in_own_network(self) -> bool:
        """Whether its hosts may have private addresses."""
        return self.own_network

    @property
    def trusted_file(self) -> Path | None:
        """The file of certificates, as told."""
        return self.ca_file
