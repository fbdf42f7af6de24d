"""The whole pipeline in one process, without daemon, Redis or HTTP: what ``entropy-assets process`` runs."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict

from entropy_assets.core.advice import advice_on
from entropy_assets.core.arrays import Arrays
from entropy_assets.core.extraction.agreement import NO_CARD, arrays_for
from entropy_assets.errors import FileStillChanging, ImageRejected
from entropy_assets.images.decode import begins_like_an_image
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import DROP
from entropy_assets.settings import Settings
from entropy_assets.stages import assessments, conditioning, extraction, ingest, validation
from entropy_assets.stages.ingest import Progress
from entropy_assets.stages.manifest import Manifest
from entropy_assets.stages.state import sound_ledger
from entropy_assets.stores.batches import Batch
from entropy_assets.stores.file_names import safe_name
from entropy_assets.stores.home import Home
from entropy_assets.stores.inboxes.folder import DropFolder
from entropy_assets.stores.inboxes.origins import OriginStore

NOT_AN_IMAGE: Final = "not_an_image"
_HEAD_BYTES: Final = 8192
"""Begin of a file in which an image's magic number is."""
IMAGE_SUFFIXES: Final = frozenset(
    {
        *(
            ".fits",
            ".fit",
            ".fts",
            ".fz",
            ".gz",
            ".png",
            ".jpg",
            ".jpeg",
            ".jpe",
            ".jp2",
            ".j2k",
            ".jpx",
            ".j2c",
            ".jpc",
        ),
        *(".tif", ".tiff", ".gif", ".bmp", ".webp", ".img", ".raw", ".dng"),
    }
)
"""A file of a folder with one of these is told of as an image even if it is none."""


class ReportedImage(TypedDict):
    """What became of one file; the last three only if its noise was looked at."""

    file: str
    image_sha256: str
    accepted: bool
    reason: str | None
    detail: str | None
    advice: str | None
    credit_bits: int
    samples: int
    min_entropy: float
    batch: str
    live_fraction: NotRequired[float]
    limited_by: NotRequired[str | None]
    noise_sha256: NotRequired[str | None]


class SkippedEntry(TypedDict):
    """An entry of a folder that is no finished image file, and why."""

    file: str
    reason: str
    detail: str


class ReportedBatch(TypedDict):
    """What became of one batch; ``checks`` is `BatchReport.to_row`, ``computed_by`` that of `assessments`."""

    key: str
    blocks: int
    passed: int
    rejected: int
    chain_head: str
    recipe: str
    computed_by: dict[str, int]
    checks: dict[str, Any]


@dataclass(slots=True)
class ProcessReport:
    """What was done, in the words that ``process --json`` prints.

    Attributes
    ----------
    images
        One row per file, in order.
    skipped
        What was passed over.
    batches
        One row per batch, in order.
    timings
        Seconds of wall time by stage.
    """

    images: list[ReportedImage] = field(default_factory=list)
    skipped: list[SkippedEntry] = field(default_factory=list)
    batches: list[ReportedBatch] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def passed_blocks(self) -> int:
        """Blocks that passed, over all batches."""
        return sum(batch["passed"] for batch in self.batches)

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Add the time that the body takes to `stage`."""
        start = time.perf_counter()
        yield
        self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - start


def process(
    paths: Sequence[Path],
    home: Home,
    settings: Settings,
    *,
    source: str = DROP,
    deterministic: bool,
    os_bytes: Callable[[int], bytes],
    progress: Progress = ingest.no_progress,
    origins: OriginStore | None = None,
) -> ProcessReport:
    """Run every file among and directly inside `paths` through the pipeline, in batches, and say what came of each.

    Parameters
    ----------
    home
        Where images, batches and ledger are kept; made if missing.
    source
        Who vouches for the files: a source that the recipe lists, or ``drop`` for nobody.
    deterministic
        Take the nonces from the images and the time as 1970, so that the same images give the same blocks.
    os_bytes
        The operating system's generator; asked once per batch, after its images are fixed.
    origins
        Notes of another installation that say where feeds fetched these images; copied into `home`.

    Raises
    ------
    ExtraMissing, StartFailed
        As `arrays_for`, before anything is read.
    """
    log = logging.getLogger(__name__)
    arrays = arrays_for(settings.arrays, settings.arrays_memory_bytes, lambda error: log.warning(NO_CARD, error))
    home.root.mkdir(parents=True, exist_ok=True)
    report = ProcessReport()
    for group in _groups(_contents(paths, settings, report), settings):
        with report.timing("intake"):
            batch = ingest.open_batch(
                home.batches(),
                home.images(),
                _with_notes(_handed_over(group), home.origins(), origins),
                origins=home.origins(),
                source=source,
                time_ns=0 if deterministic else time.time_ns(),
                os_bytes=b"" if deterministic else os_bytes(32),
                recipe=settings.recipe,
                limits=DecodeLimits(max_file_bytes=settings.max_file_bytes, max_pixels=settings.max_pixels),
            )
        _run(batch, home, settings, report, progress, arrays)
    return report


def _contents(paths: Sequence[Path], settings: Settings, report: ProcessReport) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each file."""
    for path in paths:
        folder = DropFolder(path if path.is_dir() else path.parent, 0.0, settings.max_file_bytes)
        ready, pending = folder.scan(time.time())
        if not path.is_dir():
            ready = [file for file in ready if file.path.name == path.name]
            pending = [file for file in pending if file.name == safe_name(path.name)]
        report.skipped += [{"file": file.name, "reason": file.reason, "detail": file.detail} for file in pending]
        for file in sorted(ready, key=lambda file: file.name):
            try:
                data = folder.read(file)
            except (FileStillChanging, ImageRejected) as error:
                report.skipped.append({"file": file.name, "reason": error.code, "detail": error.message})
                continue
            if path.is_dir() and _is_beside_images(file.path, data):
                report.skipped.append(
                    {"file": file.name, "reason": NOT_AN_IMAGE, "detail": "no image by name or content"}
                )
                continue
            yield file.name, data


def images_in(folder: Path) -> list[Path]:
    """Return the files of `folder` that are images by name or content, by name; hidden ones are left out."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    return [path for path in files if not _is_beside_images(path, _head(path))]


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _is_beside_images(path: Path, data: bytes) -> bool:
    """Tell whether a file of a folder is a note, list or script that lies beside its images."""
    return path.suffix.lower() not in IMAGE_SUFFIXES and not begins_like_an_image(data)


def _groups(contents: Iterable[tuple[str, bytes]], settings: Settings) -> Iterator[list[tuple[str, bytes]]]:
    group: list[tuple[str, bytes]] = []
    total = 0
    for item in contents:
        if group and (len(group) == settings.batch_max_files or total + len(item[1]) > settings.batch_max_bytes):
            yield group
            group, total = [], 0
        group.append(item)
        total += len(item[1])
        del item  # who takes the group lets go of its files
    if group:
        yield group


def _handed_over(group: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a group and let go of each: they would stay in memory while the batch is worked on."""
    group.reverse()
    while group:
        yield group.pop()


def _with_notes(
    contents: Iterable[tuple[str, bytes]], own: OriginStore, others: OriginStore | None
) -> Iterator[tuple[str, bytes]]:
    """Yield the files, after the note of each that `others` have is among our `own`."""
    for name, data in contents:
        image_sha256 = hashlib.sha256(data).hexdigest()
        if others is not None and (origin := others.of(image_sha256)) is not None:
            own.keep(image_sha256, origin)
        yield name, data


def _run(
    batch: Batch, home: Home, settings: Settings, report: ProcessReport, progress: Progress, arrays: Arrays
) -> None:
    limits = batch.intake.limits
    with report.timing("read"):
        ingest.read_images(batch, home.images(), limits, progress)
    with report.timing("extract"):
        ledger, workers = sound_ledger(home), settings.workers
        extraction.extract_noise(
            batch, home.images(), ledger, limits, workers=workers, progress=progress, arrays=arrays
        )
    with report.timing("hash"):
        conditioning.hash_blocks(batch)
        progress("hash", 1, 1)
    with report.timing("validate"):
        validated = validation.validate_blocks(batch)
        progress("validate", 1, 1)
    report.images += _reported_images(batch)
    report.batches.append(_reported_batch(batch, validated))


def _reported_images(batch: Batch) -> Iterator[ReportedImage]:
    noise = {(row.file, row.image_sha256): row for row in assessments.noise_rows(batch)}
    for seen, outcome in zip(Manifest.of(batch).rows, assessments.outcomes(batch), strict=True):
        image: ReportedImage = {
            "file": seen.file,
            "image_sha256": seen.image_sha256,
            "accepted": outcome.accepted,
            "reason": outcome.reason,
            "detail": outcome.detail,
            "advice": advice_on(outcome.reason),
            "credit_bits": 0,
            "samples": 0,
            "min_entropy": 0.0,
            "batch": batch.key,
        }
        if (assessed := noise.get((seen.file, seen.image_sha256))) is not None:
            image |= {
                "credit_bits": assessed.credit_bits,
                "samples": assessed.samples,
                "min_entropy": assessed.min_entropy,
                "live_fraction": assessed.live_fraction,
                "limited_by": assessed.assessment.get("limited_by"),
                "noise_sha256": assessed.noise_sha256,
            }
        yield image


def _reported_batch(batch: Batch, validation: validation.Validation) -> ReportedBatch:
    blocks, released = len(validation.hashed), len(validation.released)
    return {
        "key": batch.key,
        "blocks": blocks,
        "passed": released,
        "rejected": blocks - released,
        "chain_head": validation.hashed.chain_head,
        "recipe": batch.intake.recipe,
        "computed_by": assessments.computed_by(batch),
        "checks": validation.examination.report.to_row(),
    }
