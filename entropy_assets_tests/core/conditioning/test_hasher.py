"""Blocks are what the page says, hold no more than their credit, and can be made again.

``vectors/hashing.json`` was printed by the second implementation below, which shares nothing with the package:
``python -m entropy_assets_tests.core.conditioning.test_hasher > entropy_assets_tests/vectors/hashing.json``.
"""

import hashlib
import json
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.conditioning.conditioner import NoiseInput, slices_of
from entropy_assets.core.conditioning.hasher import EntropyHasher, timestamp_us_of, verify_batch, xor_bytes
from entropy_assets.core.conditioning.records import block_id_of, chain_genesis
from entropy_assets.errors import ChainBroken, InputRefused
from entropy_assets.recipe import STANDARD, Recipe

VECTORS = Path(__file__).parents[2] / "vectors" / "hashing.json"
MANIFEST = "ab" * 32
NOON = 1_700_000_000_000_000


# ------------------------------------------------------------------------------------------ the second implementation


def field(value):
    return struct.pack(">Q", len(value)) + value


def number(value):
    return field(struct.pack(">Q", value))


def sha(domain, *parts):
    return hashlib.sha256(field(domain.encode()) + b"".join(parts)).digest()


def second_mix(recipe, parts, previous, timestamp_us, rounds):
    listed = number(len(parts)) + b"".join(map(field, parts))
    seal = blake3(field(b"entropy-assets/mix-seal/1") + listed).digest()
    digest = b""
    for turn in range(rounds):
        head = field(recipe.encode()) + field(previous) + number(timestamp_us) + number(turn) + field(digest)
        digest = sha("entropy-assets/mix/1", head, field(seal), listed)
    return digest


def second_block(recipe, previous, timestamp_us, manifest, index, slices):
    """Make a block of `slices`: tuples of image hash, noise hash, first region, end region, raw bytes."""
    context = field(recipe.encode()) + field(bytes.fromhex(previous)) + number(timestamp_us)
    context += field(bytes.fromhex(manifest)) + number(index)
    listed = number(len(slices)) + b"".join(field(raw) for *_, raw in slices)
    seals = blake3(field(b"entropy-assets/seals/1") + context + listed).digest(length=32 * len(slices))
    return context, b"".join(
        sha(
            "entropy-assets/digest/1",
            context,
            *(field(bytes.fromhex(name)) for name in (image, noise)),
            *map(number, (j, first, end)),
            field(seals[32 * j : 32 * j + 32]),
            field(raw),
        )
        for j, (image, noise, first, end, raw) in enumerate(slices)
    )


def second_link(context, block, credit_bits, shortest, images, table):
    named = b"".join(field(bytes.fromhex(name)) for pair in images for name in pair)
    return sha(
        "entropy-assets/link/1",
        context,
        field(hashlib.sha256(block).digest()),
        number(credit_bits) + number(shortest) + number(len(images)) + named,
        field(b"".join(struct.pack(">3Q", *row) for row in table)),
    ).hex()


def second_block_id(block_sha256):
    digits = list(sha("entropy-assets/block-id/1", field(bytes.fromhex(block_sha256)))[:16].hex())
    digits[12], digits[16] = "8", "89ab"[int(digits[16], 16) & 3]
    text = "".join(digits)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


SMALL = Recipe(name="vector-1", block_len=128)
LENGTHS = (1, 31, 32, 33, 55, 56, 63, 64, 65, 119, 120, 1023, 1024, 1025, 2048, 2049, 16385)


def pattern(name, size):
    return hashlib.shake_256(name.encode()).digest(size)


def noise_of(name, regions, row_len, credit_bits):
    samples = np.frombuffer(pattern(name, regions * row_len), np.uint8).reshape(regions, row_len)
    hashes = [hashlib.sha256(f"{kind} of {name}".encode()).hexdigest() for kind in ("image", "noise")]
    return NoiseInput(*hashes, samples, credit_bits)


def second_batch(inputs, recipe, manifest, timestamp_us):
    """Make the batch of `inputs` with exact fractions for the order and plain slicing for the bytes."""
    order = []
    for at, noise in enumerate(inputs):
        n = len(noise.samples)
        size = next(r for r in range(1, n + 1) if noise.credit_bits * r // n >= recipe.slice_credit_bits)
        count = n // size
        order += [(Fraction(2 * i + 1, 2 * count), at, i * size, (i + 1) * size) for i in range(count)]
    order.sort()
    per_block = recipe.block_len // 32
    link = sha("entropy-assets/genesis/1", field(recipe.name.encode()), field(bytes.fromhex(manifest))).hex()
    made = []
    for index in range(len(order) // per_block):
        part = [row[1:] for row in order[index * per_block : (index + 1) * per_block]]
        slices = [
            (inputs[at].image_sha256, inputs[at].noise_sha256, a, b, inputs[at].samples[a:b].tobytes())
            for at, a, b in part
        ]
        context, block = second_block(recipe.name, link, timestamp_us, manifest, index, slices)
        used = sorted({at for at, _, _ in part})
        credit = sum(inputs[at].credit_bits * (b - a) // len(inputs[at].samples) for at, a, b in part)
        images = [(inputs[at].image_sha256, inputs[at].noise_sha256) for at in used]
        table = [(used.index(at), a, b) for at, a, b in part]
        link = second_link(context, block, credit, min(len(row[-1]) for row in slices), images, table)
        made.append((block, link))
    return made


def batch_inputs():
    return [noise_of("one", 60, 37, 60 * 170), noise_of("two", 31, 64, 31 * 330), noise_of("three", 9, 200, 9 * 100)]


def second_vectors():
    """Return every vector as JSON-able values."""
    mixes = [
        {"length": length, "previous": size, "rounds": rounds, "parts": parts}
        for length, size, rounds, parts in [(length, 32, 1, 1) for length in LENGTHS]
        + [(64, 0, 1, 1), (64, 1, 1, 1), (64, 65, 1, 1), (64, 32, 2, 1), (64, 32, 3, 1), (64, 32, 1, 2), (65, 0, 2, 5)]
    ]
    for case in mixes:
        parts = [pattern(f"part {i}", case["length"]) for i in range(case["parts"])]
        digest = second_mix("ea-2026-1", parts, pattern("previous", case["previous"]), NOON, case["rounds"])
        case["digest"] = digest.hex()
    batch = second_batch(batch_inputs(), SMALL, MANIFEST, NOON)
    return {
        "provenance": "python -m entropy_assets_tests.core.conditioning.test_hasher: an implementation that shares no"
        " code with the package; noise is SHAKE-256 of the names in the test",
        "mix": mixes,
        "block_id": {name: second_block_id(name) for name in (MANIFEST, "00" * 32, "ff" * 32)},
        "batch": [{"block_sha256": hashlib.sha256(block).hexdigest(), "link": link} for block, link in batch],
    }


def test_the_vectors_are_what_the_second_implementation_gives():
    """The file of vectors was not edited by hand."""
    assert json.loads(VECTORS.read_text()) == second_vectors()


# ------------------------------------------------------------------------------------------------------------ one hash


@pytest.mark.parametrize("case", json.loads(VECTORS.read_text())["mix"] if VECTORS.exists() else [])
def test_mix_gives_the_vectors(case):
    """At every length around the block sizes of both hashes, with several parts and rounds."""
    parts = [pattern(f"part {i}", case["length"]) for i in range(case["parts"])]
    previous, when = pattern("previous", case["previous"]), datetime.fromtimestamp(NOON / 1e6, UTC)
    hasher = EntropyHasher()
    digest = hasher.mix(parts, previous_hash=previous, timestamp=when, rounds=case["rounds"])
    assert digest.hex() == case["digest"]
    if len(parts) == 1:
        assert digest == hasher.hash_entropy(parts[0], previous, when, case["rounds"])


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=4), st.integers(0, 3))
def test_moving_bytes_between_parts_changes_the_digest(parts, cut):
    """Parts stand behind their lengths: no two lists of the same joined bytes give the same digest."""
    joined = b"".join(parts)
    other = [joined[:cut], joined[cut:]] if 0 < cut < len(joined) else [joined]
    mix = EntropyHasher().mix
    assert (mix(parts) == mix(other)) == (parts == other)


def test_every_argument_changes_the_digest():
    """Noise, previous hash, time, rounds, recipe: none is ignored."""
    hasher, noon = EntropyHasher(), datetime(2026, 1, 1, tzinfo=UTC)
    digests = {
        hasher.hash_entropy(b"noise", b"before", noon),
        hasher.hash_entropy(b"Noise", b"before", noon),
        hasher.hash_entropy(b"noise", b"Before", noon),
        hasher.hash_entropy(b"noise", b"before", noon + timedelta(microseconds=1)),
        hasher.hash_entropy(b"noise", b"before", noon, rounds=2),
        EntropyHasher(SMALL).hash_entropy(b"noise", b"before", noon),
    }
    assert len(digests) == 6
    assert {len(digest) for digest in digests} == {32}


def test_bytes_like_and_samples_give_the_same_digest():
    """A memory view or an array of samples is hashed as its bytes."""
    samples = np.arange(48, dtype=np.uint8).reshape(6, 8)
    hasher = EntropyHasher()
    forms = (samples, samples.tobytes(), bytearray(samples.tobytes()), memoryview(samples.tobytes()))
    assert len({hasher.hash_entropy(form) for form in forms}) == 1
    assert hasher.hash_entropy(samples[:, ::2]) == hasher.hash_entropy(samples[:, ::2].tobytes())


@pytest.mark.parametrize("noise", [b"", np.zeros(4), np.zeros(4, np.int32), np.zeros((0, 5), np.uint8)])
def test_noise_that_is_none_is_refused(noise):
    """Nothing, and numbers whose bytes depend on the machine, never pass for noise."""
    with pytest.raises(InputRefused):
        EntropyHasher().hash_entropy(noise)


@pytest.mark.parametrize("previous", [5, "before", None])
def test_a_previous_hash_that_is_no_bytes_is_an_error(previous):
    """``bytes(5)`` is five zeros: a number must not slip through as a hash."""
    with pytest.raises(TypeError):
        EntropyHasher().hash_entropy(b"noise", previous)


@pytest.mark.parametrize("rounds", [0, -1])
def test_no_round_is_refused(rounds):
    """Zero rounds would return no digest at all."""
    with pytest.raises(InputRefused):
        EntropyHasher().hash_entropy(b"noise", rounds=rounds)


def test_an_empty_list_of_parts_is_refused():
    """A mix of nothing is no randomness."""
    with pytest.raises(InputRefused):
        EntropyHasher().mix([])


def test_time_is_exact_and_naive_means_utc():
    """Microseconds survive far from 1970; zones are folded; a naive time never depends on the machine."""
    far = datetime(2525, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert timestamp_us_of(far) % 1_000_000 == 999_999
    assert timestamp_us_of(far) == timestamp_us_of(far.astimezone(timezone(timedelta(hours=14))))
    assert timestamp_us_of(far) == timestamp_us_of(far.replace(tzinfo=None))
    with pytest.raises(InputRefused):
        timestamp_us_of(datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC))


@given(st.binary(max_size=64), st.data())
def test_xor_undoes_itself_and_refuses_other_lengths(left, data):
    """What is mixed can be unmixed with the other half alone, to the last leading zero."""
    right = data.draw(st.binary(min_size=len(left), max_size=len(left)))
    assert xor_bytes(xor_bytes(left, right), right) == left
    assert xor_bytes(left, bytes(len(left))) == left
    with pytest.raises(InputRefused):
        xor_bytes(left, right + b"\0")


@given(st.binary(min_size=32, max_size=32))
def test_block_ids_are_uuids_of_version_8(digest):
    """Version and variant sit where RFC 9562 puts them, whatever the hash."""
    block_id = block_id_of(digest.hex())
    assert block_id == second_block_id(digest.hex())
    assert block_id[14] == "8"
    assert block_id[19] in "89ab"


# ----------------------------------------------------------------------------------------------------------- one batch


def test_a_batch_gives_the_vectors():
    """Blocks and links of three images, to the byte, against the second implementation."""
    blocks, records = EntropyHasher(SMALL).derive_blocks(batch_inputs(), MANIFEST, NOON)
    second = second_batch(batch_inputs(), SMALL, MANIFEST, NOON)
    assert [block.tobytes() for block in blocks] == [block for block, _ in second]
    assert [record.link for record in records] == [link for _, link in second]
    kept = json.loads(VECTORS.read_text())["batch"]
    assert [(record.block_sha256, record.link) for record in records] == [
        (row["block_sha256"], row["link"]) for row in kept
    ]
    assert len(records) == 15
    assert records[0].previous_link == chain_genesis(MANIFEST, SMALL)


noises = st.tuples(st.integers(1, 80), st.integers(1, 120), st.integers(0, 900))


@st.composite
def batches(draw):
    shapes = draw(st.lists(noises, max_size=5))
    return [
        noise_of(f"image {i}", regions, row_len, min(credit * regions, 8 * regions * row_len))
        for i, (regions, row_len, credit) in enumerate(shapes)
    ]


@given(batches())
@settings(max_examples=60, deadline=None)
def test_no_slice_holds_less_than_its_credit_and_no_region_is_spent_twice(inputs):
    """Every slice carries 320 bits, slices never overlap, and an image never gives more than its credit."""
    plan = slices_of(inputs, STANDARD)
    for at, noise in enumerate(inputs):
        mine = sorted((first, end) for position, first, end in plan.tolist() if position == at)
        credit = [noise.credit_bits * (end - first) // len(noise.samples) for first, end in mine]
        assert all(bits >= 320 for bits in credit)
        assert sum(credit) <= noise.credit_bits
        assert all(left[1] <= right[0] for left, right in pairwise(mine))
        assert all(0 <= first < end <= len(noise.samples) for first, end in mine)
        if mine:  # one region fewer would not carry the credit
            assert noise.credit_bits * (mine[0][1] - mine[0][0] - 1) < 320 * len(noise.samples)


@given(batches())
@settings(max_examples=60, deadline=None)
def test_every_stretch_of_slices_mixes_the_images_in_their_shares(inputs):
    """In the first k slices each image has its share of k, to within one slice and half a slice per image."""
    plan = slices_of(inputs, STANDARD)
    counts = np.bincount(plan[:, 0], minlength=len(inputs))
    for k in range(len(plan) + 1):
        so_far = np.bincount(plan[:k, 0], minlength=len(inputs))
        shares = k * counts / max(len(plan), 1)
        assert np.all(np.abs(so_far - shares) <= 1 + len(inputs) / 2)


@given(batches())
@settings(max_examples=30, deadline=None)
def test_output_is_never_longer_than_credit_allows(inputs):
    """No expansion: 320 assessed bits behind every 256 that come out, and records say what they hold."""
    blocks, records = EntropyHasher(SMALL).derive_blocks(inputs, MANIFEST, NOON)
    assert sum(record.credit_bits for record in records) <= sum(noise.credit_bits for noise in inputs)
    assert all(record.credit_bits >= 320 * 4 for record in records)
    assert 8 * blocks.size * 320 // 256 <= sum(noise.credit_bits for noise in inputs)
    verify_batch(records, inputs, manifest_sha256=MANIFEST, recipe=SMALL, blocks=blocks)


def test_no_credit_gives_no_block():
    """A hashed counter looks perfect; without credit it makes nothing."""
    blocks, records = EntropyHasher().derive_blocks([noise_of("counter", 4000, 600, 0)], MANIFEST, NOON)
    assert blocks.shape == (0, 4096)
    assert records == ()
    assert EntropyHasher().derive_blocks([], MANIFEST, NOON)[1] == ()


def test_one_flipped_bit_changes_every_digest_of_its_block_and_those_after():
    """The seal ties all of a block to every sample behind it, the link all later blocks."""
    inputs = batch_inputs()
    before, _ = EntropyHasher(SMALL).derive_blocks(inputs, MANIFEST, NOON)
    plan = slices_of(inputs, SMALL)
    at, first, _ = plan[4 * 3 + 1].tolist()  # a slice of block 3
    samples = inputs[at].samples.copy()
    samples[first, 5] ^= 1
    inputs[at] = replace(inputs[at], samples=samples)
    after, _ = EntropyHasher(SMALL).derive_blocks(inputs, MANIFEST, NOON)
    changed = (before.reshape(15, 4, 32) != after.reshape(15, 4, 32)).any(axis=2)
    assert not changed[:3].any()
    assert changed[3:].all()


def test_an_image_twice_in_a_batch_is_refused():
    """Neither a file nor a noise array is credited twice."""
    one, two, _ = batch_inputs()
    for repeated in (one, replace(two, image_sha256=one.image_sha256), replace(two, noise_sha256=one.noise_sha256)):
        with pytest.raises(InputRefused) as refusal:
            EntropyHasher().derive_blocks([one, repeated], MANIFEST, NOON)
        assert refusal.value.data["repeated"]


@pytest.mark.parametrize(
    "samples, credit_bits",
    [
        (np.zeros((4, 8), np.int16), 0),
        (np.zeros(32, np.uint8), 0),
        (np.zeros((8, 4), np.uint8).T, 0),
        (np.zeros((0, 4), np.uint8), 0),
        (np.zeros((4, 8), np.uint8), -1),
        (np.zeros((4, 8), np.uint8), 4 * 8 * 8 + 1),
    ],
)
def test_noise_of_another_shape_or_with_impossible_credit_is_refused(samples, credit_bits):
    """More than 8 bits per sample, or samples that are not bytes, never reach a hash."""
    with pytest.raises(InputRefused):
        NoiseInput("ab" * 32, "cd" * 32, samples, credit_bits)


def test_a_block_is_made_again_from_its_record_alone():
    """An auditor needs the record and the noise, in any order, not the rest of the chain."""
    inputs = batch_inputs()
    hasher = EntropyHasher(SMALL)
    blocks, records = hasher.derive_blocks(inputs, MANIFEST, NOON)
    for block, record in zip(blocks, records, strict=True):
        assert hasher.rederive_block(record, inputs[::-1]) == block.tobytes()


def test_a_record_whose_noise_is_not_there_is_named():
    """Missing noise and regions that do not exist are told apart."""
    inputs = batch_inputs()
    hasher = EntropyHasher(SMALL)
    record = hasher.derive_blocks(inputs, MANIFEST, NOON)[1][2]
    with pytest.raises(ChainBroken, match="noise that was not given") as broken:
        hasher.rederive_block(record, inputs[:1])
    assert (broken.value.index, broken.value.field) == (2, "noise_sha256s")
    with pytest.raises(ChainBroken, match="regions") as broken:
        hasher.rederive_block(replace(record, slices=((0, 0, 10**6), *record.slices[1:])), inputs)
    assert (broken.value.index, broken.value.field) == (2, "slices")


if __name__ == "__main__":
    print(json.dumps(second_vectors(), indent=1))
