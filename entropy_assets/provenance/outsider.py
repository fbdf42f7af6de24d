"""What an outsider does: makes a public block again from what the service tells of it and the images, nothing else.

No ledger, no batch and nothing of the installation is read or trusted. What the service tells fixes where every image
was sampled and which slices were hashed, so another image, another order or another byte gives another block; the noise
is assessed again, and every slice must hold its credit. What an outsider can't see is whether the images were used once
only, and what images of a batch share: the ledger and the batch show that (`rewalk.rewalk`).
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from entropy_assets.core.conditioning.conditioner import Conditioner, NoiseInput, nonce_of_block
from entropy_assets.core.credit.assessment import assess_image
from entropy_assets.core.extraction.noise import deterministic_nonce, sampling_nonce
from entropy_assets.errors import ChainBroken, EntropyAssetsError, ImageMissing, InputRefused
from entropy_assets.images.decode import decode
from entropy_assets.recipe import Recipe, recipe_named
from entropy_assets.stages.extraction import noise_input_of

_COMPARED: Final = ("block_sha256", "block_id", "credit_bits", "link")
_PIECES: Final = 1 << 20


def make_again(provenance: Mapping[str, Any], image_of: Callable[[str], bytes]) -> bytes:
    """Return the bytes of a block, made from its images.

    Parameters
    ----------
    provenance
        The answer of ``/blocks/{id}``.
    image_of
        Returns the file with this SHA-256, hex.

    Raises
    ------
    ChainBroken
        If the images give another noise, block, credit or link than was told; ``field`` names it.
    ImageMissing
        If an image is not there.
    ImageRejected
        If one can't be decoded, or its noise has no credit.
    InputRefused
        If `provenance` is no such answer.
    """
    try:
        recipe = recipe_named(provenance["recipe"])
        index, timestamp_us = operator.index(provenance["index"]), operator.index(provenance["timestamp_us"])
        inputs = [_noise_of(image, provenance["sampling"], recipe, image_of) for image in provenance["images"]]
        _require_slices(provenance["slices"], inputs, recipe, index)
        plan = np.array(provenance["slices"], np.int64)
        manifest_sha256, seed = provenance["manifest_sha256"], bytes.fromhex(provenance["sampling"]["os_bytes"])
        conditioner = Conditioner(recipe, manifest_sha256, timestamp_us, inputs)
        nonce = nonce_of_block(recipe, seed, manifest_sha256, index)
        block = conditioner.condition(index, provenance["previous_link"], plan, nonce)
        record = conditioner.record(index, provenance["previous_link"], plan, nonce, block)
        for field in _COMPARED:
            if getattr(record, field) != provenance[field]:
                _differs(field, index)
    except EntropyAssetsError:
        raise
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise InputRefused(
            f"this does not tell where a block comes from ({type(error).__name__}: {error}); give the answer of"
            " /blocks/<id> as it is"
        ) from error
    return block


def images_in(folder: Path) -> Callable[[str], bytes]:
    """Return what finds files under `folder` by their SHA-256, whatever they are called.

    The files are read when the first one is asked for, and each again when it is.
    """
    paths: dict[str, Path] = {}

    def image_of(image_sha256: str) -> bytes:
        if not paths:
            paths.update((_digest(path), path) for path in sorted(folder.rglob("*")) if path.is_file())
        if image_sha256 not in paths:
            raise ImageMissing(
                f"no file under {folder} has the SHA-256 {image_sha256}; put the image there and ask again",
                image_sha256=image_sha256,
            )
        return paths[image_sha256].read_bytes()

    return image_of


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECES):
            digest.update(piece)
    return digest.hexdigest()


def _noise_of(
    image: Mapping[str, Any], sampling: Mapping[str, Any], recipe: Recipe, image_of: Callable[[str], bytes]
) -> NoiseInput:
    name = image["image_sha256"]
    data = image_of(name)
    if sha256(data).hexdigest() != name:
        _differs("image_sha256", 0)
    frame = decode(data, source=image["source"])
    assessed = assess_image(frame, _nonce(name, sampling), recipe, submitter=sampling["source"])
    if assessed.noise.noise_sha256 != image["noise_sha256"]:
        _differs("noise_sha256", 0)
    # less may have been credited: what images of a batch share counts once
    if image["credit_bits"] > assessed.assessment.credit_bits:
        _differs("credit_bits", 0)
    return replace(noise_input_of(assessed), credit_bits=image["credit_bits"])


def _nonce(image_sha256: str, sampling: Mapping[str, Any]) -> bytes:
    os_bytes = bytes.fromhex(sampling["os_bytes"])
    return (
        sampling_nonce(image_sha256, sampling["time_ns"], os_bytes) if os_bytes else deterministic_nonce(image_sha256)
    )


def _require_slices(slices: Sequence[Sequence[int]], inputs: Sequence[NoiseInput], recipe: Recipe, index: int) -> None:
    """Raise if a slice lies outside of its image, holds too little credit, or shares a region with another."""
    for position, first, end in slices:
        if not (0 <= position < len(inputs) and 0 <= first < end <= len(inputs[position].samples)):
            _differs("slices", index)
        if inputs[position].credit_of(end - first) < recipe.slice_credit_bits:
            _differs("credit_bits", index)
    ordered = sorted(map(tuple, slices))
    if any(a[0] == b[0] and b[1] < a[2] for a, b in pairwise(ordered)):
        _differs("slices", index)


def _differs(field: str, index: int) -> NoReturn:
    raise ChainBroken(f"the images give another {field} than was told", index=index, field=field)
