"""What an outsider does: makes a public block again from what the service tells of it and the images, nothing else.

No ledger, no batch and nothing of the installation is read or trusted. What follows from the images is made from them
and compared, field by field: the manifest and its hash, the noise and the credit of every image of the batch, which
slices each block hashes, the block itself, its record and its verdict. Nothing that can be computed is believed. What
can't be is listed (`unchecked`), above all the nonces: who makes a batch could have tried many. The ledger shows what
images were used before, and the batch's seed that the nonces belong together (`rewalk.rewalk`).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Final, NoReturn

from entropy_assets.core import encoding
from entropy_assets.core.conditioning.conditioner import Conditioner, NoiseInput, block_plans
from entropy_assets.core.conditioning.hasher import EntropyHasher
from entropy_assets.core.conditioning.records import BlockRecord, chain_genesis
from entropy_assets.core.credit.assessment import Assessment
from entropy_assets.core.credit.patterns import PatternSketch
from entropy_assets.core.credit.sketches import Sketch, sketches_of
from entropy_assets.core.extraction.survey import survey_of
from entropy_assets.core.frame import Frame
from entropy_assets.errors import (
    ChainBroken,
    EntropyAssetsError,
    ImageMissing,
    ImageRejected,
    InputRefused,
    NotRevealed,
    RejectionReason,
)
from entropy_assets.images.decode import decode
from entropy_assets.images.limits import DEFAULT_LIMITS, DecodeLimits
from entropy_assets.provenance.recollections import is_contradicted, told_of_parts
from entropy_assets.provenance.unchecked import SHOWN, Unchecked, after_outsiders_check
from entropy_assets.recipe import DROP, Recipe, recipe_named
from entropy_assets.stages.assessments import NoiseRow
from entropy_assets.stages.extraction import (
    SPENT_BEFORE,
    AssessedRow,
    assess_row,
    beside_earlier,
    credit_patterns_once,
    credited_inputs,
    replayed,
)
from entropy_assets.stages.manifest import ImageRow, manifest_hash
from entropy_assets.stages.validation import verdict_again
from entropy_assets.stages.verdicts import is_same_figure
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets.stores.removals import BatchRemoved

_OF_NOISE: Final = ("image_sha256", "noise_sha256", "samples", "credit_bits", "reason")
_OF_RECORD: Final = ("previous_link", "credit_bits", "block_sha256", "block_id", "link")


@dataclass(frozen=True, slots=True)
class OutsidersBlock:
    """A block that was made again by an outsider.

    Attributes
    ----------
    data
        Its bytes, as the images give them.
    not_checked
        What an outsider has to take on trust.
    """

    data: bytes
    not_checked: tuple[Unchecked, ...]


def make_again(
    told: Mapping[str, Any], images: Mapping[str, bytes], limits: DecodeLimits = DEFAULT_LIMITS
) -> OutsidersBlock:
    """Return a block made from the images of its batch.

    Parameters
    ----------
    told
        The answer of ``/blocks/{id}``.
    images
        Files by their SHA-256, hex: all that the manifest calls readable, and of the others those that there are.
    limits
        What one of them may cost here.

    Raises
    ------
    ChainBroken
        If the images give something else than was told; ``field`` names it.
    ImageMissing
        If files are not there; ``missing`` names them all.
    NotRevealed
        If `told` is the answer of before the block revealed.
    BatchRemoved
        If it is that of after its batch was removed.
    InputRefused
        If `told` is no such answer, or the batch was made under wider limits than `limits`.
    """
    if told.get("revealed") is False:
        raise NotRevealed(f"the service does not tell yet where this block was sampled: {told.get('problem')}")
    if "removed" in told:
        raise BatchRemoved(f"nobody can tell any more where this block comes from: {told.get('problem')}")
    try:
        return _Outsider(told, images, limits).block_again()
    except EntropyAssetsError:
        raise
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InputRefused(
            f"this does not tell where a block comes from ({type(error).__name__}: {error}); give the answer of"
            " /blocks/<id> as it is"
        ) from error


class _Outsider:
    """Follows one answer of the service. What is told is trusted for nothing, not even its types."""

    def __init__(self, told: Mapping[str, Any], images: Mapping[str, bytes], limits: DecodeLimits) -> None:
        self.told = told
        self.images = images
        self.index = _integer(told["index"])
        self.timestamp_us = _integer(told["timestamp_us"])
        self.recipe: Recipe = recipe_named(told["recipe"])
        self.limits = _within(limits, told["limits"])
        self.readable = [row for row in told["manifest"] if row["accepted"]]
        self.refused = [row for row in told["manifest"] if not row["accepted"]]
        self.first_looks: dict[str, tuple[Mapping[str, Any], AssessedRow]] = {}
        self.called_spent: list[str] = []
        self.sketches: dict[str, Sketch | None] = {}

    def block_again(self) -> OutsidersBlock:
        self._require_manifest()
        self._require_files()
        not_there = self._look_at_refused()
        origins = [Origin.read(image["origin"]) for image in self.told["images"] if image.get("origin")]
        rows, inputs = self._noise_again()
        data, record, chain_head = self._condition_again(inputs)
        self._require_record(record, chain_head)
        self._require_verdict(data, record, rows)
        open_questions = after_outsiders_check(
            has_block_nonces=self.recipe.block_nonces,
            chain_is_whole=self.index == 0 or not self.recipe.block_nonces,
            is_last=chain_head is not None,
            called_spent=self.called_spent,
            has_memory=bool(self.recipe.remembered_frames),
            unseen=[*dict.fromkeys(name.partition("/")[0] for name, found in self.sketches.items() if not found)],
            refused=[row["image_sha256"] for row in self.refused],
            not_there=not_there,
            of_origins=bool(origins),
        )
        return OutsidersBlock(data, tuple(open_questions))

    def _require_manifest(self) -> None:
        """Raise unless the manifest has its hash, and says what it says in the one way that a manifest can say it.

        Another spelling would be another hash: something to try until the block pleases.
        """
        if self.told["declared_source"] not in (DROP, *self.recipe.sources):
            self._differs("declared_source")
        for row in self.told["manifest"]:
            encoding.hash_bytes(row["image_sha256"])
            if type(row["accepted"]) is not bool:
                self._differs("manifest", row["image_sha256"])
        if manifest_hash(self.told["manifest"]) != self.told["manifest_sha256"]:
            self._differs("manifest_sha256")
        names = [[row["image_sha256"] for row in rows] for rows in (self.readable, self.told["images"])]
        if names[0] != names[1]:
            self._differs("images")

    def _require_files(self) -> None:
        """Raise unless every readable image is there, before hours are spent on the first ones."""
        missing = {
            image["image_sha256"]: str(image["file"])
            for image in self.told["images"]
            if image["image_sha256"] not in self.images
        }
        if missing:
            named = ", ".join(f"{file} (SHA-256 {name})" for name, file in [*missing.items()][:SHOWN])
            more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
            raise ImageMissing(
                f"{len(missing)} of the {len(self.readable)} images of this batch are missing: {named}{more}; put them"
                " beside the others and ask again",
                missing=missing,
            )

    def _look_at_refused(self) -> list[str]:
        """Return which files that the manifest calls unreadable are not there; raise if another one can be read."""
        for row in self.refused:
            if row["pixel_sha256"] is not None or row["source"] != self.told["declared_source"]:
                self._differs("manifest", row["image_sha256"])
        not_there = []
        for name in dict.fromkeys(row["image_sha256"] for row in self.refused):
            if name not in self.images:
                not_there.append(name)
            elif self._frame(self._file(name)) is not None:
                self._differs("manifest", name)
        return not_there

    def _file(self, image_sha256: str) -> bytes:
        data = self.images[image_sha256]
        if sha256(data).hexdigest() != image_sha256:
            self._differs("image_sha256", image_sha256)
        return data

    def _frame(self, data: bytes) -> Frame | None:
        """Return what a file shows; None if it can't be read."""
        try:
            return decode(data, source=self.told["declared_source"], limits=self.limits, reading=self.recipe.reading)
        except ImageRejected:
            return None

    def _noise_again(self) -> tuple[list[NoiseRow], list[NoiseInput]]:
        """Return what the noise of each readable image is worth in this batch, and what conditioning takes of it."""
        assessed: list[AssessedRow] = []
        rows: list[NoiseRow] = []
        spent: list[int] = []
        in_batch: list[Sketch] = []
        patterns: dict[int, tuple[Assessment, PatternSketch]] = {}
        for place, (seen, image) in enumerate(zip(self.readable, self.told["images"], strict=True)):
            item = self._assess_again(seen, image)
            row = item.row
            if item.image is not None:
                if reason := self._spent_before(seen, image, [self.readable[earlier] for earlier in spent]):
                    row = replayed(row, reason, "")
                else:
                    if item.pattern:
                        patterns[place] = (item.image.assessment, item.pattern)
                    elif item.parts:
                        item = self._beside_earlier(item, seen, image, in_batch)
                        row = item.row
                    spent.append(place)
            assessed.append(item)
            rows.append(row)
        credit_patterns_once(rows, patterns, self.recipe)
        for row, image in zip(rows, self.told["images"], strict=True):
            self._require_same(_OF_NOISE, row, image, row.image_sha256)
            if not is_same_figure(image["memory"], row.assessment.get("memory")):
                self._differs("memory", row.image_sha256)
            if not is_same_figure(image["min_entropy"], row.min_entropy):
                self._differs("min_entropy", row.image_sha256)
        return rows, credited_inputs(rows, assessed)

    def _assess_again(self, seen: Mapping[str, Any], image: Mapping[str, Any]) -> AssessedRow:
        """Return what the noise of an image is worth by itself; copies of it must be told alike and cost nothing."""
        name = seen["image_sha256"]
        if name not in self.first_looks:
            self.first_looks[name] = image, self._look(seen, image)
        first, item = self.first_looks[name]
        for field in ("pixel_sha256", "source"):
            if not first[field] == image[field] == seen[field]:
                self._differs(field, name)
        if first["sampling_nonce"] != image["sampling_nonce"]:
            self._differs("sampling_nonce", name)
        return item

    def _look(
        self, seen: Mapping[str, Any], image: Mapping[str, Any], among: Collection[int] | None = None
    ) -> AssessedRow:
        name = seen["image_sha256"]
        data = self._file(name)
        frame = self._frame(data)
        if frame is None:
            self._differs("manifest", name)
        for field, again in (("pixel_sha256", frame.pixel_sha256), ("source", frame.source)):
            if not again == seen[field] == image[field]:
                self._differs(field, name)
        row = ImageRow(file=str(image["file"]), image_sha256=name, file_bytes=len(data), accepted=True)
        nonce = encoding.hash_bytes(image["sampling_nonce"])
        return assess_row(row, frame, nonce, self.recipe, self.told["declared_source"], among=among)

    def _beside_earlier(
        self, item: AssessedRow, seen: Mapping[str, Any], image: Mapping[str, Any], in_batch: list[Sketch]
    ) -> AssessedRow:
        """Return what is left of an image beside earlier frames, as told; raise if an image speaks against that.

        Its sketches are added to those of the batch.
        """
        sketches = [part.sketch for part in item.parts if part.sketch]
        told = told_of_parts(image["memory"], sketches)
        for sketch, found in zip(sketches, told, strict=True):
            if is_contradicted(found, sketch, in_batch, self._sketch_of):
                self._differs("memory", item.row.image_sha256)
            in_batch.append(sketch)
            self.sketches[sketch.name] = sketch
        return beside_earlier(item, told, self.recipe, partial(self._look, seen, image))

    def _sketch_of(self, name: str) -> Sketch | None:
        """Return the sketch of an earlier frame by its name, None if its file is not here or can't be read."""
        if name not in self.sketches:
            image_sha256 = name.partition("/")[0]
            frame = self._frame(self._file(image_sha256)) if image_sha256 in self.images else None
            found = sketches_of(frame, survey_of(frame, self.recipe).split(frame.parts)) if frame else ()
            self.sketches |= {sketch.name: sketch for sketch in found}
            if frame and name not in self.sketches:
                self._differs("memory", image_sha256)
        return self.sketches.setdefault(name, None)

    def _spent_before(
        self, seen: Mapping[str, Any], image: Mapping[str, Any], spent: Iterable[Mapping[str, Any]]
    ) -> RejectionReason | None:
        """Return why an image that was spent before has no credit: in this batch, or as the ledger is said to know."""
        for earlier in spent:
            if earlier["image_sha256"] == seen["image_sha256"]:
                return RejectionReason.REPLAYED_FILE
            if earlier["pixel_sha256"] == seen["pixel_sha256"]:
                return RejectionReason.REPLAYED_PIXELS
        if image["reason"] in SPENT_BEFORE:
            self.called_spent.append(seen["image_sha256"])
            return RejectionReason(image["reason"])
        return None

    def _condition_again(self, inputs: list[NoiseInput]) -> tuple[bytes, BlockRecord, str | None]:
        """Return the block, its record, and the end of the chain if it can be known."""
        manifest_sha256, nonce = self.told["manifest_sha256"], self.told["block_nonce"]
        plans = block_plans(inputs, self.recipe)
        if not 0 <= self.index < len(plans):
            self._differs("index")
        if bool(nonce) != self.recipe.block_nonces:
            self._differs("block_nonce")
        if not self.recipe.block_nonces:
            blocks, records = EntropyHasher(self.recipe).derive_blocks(inputs, manifest_sha256, self.timestamp_us)
            return blocks[self.index].tobytes(), records[self.index], records[-1].link
        previous = self.told["previous_link"] if self.index else chain_genesis(manifest_sha256, self.recipe)
        conditioner = Conditioner(self.recipe, manifest_sha256, self.timestamp_us, inputs)
        place = (self.index, previous, plans[self.index], nonce)
        data = conditioner.condition(*place)
        record = conditioner.record(*place, data)
        return data, record, record.link if self.index == len(plans) - 1 else None

    def _require_record(self, record: BlockRecord, chain_head: str | None) -> None:
        in_block = [image["in_block"] for image in self.told["images"]]
        again = [image["image_sha256"] in record.image_sha256s and not image["reason"] for image in self.told["images"]]
        if not is_same_figure(in_block, again):
            self._differs("in_block")
        if not is_same_figure(self.told["slices"], record.slices):
            self._differs("slices")
        self._require_same(_OF_RECORD, record, self.told)
        if chain_head not in (None, self.told["chain_head"]):
            self._differs("chain_head")

    def _require_verdict(self, data: bytes, record: BlockRecord, rows: list[NoiseRow]) -> None:
        verdict = verdict_again(data, record, rows)
        for name, again in verdict.items():
            if not is_same_figure(self.told["verdict"][name], again):
                self._differs("verdict", name)
        if not verdict["passed"]:
            self._differs("verdict", "passed")

    def _require_same(self, names: tuple[str, ...], again: Any, told: Mapping[str, Any], of: str = "") -> None:
        for name in names:
            if not is_same_figure(told[name], getattr(again, name)):
                self._differs(name, of)

    def _differs(self, field: str, of: str = "") -> NoReturn:
        where = f" ({of})" if of else ""
        raise ChainBroken(f"the images give another {field} than was told{where}", index=self.index, field=field)


def _within(limits: DecodeLimits, told: Mapping[str, Any]) -> DecodeLimits:
    """Return the limits of the batch.

    Raises
    ------
    InputRefused
        If they are wider than `limits`: what the service tells must not decide what this machine spends.
    """
    of_batch = {name: _integer(told[name]) for name in ("max_file_bytes", "max_pixels")}
    wider = [name for name, value in of_batch.items() if value > getattr(limits, name)]
    if wider:
        settings = " and ".join(f"ENTROPY_{name.upper()}={of_batch[name]}" for name in wider)
        raise InputRefused(
            f"the batch was read under wider limits than are set here; set {settings} if this machine can afford that",
            **of_batch,
        )
    return DecodeLimits(**of_batch)


def _integer(told: object) -> int:
    if type(told) is not int:
        raise TypeError(f"{told!r} is no integer")
    return told
