"""The tables of feeds that ask no server of images: folders, object stores, cameras."""

import re
from pathlib import Path, PurePath
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from entropy_assets.errors import brought_by
from entropy_assets.sources.feeds.tables import fields
from entropy_assets.sources.feeds.tables.fields import DAY_S, GIB, MIB, FeedTable

with brought_by("settings"):
    from pydantic import AfterValidator, Field, model_validator

DECODERS: Final = frozenset(
    (
        *("avconv", "cvlc", "ffmpeg", "fswebcam", "gst-launch", "gst-launch-1.0", "mencoder", "motion", "mplayer"),
        *("mpv", "vlc"),
    )
)
"""Programs that give what a video or a picture was decoded to, whatever the sensor gave."""
PICTURES: Final = (".png", ".jpg", ".jpeg", ".jp2", ".webp", ".bmp", ".gif")
"""Ends of the names of pictures, which a recipe never takes for raw frames."""
Argument = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")]
STREAMS: Final = (
    *("rtsp://", "rtsps://", "rtmp://", "rtmps://", "rtp://", "http://", "https://", "udp://", "srt://", "mms://"),
)
"""What the address of a stream begins with."""
WORDS: Final = frozenset(("motion",))
"""Decoders whose names are words of English."""


def _decodes(part: str) -> bool:
    """Tell whether a part of a command names a decoder or a stream, as far as its words tell: against mistakes only.

    A part may be a line for a shell. What is also a word of English counts only where a command begins.
    """
    words = part.lower()
    begins = (re.split(r"[\s=]", line.strip(), maxsplit=1)[0] for line in re.split(r"[;|&()`\n]", words))
    others = (word for word in re.split(r"[\s;|&()`<>=,:'\"$]+", words) if _program(word) not in WORDS)
    return any(scheme in words for scheme in STREAMS) or any(_program(word) in DECODERS for word in (*begins, *others))


def _program(word: str) -> str:
    """Return the name of a program without its folders, and without a version behind it."""
    name = PurePath(word.strip("'\"")).name
    return name if name in DECODERS else re.sub(r"([-_.]?[0-9][0-9._-]*)?(\.exe)?$", "", name)


class FolderTable(FeedTable):
    """A folder that something else fills, as the software of a telescope does. Its files are copied, never touched."""

    kind: Literal["folder"]
    path: Annotated[Path, AfterValidator(fields.absolute)]
    """The folder."""
    pattern: fields.Pattern = "*.fit*"
    depth: Annotated[int, Field(ge=0, le=8, strict=True)] = 0
    """How many folders deep its files may lie; 0 is the folder alone."""
    settle_seconds: Annotated[float, Field(ge=0, le=DAY_S, strict=True)] = 10.0
    """How long a file must not have changed, seconds."""
    cadence_seconds: Annotated[fields.Cadence, Field(ge=1)] = 10
    max_bytes_per_day: fields.MaxBytesPerDay = 100 * GIB
    from_the_oldest: fields.Flag = False
    """Begin with the oldest file there, not with the newest ones."""


class ObjectStoreTable(FeedTable):
    """A prefix of an object store; its credentials are those of its own tools, by the environment."""

    kind: Literal["object-store"]
    url: fields.StoreAddress
    """Its address: s3://bucket/prefix, gs:// or az://."""
    folder: Annotated[fields.DatedPlace, AfterValidator(fields.below_a_store)] = ""
    """Folder below it; {year}, {month}, {day}, {yearday} and {hour} are filled in, UTC."""
    pattern: fields.Pattern = "*.fit*"
    cadence_seconds: Annotated[fields.Cadence, Field(ge=10)] = 60
    from_the_oldest: fields.Flag = False
    """Begin with the oldest object there, not with the newest ones."""

    @property
    def host(self) -> str:
        """The bucket."""
        return urlsplit(self.url).netloc


class CommandTable(FeedTable):
    """A camera that a program reads: V4L2, INDI, gphoto2, RTSP. The program is run without a shell, once an image."""

    kind: Literal["command"]
    command: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=200)]
    """The program and its arguments, a string each. {file} is where it shall write; without it, it writes to its
    standard output."""
    frames: Literal["raw", "decoded"]
    """``raw`` if these are the codes of the sensor; ``decoded`` if a video or a picture was unpacked, whose noise is
    what a lossy coder left. Then the claim must be that of pictures."""
    output: Literal["file", "pixels"] = "file"
    """``file`` if it writes a FITS, TIFF or raw file of a camera; ``pixels`` if bare pixels, row by row."""
    ending: Annotated[str, Field(pattern=r"^(\.[a-z0-9]{1,8}){1,2}$"), AfterValidator(fields.readable)] = ".fits"
    """End of the name of what it writes."""
    width: Annotated[fields.Count, Field(le=65_535)] | None = None
    """Of bare pixels: pixels of a row."""
    height: Annotated[fields.Count, Field(le=65_535)] | None = None
    """Of bare pixels: rows."""
    bits: Literal[8, 16] = 16
    """Of bare pixels: width of one, bits; 16 are little-endian."""
    timeout_seconds: Annotated[float, Field(gt=0, le=3600, strict=True)] = 60.0
    """Time after which it is ended, seconds."""
    variables_env: Annotated[tuple[fields.Variable, ...], Field(max_length=32)] = ()
    """Names of variables of the environment that it may see. It sees no other, but PATH and HOME."""
    cadence_seconds: Annotated[fields.Cadence, Field(ge=1)] = 60
    max_files: Annotated[fields.MaxFiles, Field(le=100)] = 1
    max_file_bytes: fields.MaxFileBytes = 128 * MIB
    max_bytes_per_day: fields.MaxBytesPerDay = 100 * GIB

    @model_validator(mode="after")
    def _says_what_it_is(self) -> Self:
        if self.frames == "raw" and any(map(_decodes, self.command)):
            raise ValueError('command decodes a stream: say frames = "decoded" and claim what pictures are worth')
        if any(re.search(r"://[^/\s'\"]*@", part) for part in self.command):
            raise ValueError("command shows a user and a password, which are seen by all: let it read a variable")
        if self.frames == "decoded" and not (self.bits == 8 if self.output == "pixels" else self.ending in PICTURES):
            raise ValueError(f"decoded frames are 8-bit pixels, or a file whose ending is one of {', '.join(PICTURES)}")
        if self.output == "pixels" and (self.width is None or self.height is None):
            raise ValueError("bare pixels need width and height")
        return self

    @property
    def needs_own_file(self) -> bool:
        """It has a program started for each image."""
        return True

    @property
    def variables(self) -> tuple[str, ...]:
        """Those that the program may see."""
        return self.variables_env


class SimulatedTable(FeedTable):
    """The simulated camera: its noise is the operating system's, and nothing of it is from space."""

    kind: Literal["simulated"]
    claim: Literal["simulated"] = "simulated"
    instrument: fields.Instrument | None = "simulated camera"
    cadence_seconds: Annotated[fields.Cadence, Field(ge=1)] = 60
    max_files: Annotated[fields.MaxFiles, Field(le=64)] = 4
    width: Annotated[fields.Count, Field(ge=32, le=4096)] = 512
    """Pixels of a row."""
    height: Annotated[fields.Count, Field(ge=32, le=4096)] = 512
    """Rows."""
