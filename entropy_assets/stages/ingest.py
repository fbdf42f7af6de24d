"""Files into a batch: what came, and what each file is."""

import io
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, brought_by
from entropy_assets.images.decode import decode
from entropy_assets.images.limits import DEFAULT_LIMITS, DecodeLimits
from entropy_assets.recipe import recipe_named
from entropy_assets.stages.manifest import AsItCame, ImageRow, Manifest
from entropy_assets.stores.batches import MANIFEST, Batch, BatchStore, thumbnail_of
from entropy_assets.stores.blobs.together import together
from entropy_assets.stores.images import ImageStore
from entropy_assets.stores.inboxes.origins import OriginStore
from entropy_assets.stores.intakes import Intake, IntakeFile, batch_key
from entropy_assets.stores.lanes import Lane

with brought_by("images"):
    from PIL import Image

THUMBNAIL_SIDE: Final = 128
"""Longest side of a thumbnail, pixels."""
_LEAST_STEP: Final = 4
"""Pixels of an image in a row behind one of its thumbnail, at least: of their mean no sample of noise can be read."""
Progress = Callable[[str, int, int], None]
"""Called with the stage, the items done and the items in all."""


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""


def open_batch(
    store: BatchStore,
    images: ImageStore,
    contents: Iterable[tuple[str, bytes]],
    *,
    key: str | None = None,
    source: str,
    time_ns: int,
    os_bytes: bytes,
    recipe: str,
    limits: DecodeLimits = DEFAULT_LIMITS,
    lane: Lane = "private",
    origins: OriginStore | None = None,
) -> Batch:
    """Keep the images and fix what the batch of them is made of.

    Parameters
    ----------
    contents
        Name and bytes of each file, in the order of the batch; read one by one.
    key
        Name of the batch; by default it is made from `source`, `time_ns` and the files.
    time_ns, os_bytes
        Time of intake and fresh bytes of the operating system; no bytes for a deterministic batch.
    lane
        Which answers its blocks may serve.
    origins
        Where feeds fetched images: what is told there of these is copied into the intake, and so bound with it.

    Raises
    ------
    BatchError
        If the batch is there already and is another one.
    """
    files = tuple(_kept(name, data, images, origins) for name, data in contents)
    listed = [(file.file, file.image_sha256, file.file_bytes) for file in files]
    intake = Intake(
        key=key or batch_key(source, time_ns, listed),
        source=source,
        files=files,
        time_ns=time_ns,
        os_bytes=os_bytes.hex(),
        recipe=recipe,
        max_file_bytes=limits.max_file_bytes,
        max_pixels=limits.max_pixels,
        lane=lane,
    )
    return store.create(intake)


def put_lost(batch: Batch, images: ImageStore, contents: Iterable[tuple[str, bytes]]) -> None:
    """Keep again those images of a batch that were removed while it was made: retention did not know of it yet.

    Retention looks for new batches after it has deleted, and whoever makes a batch for its images after it was made. So
    one of the two sees the other, whatever their order.

    Parameters
    ----------
    contents
        As `open_batch` takes them; read only if one is lost.
    """
    wanted = [file.image_sha256 for file in batch.intake.files]
    if not all(together(images.blobs, images.__contains__, wanted)):
        for _, data in contents:
            images.put(data)


def _kept(name: str, data: bytes, images: ImageStore, origins: OriginStore | None) -> IntakeFile:
    image_sha256 = images.put(data)
    origin = origins.of(image_sha256) if origins else None
    return IntakeFile(file=name, image_sha256=image_sha256, file_bytes=len(data), origin=origin)


def read_images(batch: Batch, images: ImageStore, limits: DecodeLimits, progress: Progress = no_progress) -> Manifest:
    """Decode every file of the batch and keep one row for each: what it is, or why it can't be read.

    A public batch gets a small picture of each as well. A private one reveals nothing, so nobody would be shown it.
    """
    rows = []
    for done, item in enumerate(batch.intake.files, 1):
        row, frame = _seen(item, images, limits, batch.intake)
        rows.append(row)
        thumbnail = thumbnail_of(item.image_sha256)
        if frame is not None and batch.intake.lane == "public" and not batch.has(thumbnail):
            batch.create_picture(thumbnail, small_picture(frame))
        progress("read", done, len(batch.intake.files))
    batch.write_json(MANIFEST, {"rows": [row.told() for row in rows]})
    return Manifest.of(batch)


def image_row(item: IntakeFile, images: ImageStore, limits: DecodeLimits, intake: Intake) -> ImageRow:
    """Return what the file `item` of a batch is by the batch's recipe, or why it can't be read."""
    return _seen(item, images, limits, intake)[0]


def small_picture(frame: Frame) -> bytes:
    """Return a PNG of `frame` for people, stretched between its 1st and 99th percentile; of several images the first.

    Its longest side is `THUMBNAIL_SIDE` pixels, each the mean of 16 pixels of the image or more.
    """
    channels, height, width = frame.pixels.shape
    height //= frame.parts
    step = max(_LEAST_STEP, -(-max(height, width) // THUMBNAIL_SIDE))
    tall, wide = min(step, height), min(step, width)
    rows, columns = height // tall, width // wide
    shown = frame.pixels[: 3 if channels == 3 else 1, : rows * tall, : columns * wide]
    sums = shown.reshape(len(shown), rows, tall, columns, wide).sum(axis=(2, 4), dtype=np.int64)
    low, high = np.quantile(sums, (0.01, 0.99), method="nearest")
    stretched = ((sums.clip(low, high) - low) * 255 // max(1, high - low)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(stretched[0] if len(shown) == 1 else np.moveaxis(stretched, 0, -1)).save(buffer, "png")
    return buffer.getvalue()


def _seen(item: IntakeFile, images: ImageStore, limits: DecodeLimits, intake: Intake) -> tuple[ImageRow, Frame | None]:
    source = intake.source
    as_it_came: AsItCame = {
        "file": item.file,
        "image_sha256": item.image_sha256,
        "file_bytes": item.file_bytes,
        "origin": item.origin,
    }
    reading = recipe_named(intake.recipe).reading
    try:
        frame = decode(images.get(item.image_sha256), source=source, limits=limits, reading=reading)
    except ImageRejected as rejection:
        row = ImageRow(
            **as_it_came, accepted=False, reason=rejection.reason.value, detail=rejection.message, source=source
        )
        return row, None
    channels, height, width = frame.pixels.shape
    row = ImageRow(
        **as_it_came,
        accepted=True,
        detail=frame.part_of_file,
        source=frame.source,
        pixel_sha256=frame.pixel_sha256,
        container=frame.container,
        lossy=frame.lossy,
        width=width,
        height=height,
        channels=channels,
        bit_depth=frame.bit_depth,
        adc_step=frame.adc_step,
        captured_at=frame.captured_at,
        parts=frame.parts if frame.parts > 1 else None,
        selection=frame.selection or None,
    )
    return row, frame
