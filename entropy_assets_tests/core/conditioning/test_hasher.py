"""Blocks are what the page says, hold no more than their credit, and can be made again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.conditioning.conditioner import slices_of
from entropy_assets.core.conditioning.hasher import EntropyHasher, timestamp_us_of, verify_batch, xor_bytes
from entropy_assets.core.conditioning.records import chain_genesis, verify_chain
from entropy_assets.errors import ChainBroken, InputRefused
from entropy_assets.recipe import recipe_named
from entropy_assets_tests.core.conditioning.test_conditioner import batches
from entropy_assets_tests.core.second_hashing import (
    MANIFEST,
    NOON,
    SEED,
    SMALL,
    WITH_LINES,
    WITH_NONCES,
    batch_inputs,
    kept_vectors,
    line_inputs,
    noise_of,
    pattern,
    second_batch,
)

# ------------------------------------------------------------------------------------------------------------ one hash


@pytest.mark.parametrize("case", kept_vectors()["mix"])
def test_mix_gives_the_vectors(case):
    """At every length around the block sizes of both hashes, with several parts and rounds."""
    parts = [pattern(f"part {i}", case["length"]) for i in range(case["parts"])]
    previous, when = pattern("previous", case["previous"]), datetime.fromtimestamp(NOON / 1e6, UTC)
    hasher = EntropyHasher(recipe_named("ea-2026-1"))
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


@pytest.mark.parametrize("parts", [[], (), iter(())], ids=["list", "tuple", "iterator"])
def test_an_empty_list_of_parts_is_refused(parts):
    """A mix of nothing is no randomness, whatever the parts come in."""
    with pytest.raises(InputRefused):
        EntropyHasher().mix(parts)


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


# ----------------------------------------------------------------------------------------------------------- one batch


@pytest.mark.parametrize(
    "recipe, inputs, seed, name, count",
    [
        (SMALL, batch_inputs(), b"", "batch", 15),
        (WITH_NONCES, batch_inputs(), SEED, "batch_with_nonces", 15),
        (WITH_LINES, line_inputs(), SEED, "batch_with_lines", 5),
    ],
)
def test_a_batch_gives_the_vectors(recipe, inputs, seed, name, count):
    """Blocks and links of three images, to the byte, against the second implementation."""
    blocks, records = EntropyHasher(recipe).derive_blocks(inputs, MANIFEST, NOON, seed)
    second = second_batch(inputs, recipe, MANIFEST, NOON, seed if recipe.block_nonces else None)
    assert [block.tobytes() for block in blocks] == [block for block, _ in second]
    assert [record.link for record in records] == [link for _, link in second]
    kept = kept_vectors()[name]
    assert [(record.block_sha256, record.link) for record in records] == [
        (row["block_sha256"], row["link"]) for row in kept
    ]
    assert len(records) == count
    assert records[0].previous_link == chain_genesis(MANIFEST, recipe)
    verify_batch(records, inputs, manifest_sha256=MANIFEST, recipe=recipe, seed=seed, blocks=blocks)


def test_who_does_not_know_the_seed_knows_no_block_though_all_else_is_told():
    """A nonce that is revealed gives away neither the next one nor a byte of the next block."""
    inputs, hasher = batch_inputs(), EntropyHasher(WITH_NONCES)
    blocks, records = hasher.derive_blocks(inputs, MANIFEST, NOON, SEED)
    assert len({record.nonce for record in records}) == len(records)
    guess = replace(records[1], nonce=records[0].nonce)
    made = np.frombuffer(hasher.rederive_block(guess, inputs), np.uint8)
    assert hasher.rederive_block(records[1], inputs) == blocks[1].tobytes()
    assert (made.reshape(4, 32) != blocks[1].reshape(4, 32)).any(axis=1).all()
    with pytest.raises(ChainBroken) as broken:
        verify_batch(records, inputs, manifest_sha256=MANIFEST, recipe=WITH_NONCES, seed=b"another", blocks=blocks)
    assert (broken.value.index, broken.value.field) == (0, "block_id")


def test_a_recipe_without_block_nonces_takes_no_record_with_one():
    inputs = batch_inputs()
    _, records = EntropyHasher(WITH_NONCES).derive_blocks(inputs, MANIFEST, NOON, SEED)
    without = replace(WITH_NONCES, block_nonces=False)
    with pytest.raises(ChainBroken) as broken:
        verify_chain(records, manifest_sha256=MANIFEST, recipe=without)
    assert broken.value.field == "nonce"


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
    blocks, records = EntropyHasher().derive_blocks([noise_of("counter", 4000, 660, 0)], MANIFEST, NOON)
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


def test_a_block_is_made_again_from_its_record_alone():
    """An auditor needs the record and the noise, in any order, not the rest of the chain."""
    for recipe, inputs in ((SMALL, batch_inputs()), (WITH_LINES, line_inputs())):
        hasher = EntropyHasher(recipe)
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
    for outside in ((0, 0, 10**6), (0, 5, 5), (9, 0, 1), (-1, 0, 1)):
        with pytest.raises(ChainBroken, match="regions") as broken:
            hasher.rederive_block(replace(record, slices=(outside, *record.slices[1:])), inputs)
        assert (broken.value.index, broken.value.field) == (2, "slices")


def test_a_record_of_another_recipe_is_refused():
    """Another recipe gives other bytes, which must not pass for those of the record."""
    record = EntropyHasher(SMALL).derive_blocks(batch_inputs(), MANIFEST, NOON)[1][2]
    with pytest.raises(ChainBroken) as broken:
        EntropyHasher().rederive_block(record, batch_inputs())
    assert (broken.value.index, broken.value.field) == (2, "recipe")
