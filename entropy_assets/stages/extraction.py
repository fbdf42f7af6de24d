"""The noise of a batch: extracted, assessed, and spent once."""

import dataclasses
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from entropy_assets.core.arrays import HOST, Arrays
from entropy_assets.core.conditioning.conditioner import NoiseInput
from entropy_assets.core.credit.assessment import AssessedImage, Assessment, assess_image
from entropy_assets.core.credit.elsewhere.recollection import Recollection
from entropy_assets.core.credit.fresh import explained, remembered, seen_parts, worth_keeping
from entropy_assets.core.credit.patterns import PatternSketch, batch_derating, derated, pattern_sketch_of
from entropy_assets.core.credit.shared_parts import CreditedPart
from entropy_assets.core.credit.sketches import sketch_of, sketches_of
from entropy_assets.core.digests import turned_digests
from entropy_assets.core.extraction.noise import NoiseExtractor, deterministic_nonce, sampling_nonce
from entropy_assets.core.extraction.survey import Survey
from entropy_assets.core.frame import Frame
from entropy_assets.errors import ImageRejected, RejectionReason
from entropy_assets.images.decode import decode
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.recipe import Recipe, recipe_named
from entropy_assets.stages.assessments import AssessmentRow, NoiseRow, memory_row
from entropy_assets.stages.ingest import Progress, no_progress
from entropy_assets.stages.manifest import ImageRow, Manifest, binding_of
from entropy_assets.stores.batches import NOISE, Batch, live_map_of, samples_of
from entropy_assets.stores.images import ImageStore
from entropy_assets.stores.intakes import Intake
from entropy_assets.stores.ledger.frames import SpentFrames
from entropy_assets.stores.ledger.record import Ledger

SAMPLES_IN_FLIGHT: Final = 16 << 20
"""Most pixels times channels of the images that are worked on side by side; a larger one is worked on alone."""


def nonce_of(intake: Intake, image_sha256: str) -> bytes:
    """Return the nonce that orders the regions of one image of the batch, 32 bytes."""
    if intake.deterministic:
        return deterministic_nonce(image_sha256)
    return sampling_nonce(image_sha256, intake.time_ns, bytes.fromhex(intake.os_bytes))


def extract_noise(
    batch: Batch,
    images: ImageStore,
    ledger: Ledger,
    limits: DecodeLimits,
    *,
    workers: int = 1,
    progress: Progress = no_progress,
    arrays: Arrays = HOST,
) -> tuple[NoiseRow, ...]:
    """Extract and assess the noise of every readable image, and spend each image once.

    Each is claimed in a transaction of its own: rejected ones are not claimed, and only one is held in memory. A run
    that ends in between leaves the claims to its batch, whose next run finds them its own and goes on.

    Parameters
    ----------
    workers
        Images looked at side by side, as far as their size allows: all that are begun and not yet spent have at most
        `SAMPLES_IN_FLIGHT` together, or there is only one. They are spent in the order of the manifest whatever
        finishes first.
    arrays
        What surveys and samples them: decoding one image, copying another and computing on a third run side by side.

    Raises
    ------
    BatchError
        If the manifest is missing.
    ClaimRefused
        If the ledger has the batch bound to another intake or manifest.
    """
    manifest = Manifest.of(batch)
    # Before the first image is spent: the images of a batch give blocks for this intake and no other.
    ledger.bind_batch(batch.key, binding_of(batch))
    readable = [row for row in manifest.rows if row.accepted]
    recipe = recipe_named(batch.intake.recipe)

    def keep_and_assess(row: ImageRow, among: Collection[int] | None = None) -> AssessedRow:
        # the bytes of the file are dropped once it is decoded
        frame = decode(images.get(row.image_sha256), source=batch.intake.source, limits=limits, reading=recipe.reading)
        nonce = nonce_of(batch.intake, row.image_sha256)

        def look(placed: Frame) -> AssessedRow:
            survey = _kept_survey(batch, placed, recipe)
            return assess_row(row, frame, nonce, recipe, batch.intake.source, survey, among, placed)

        assessed, computed_by[row.image_sha256] = arrays.computed(frame, look)
        if frame.parts > 1 and assessed.image:
            batch.write_array(live_map_of(frame.image_sha256), assessed.image.noise.survey.verdict)
        if assessed.image is None or among is not None:
            return assessed
        turned = turned_digests(frame.pixels, frame.usable, frame.adc_step, frame.parts)
        return dataclasses.replace(assessed, turned=turned)

    rows: list[NoiseRow] = []
    computed_by: dict[str, str] = {}
    spent: dict[int, tuple[Assessment, PatternSketch]] = {}
    frames = SpentFrames(ledger, recipe.remembered_frames)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for done, assessed in enumerate(_side_by_side(pool, keep_and_assess, readable), 1):
            row, image = _spend(batch, ledger, manifest, rows, assessed), assessed.image
            if row.accepted and assessed.parts:
                found = [frames.recollect(part.sketch) for part in assessed.parts if part.sketch]
                left = beside_earlier(assessed, found, recipe, partial(keep_and_assess, readable[done - 1]))
                row, image = left.row, left.image
                del left
            elif row.accepted and image and assessed.pattern:
                spent[len(rows)] = (image.assessment, assessed.pattern)
            if row.noise_sha256 and image:
                batch.write_array(samples_of(row.image_sha256), image.noise.samples)
            rows.append(row)
            progress("extract", done, len(readable))
            del assessed, image  # its samples would stay in memory while the next image is worked on
    credit_patterns_once(rows, spent, recipe)
    computed = dict(sorted(Counter(computed_by.values()).items()))
    batch.write_json(NOISE, {"rows": [dataclasses.asdict(row) for row in rows], "computed_by": computed})
    return tuple(rows)


def remember_again(batch: Batch, image_sha256: str, images: ImageStore, ledger: Ledger) -> None:
    """Make the sketch of an image again that a batch spent, after a ledger was lost; some recipes keep none.

    Raises
    ------
    ImageMissing, ImageAltered
        If an image is not there any more, or is another one.
    ImageRejected
        If it can't be read.
    BatchError, LedgerError
        If the batch can't be read, or the ledger can't be written.
    """
    recipe = recipe_named(batch.intake.recipe)
    if not recipe.remembered_frames:
        return
    data = images.get(image_sha256)
    frame = decode(data, source=batch.intake.source, limits=batch.intake.limits, reading=recipe.reading)
    frames = SpentFrames(ledger, recipe.remembered_frames)
    for sketch in sketches_of(frame, NoiseExtractor(recipe).survey(frame).split(frame.parts)):
        frames.restore(sketch)


def _side_by_side(
    pool: ThreadPoolExecutor, assess: Callable[[ImageRow], "AssessedRow"], rows: Iterable[ImageRow]
) -> Iterator["AssessedRow"]:
    """Yield ``assess(row)`` in order, several at a time: however many workers wait, memory is that of one large image.

    Results count until they are taken, so a slow image does not let finished ones pile up behind it.
    """
    begun: deque[tuple[int, Future[AssessedRow]]] = deque()
    held = 0
    for row in rows:
        samples = (row.width or 0) * (row.height or 0) * (row.channels or 1)
        while begun and held + samples > SAMPLES_IN_FLIGHT:
            released, future = begun.popleft()
            yield future.result()
            del future
            held -= released
        begun.append((samples, pool.submit(assess, row)))
        held += samples
    while begun:
        yield begun.popleft()[1].result()


@dataclass(frozen=True, slots=True)
class AssessedRow:
    """The noise of one image before it is spent; without an image it was rejected.

    `turned` are the pixel hashes of the same exposure in other orientations, known where it is to be spent.
    """

    row: NoiseRow
    image: AssessedImage | None
    parts: tuple[CreditedPart, ...] = ()
    pattern: PatternSketch | None = None
    turned: tuple[str, ...] = ()


def assess_row(
    row: ImageRow,
    frame: Frame,
    nonce: bytes,
    recipe: Recipe,
    declared_source: str,
    survey: Survey | None = None,
    among: Collection[int] | None = None,
    placed: Frame | None = None,
) -> AssessedRow:
    """Return what the noise of one readable image is worth by itself; nothing is kept or spent.

    Parameters
    ----------
    nonce
        Its sampling nonce.
    declared_source
        Source that was declared for the whole batch.
    survey
        The live-area map of `frame`, if it was made already.
    among
        Parts of the frame that are credited; by default those that are worth most together.
    placed
        As of `assess_image`.
    """
    noise_row, image = _noise_row(row, frame, nonce, recipe, declared_source, survey, among, placed)
    if image is None:
        return AssessedRow(noise_row, None)
    if recipe.remembered_frames:
        parts = image.parts or (CreditedPart(0, sketch_of(frame, image.noise.survey)),)
        return AssessedRow(noise_row, image, parts)
    return AssessedRow(noise_row, image, pattern=pattern_sketch_of(frame, image.noise.survey))


def beside_earlier(
    assessed: AssessedRow,
    recollections: Sequence[Recollection],
    recipe: Recipe,
    again: Callable[[Collection[int]], AssessedRow],
) -> AssessedRow:
    """Return an image with the credit that is left of it beside the frames that were spent before it.

    Parameters
    ----------
    recollections
        What is remembered of each part.
    again
        Assesses the image once more, with some of its parts alone: where an earlier frame shows so much of the others
        that they would cost more than they bring.
    """
    if assessed.image is None:
        return assessed
    seen = seen_parts(assessed.parts, recollections)
    more: AssessmentRow = {"memory": memory_row(seen)}
    kept = worth_keeping(assessed.image.assessment, seen, recipe)
    if len(kept) < len(seen):
        assessed = again(kept)
        seen = [part for part in seen if part.place in kept]
    if assessed.image is None:
        row = dataclasses.replace(assessed.row, assessment={**assessed.row.assessment, **more})
    else:
        left = remembered(assessed.image.assessment, seen, recipe)
        row = _with_credit(assessed.row, left, explained(seen, left.limited_by), more, recipe)
    return dataclasses.replace(assessed, row=row)


def credit_patterns_once(
    rows: list[NoiseRow], spent: Mapping[int, tuple[Assessment, PatternSketch]], recipe: Recipe
) -> None:
    """Take from the credit of each spent image, in `rows`, what it shares with those before it."""
    deratings = batch_derating([sketch for _, sketch in spent.values()])
    for (place, (assessment, _)), derating in zip(spent.items(), deratings, strict=True):
        left = derated(assessment, derating, recipe)
        rows[place] = _with_credit(rows[place], left, derating.explanation, {}, recipe)


def _with_credit(row: NoiseRow, left: Assessment, explanation: str, more: AssessmentRow, recipe: Recipe) -> NoiseRow:
    """Return `row` with the credit that is `left` of it, and why; without it if that is not enough for a digest."""
    row = dataclasses.replace(
        row,
        min_entropy=left.min_entropy,
        credit_bits=left.credit_bits,
        assessment=cast(AssessmentRow, {**left.to_row(), "repeats": explanation, **more}),
    )
    if left.credit_bits >= recipe.min_credit_bits:
        return row
    reason = RejectionReason.NOT_ENOUGH_CREDIT.value
    return dataclasses.replace(row, accepted=False, reason=reason, detail=explanation, credit_bits=0)


def _kept_survey(batch: Batch, frame: Frame, recipe: Recipe) -> Survey | None:
    """Keep the map of the frame's live area for those who ask why; None for a frame too small to have one."""
    try:
        survey = NoiseExtractor(recipe).survey(frame)
    except ImageRejected:
        return None
    batch.write_array(live_map_of(frame.image_sha256), survey.verdict)
    return survey


def _noise_row(
    row: ImageRow,
    frame: Frame,
    nonce: bytes,
    recipe: Recipe,
    declared_source: str,
    survey: Survey | None,
    among: Collection[int] | None,
    placed: Frame | None,
) -> tuple[NoiseRow, AssessedImage | None]:
    identity: dict[str, Any] = {"file": row.file, "image_sha256": row.image_sha256, "nonce": nonce.hex()}
    try:
        image = assess_image(frame, nonce, recipe, survey, declared_source, among, placed)
    except ImageRejected as rejection:
        assessment: AssessmentRow = rejection.data.get("assessment", {})
        return (
            NoiseRow(
                **identity,
                accepted=False,
                reason=rejection.reason.value,
                detail=rejection.message,
                live_fraction=rejection.data.get("live_fraction", 0.0),
                samples=assessment.get("samples", 0),
                min_entropy=assessment.get("min_entropy", 0.0),
                assessment=assessment,
            ),
            None,
        )
    return (
        NoiseRow(
            **identity,
            accepted=True,
            noise_sha256=image.noise.noise_sha256,
            regions=len(image.noise.regions),
            samples=image.assessment.samples,
            min_entropy=image.assessment.min_entropy,
            credit_bits=image.assessment.credit_bits,
            live_fraction=image.noise.survey.live_fraction,
            assessment=cast(AssessmentRow, image.assessment.to_row()),
        ),
        image,
    )


def _spend(
    batch: Batch,
    ledger: Ledger,
    manifest: Manifest,
    before: Sequence[NoiseRow],
    assessed: AssessedRow,
) -> NoiseRow:
    """Claim the image for this batch; an image or pixel content that was used before gets no credit."""
    row, image = assessed.row, assessed.image
    if image is None:
        return row
    if any(other.image_sha256 == row.image_sha256 for other in before if other.accepted):
        return replayed(row, RejectionReason.REPLAYED_FILE, "the same file is in this batch already")
    pixels = next(seen.pixel_sha256 for seen in manifest.rows if seen.image_sha256 == row.image_sha256)
    earlier = ledger.spend_image(row.image_sha256, pixels, batch.key, assessed.turned)
    if earlier is not None:
        same_file = earlier.image_sha256 == row.image_sha256
        reason = RejectionReason.REPLAYED_FILE if same_file else RejectionReason.REPLAYED_PIXELS
        return replayed(row, reason, f"used before, in batch {earlier.batch_key}")
    return row


SPENT_BEFORE: Final = (RejectionReason.REPLAYED_FILE, RejectionReason.REPLAYED_PIXELS)


def replayed(row: NoiseRow, reason: RejectionReason, detail: str) -> NoiseRow:
    """Return `row` without credit, since its image was spent before."""
    return dataclasses.replace(row, accepted=False, reason=reason.value, detail=detail, credit_bits=0)


def credited_inputs(rows: Sequence[NoiseRow], assessed: Sequence[AssessedRow]) -> list[NoiseInput]:
    """Return what conditioning takes of a batch: the noise of the accepted `rows`, with the credit that is left."""
    return [
        dataclasses.replace(noise_input_of(item.image), credit_bits=row.credit_bits)
        for row, item in zip(rows, assessed, strict=True)
        if row.accepted and item.image is not None
    ]


def noise_input_of(image: AssessedImage) -> NoiseInput:
    """Return what conditioning needs to know of an assessed image."""
    return NoiseInput(
        image_sha256=image.noise.image_sha256,
        noise_sha256=image.noise.noise_sha256,
        samples=image.noise.samples,
        credit_bits=image.assessment.credit_bits,
    )
