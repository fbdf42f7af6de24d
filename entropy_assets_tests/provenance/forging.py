"""What a forger tells: an answer in which everything fits together again after a part of it was changed."""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from entropy_assets.core.conditioning.conditioner import Conditioner, NoiseInput
from entropy_assets.core.encoding import plain_sha256
from entropy_assets.core.validation.validator import EntropyValidator
from entropy_assets.recipe import recipe_named
from entropy_assets.stages.manifest import manifest_hash

Told = dict[str, Any]
ZERO_BITS = 9
"""Bits that a forger wants to see at the beginning of a block."""


def by_hash(*files: bytes) -> dict[str, bytes]:
    """Give files by their SHA-256, hex."""
    return {plain_sha256(data).hexdigest(): data for data in files}


def with_its_manifest(told: Told) -> Told:
    """Give a changed answer the manifest hash that its manifest has."""
    return {**told, "manifest_sha256": manifest_hash(told["manifest"])}


def hashed_as_told(told: Told, noise: Mapping[str, NoiseInput]) -> tuple[Conditioner, tuple[Any, ...]]:
    """Give what an answer says of the hashes of its block, believing all of it."""
    inputs = [
        dataclasses.replace(noise[image["image_sha256"]], credit_bits=image["credit_bits"])
        for image in told["images"]
        if image["in_block"]
    ]
    conditioner = Conditioner(recipe_named(told["recipe"]), told["manifest_sha256"], told["timestamp_us"], inputs)
    return conditioner, (told["index"], told["previous_link"], np.array(told["slices"]), told["block_nonce"])


def consistent(told: Told, noise: Mapping[str, NoiseInput]) -> Told:
    """Give a changed answer the block and record that follow from it: hashed as it says, whatever it says."""
    told = copy.deepcopy(told)
    conditioner, place = hashed_as_told(told, noise)
    block = conditioner.condition(*place)
    record = conditioner.record(*place, block)
    for name in ("block_sha256", "block_id", "credit_bits", "link"):
        told[name] = getattr(record, name)
    verdict = EntropyValidator().validate(block)
    told["verdict"] = {**told["verdict"], **verdict, "block_id": record.block_id}
    noise_scores = [min(10.0, 2.5 * image["min_entropy"]) for image in told["images"] if image["in_block"]]
    told["verdict"]["quality"] = min(verdict["score"], *noise_scores)
    return told


def begins_with_zeros(told: Told, noise: Mapping[str, NoiseInput], vary: Callable[[Told, int], Told]) -> Told:
    """Try one answer after the other until its block begins with `ZERO_BITS` zero bits."""
    tries = 0
    while True:
        tried = vary(told, tries)
        conditioner, place = hashed_as_told(tried, noise)
        if int.from_bytes(conditioner.condition(*place)[:2], "big") >> (16 - ZERO_BITS) == 0:
            return consistent(tried, noise)
        tries += 1
