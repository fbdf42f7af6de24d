"""Whatever is altered, dropped, reordered or back-dated in a chain is found, at the first record where it happened."""

import json
import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropy_assets.core.conditioning.hasher import EntropyHasher, verify_batch
from entropy_assets.core.conditioning.records import (
    BlockRecord,
    block_id_of,
    chain_genesis,
    link_of,
    verify_block,
    verify_chain,
)
from entropy_assets.errors import BatchError, ChainBroken
from entropy_assets.recipe import RECIPES, STANDARD, recipe_named
from entropy_assets_tests.core.second_hashing import MANIFEST, NOON, noise_of, second_block_id


@pytest.fixture(scope="module")
def inputs():
    return [noise_of("chain one", 500, 132, 500 * 350), noise_of("chain two", 300, 132, 300 * 200)]


@pytest.fixture(scope="module")
def batch(inputs):
    blocks, records = EntropyHasher().derive_blocks(inputs, MANIFEST, NOON)
    assert len(records) == 5
    return blocks, records


def check(records, last_link=None):
    verify_chain(records, manifest_sha256=MANIFEST, recipe=STANDARD, last_link=last_link)


def broken(call, *args, **kwargs):
    with pytest.raises(ChainBroken) as error:
        call(*args, **kwargs)
    assert error.value.data["index"] == error.value.index
    return error.value.index, error.value.field


def forged(records, index, **changes):
    """Return the chain with one record changed and every link after it made anew, as a forger would."""
    chain, previous = [], chain_genesis(MANIFEST, STANDARD)
    for record in records:
        changed = replace(record, previous_link=previous, **(changes if record.index == index else {}))
        chain.append(replace(changed, link=link_of(changed)))
        previous = chain[-1].link
    return chain


def test_an_honest_chain_verifies(batch, inputs):
    """The chain, each block, and the whole batch made again from its noise."""
    blocks, records = batch
    check(records, last_link=records[-1].link)
    verify_batch(records, inputs, manifest_sha256=MANIFEST, recipe=STANDARD, blocks=blocks)
    for record, block in zip(records, blocks, strict=True):
        verify_block(record, block.tobytes())


def flipped(hex_hash):
    return ("0" if hex_hash[0] != "0" else "1") + hex_hash[1:]


MUTATIONS = [
    ("index", lambda r: r.index + 1, "index"),
    ("block_id", lambda r: block_id_of("00" * 32), "block_id"),
    ("block_sha256", lambda r: flipped(r.block_sha256), "block_sha256"),
    ("previous_link", lambda r: flipped(r.previous_link), "previous_link"),
    ("link", lambda r: flipped(r.link), "link"),
    ("timestamp_us", lambda r: r.timestamp_us - 1, "timestamp_us"),
    ("timestamp_us", lambda r: r.timestamp_us + 1, "link"),
    ("manifest_sha256", lambda r: flipped(r.manifest_sha256), "manifest_sha256"),
    ("image_sha256s", lambda r: (flipped(r.image_sha256s[0]), *r.image_sha256s[1:]), "link"),
    ("image_sha256s", lambda r: r.image_sha256s[::-1], "link"),
    ("image_sha256s", lambda r: r.image_sha256s[:1], "noise_sha256s"),
    ("noise_sha256s", lambda r: (flipped(r.noise_sha256s[0]), *r.noise_sha256s[1:]), "link"),
    ("recipe", lambda r: "ea-2026-2-strict", "recipe"),
    ("nonce", lambda r: flipped(r.nonce), "link"),
    ("nonce", lambda r: "", "link"),
    ("credit_bits", lambda r: r.credit_bits + 1, "link"),
    ("slice_bytes", lambda r: r.slice_bytes + 1, "link"),
    ("output_entropy_bits", lambda r: r.output_entropy_bits - 1e-6, "output_entropy_bits"),
    ("output_entropy_bits", lambda r: math.nan, "output_entropy_bits"),
    ("slices", lambda r: r.slices[1:] + r.slices[:1], "link"),
    ("slices", lambda r: r.slices[:-1], "link"),
]


def test_every_field_of_a_record_has_a_mutation():
    """A field that is added later can't be forgotten here."""
    assert {name for name, _, _ in MUTATIONS} == {field.name for field in fields(BlockRecord)}


@pytest.mark.parametrize("name, change, found", MUTATIONS)
@pytest.mark.parametrize("at", [0, 2, 4])
def test_an_altered_field_is_found_at_its_record(batch, inputs, name, change, found, at):
    """Whatever field is altered, and wherever: the chain names the record, the noise names the field."""
    records = list(batch[1])
    records[at] = replace(records[at], **{name: change(records[at])})
    if (name, at) == ("timestamp_us", 0):
        found = "link"  # nothing comes before the first record that it could be earlier than
    assert broken(check, records) == (at, found)
    where = broken(verify_batch, records, inputs, manifest_sha256=MANIFEST, recipe=STANDARD)
    # Time is an input of every block: with another time in the first record, its very bytes can't be right.
    assert where == ((0, "block_id") if (name, at) == ("timestamp_us", 0) else (at, name))


@pytest.mark.parametrize("at", [0, 2, 3])
def test_a_dropped_record_is_found_where_it_is_missing(batch, at):
    """The record that took its place is named."""
    records = list(batch[1])
    del records[at]
    assert broken(check, records) == (at, "index")


def test_records_dropped_from_the_end_are_found_by_the_last_link_or_the_noise(batch, inputs):
    """A shortened chain is a good chain; only its known end or its noise tells."""
    records = batch[1][:-1]
    check(records)
    assert broken(check, records, last_link=batch[1][-1].link) == (4, "link")
    assert broken(verify_batch, records, inputs, manifest_sha256=MANIFEST, recipe=STANDARD) == (4, "index")
    assert broken(check, [], last_link=batch[1][-1].link) == (0, "link")


def test_reordered_and_repeated_records_are_found(batch):
    """The first place that is out of order is named."""
    one, two, three, four, five = batch[1]
    assert broken(check, [one, three, two, four, five]) == (1, "index")
    assert broken(check, [one, two, two, three, four, five]) == (2, "index")
    assert broken(check, [one, two, replace(three, index=3)]) == (2, "index")


def test_a_chain_of_another_batch_does_not_verify(batch):
    """The same records under another manifest or recipe are refused at once."""
    assert broken(verify_chain, batch[1], manifest_sha256="cd" * 32, recipe=STANDARD) == (0, "manifest_sha256")
    other = replace(STANDARD, name="other")
    assert broken(verify_chain, batch[1], manifest_sha256=MANIFEST, recipe=other) == (0, "recipe")


FORGERIES = [
    ("timestamp_us", lambda r: r.timestamp_us - 1, "timestamp_us"),
    ("credit_bits", lambda r: 128 * 320 - 1, "credit_bits"),
    ("slices", lambda r: r.slices[:-1], "slices"),
    ("slices", lambda r: (r.slices[0], r.slices[0], *r.slices[2:]), "slices"),
    ("slices", lambda r: ((7, 0, 1), *r.slices[1:]), "slices"),
    ("slices", lambda r: ((0, 1, 1), *r.slices[1:]), "slices"),
    ("output_entropy_bits", lambda r: 0.0, "output_entropy_bits"),
]


@pytest.mark.parametrize("name, change, found", FORGERIES)
def test_a_forger_who_makes_all_links_anew_still_breaks_a_rule(batch, name, change, found):
    """Back-dating, too little credit and regions spent twice are found in a chain whose links all hold."""
    chain = forged(batch[1], 2, **{name: change(batch[1][2])})
    assert broken(check, chain) == (2, found)


@pytest.mark.parametrize("part", [(12, 14), (8, 11), (11, 12), (9, 14), (10, 13), (1269, 1271)])
def test_regions_that_overlap_in_part_are_found(batch, part):
    """A slice that reaches into another from either side, lies in it or around it spends its regions twice."""
    apart = tuple((0, 10 * j, 10 * j + 3) for j in range(1, 128))
    check(forged(batch[1][:1], 0, slices=(*apart, (0, 13, 20))))
    assert broken(check, forged(batch[1][:1], 0, slices=(*apart, (0, *part)))) == (0, "slices")


def test_a_region_that_an_earlier_block_spent_is_found(batch):
    """Credit is spent once over the whole chain, not only within a block."""
    chain = forged(batch[1], 3, slices=(batch[1][1].slices[0], *batch[1][3].slices[1:]))
    assert broken(check, chain) == (3, "slices")


def test_a_perfect_forgery_of_the_chain_is_found_by_the_noise(batch, inputs):
    """Another block under good links passes the chain alone and fails against the noise, which nobody can forge."""
    chain = forged(batch[1], 2, block_sha256="12" * 32, block_id=block_id_of("12" * 32))
    check(chain)
    found = broken(verify_batch, chain, inputs, manifest_sha256=MANIFEST, recipe=STANDARD)
    assert found == (2, "block_id")


def test_altered_bytes_of_a_block_are_found(batch, inputs):
    """One bit, a missing block, another shape: the block is named."""
    blocks, records = batch
    verify = {"manifest_sha256": MANIFEST, "recipe": STANDARD}
    wrong = blocks.copy()
    wrong[3, 100] ^= 1
    assert broken(verify_batch, records, inputs, blocks=wrong, **verify) == (3, "block")
    assert broken(verify_batch, records, inputs, blocks=blocks[:4], **verify) == (4, "block")
    assert broken(verify_batch, records, inputs, blocks=blocks[:, :-1], **verify) == (0, "block")
    assert broken(verify_block, records[3], wrong[3].tobytes()) == (3, "block_sha256")
    assert broken(verify_block, replace(records[3], credit_bits=10**6), blocks[3].tobytes()) == (3, "link")


@given(st.binary(min_size=32, max_size=32))
def test_block_ids_are_uuids_of_version_8(digest):
    """Version and variant sit where RFC 9562 puts them, whatever the hash."""
    block_id = block_id_of(digest.hex())
    assert block_id == second_block_id(digest.hex())
    assert block_id[14] == "8"
    assert block_id[19] in "89ab"


# ---------------------------------------------------------------------------------------------------------------- rows


def test_a_record_survives_json(batch):
    """A row holds plain values only and gives the same record back."""
    for record in batch[1]:
        assert BlockRecord.from_row(json.loads(json.dumps(record.to_row()))) == record


def test_a_row_of_before_there_were_block_nonces_is_read(inputs):
    """It has no such field, and an audit of its block must still pass."""
    earlier = recipe_named("ea-2026-1")
    _, records = EntropyHasher(earlier).derive_blocks(inputs, MANIFEST, NOON)
    rows = [record.to_row() for record in records]
    assert {row.pop("nonce") for row in rows} == {""}
    read = [BlockRecord.from_row(row) for row in rows]
    assert read == list(records)
    verify_chain(read, manifest_sha256=MANIFEST, recipe=earlier)


@pytest.mark.parametrize("name", [field.name for field in fields(BlockRecord)])
@pytest.mark.parametrize("value", [None, "x\u00e9", -1, [["a"]], True, [[1, 2]], [None]])
def test_a_malformed_row_is_refused_with_the_field_named(batch, name, value):
    """No field takes a value of another type."""
    row = batch[1][0].to_row() | {name: value}
    with pytest.raises(BatchError) as error:
        BlockRecord.from_row(row)
    assert error.value.data["fields"] == [name]


def test_missing_and_unknown_fields_are_refused(batch):
    """Rows of another version don't pass."""
    row = batch[1][0].to_row()
    with pytest.raises(BatchError):
        BlockRecord.from_row({name: value for name, value in row.items() if name != "link"})
    with pytest.raises(BatchError):
        BlockRecord.from_row(row | {"colour": "blue"})


# ------------------------------------------------------------------------------------------------------ output entropy


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_every_recipe_asks_for_full_entropy(recipe):
    """Each digest takes in 64 bits more than it puts out (SP 800-90C; FIPS 140-3 IG D.K)."""
    assert recipe.slice_credit_bits >= 8 * recipe.digest_len + 64


def test_the_last_digit_of_a_logarithm_breaks_no_chain(batch, inputs):
    """The entropy of a block is a float, and other machines' logarithms may differ in its last digit."""
    blocks, records = batch
    elsewhere = [replace(r, output_entropy_bits=math.nextafter(r.output_entropy_bits, 0)) for r in records]
    verify_batch(elsewhere, inputs, manifest_sha256=MANIFEST, recipe=STANDARD, blocks=blocks)
    wrong = [replace(r, output_entropy_bits=r.output_entropy_bits - 1e-6) for r in records]
    with pytest.raises(ChainBroken) as caught:
        verify_batch(wrong, inputs, manifest_sha256=MANIFEST, recipe=STANDARD, blocks=blocks)
    assert caught.value.field == "output_entropy_bits"
