"""Slices carry their credit, never overlap, and mix the images in their shares."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy_assets.core.conditioning.conditioner import NoiseInput, block_plans, slices_of
from entropy_assets.errors import InputRefused
from entropy_assets.recipe import STANDARD, recipe_named
from entropy_assets_tests.core.second_hashing import noise_of

noises = st.tuples(st.integers(1, 80), st.integers(1, 120), st.integers(0, 900))


@st.composite
def batches(draw):
    shapes = draw(st.lists(noises, max_size=5))
    return [
        noise_of(f"image {i}", regions, row_len, min(credit * regions, 8 * regions * row_len))
        for i, (regions, row_len, credit) in enumerate(shapes)
    ]


@pytest.mark.parametrize("recipe", [STANDARD, recipe_named("ea-2026-1")], ids=lambda recipe: recipe.name)
@given(inputs=batches())
@settings(max_examples=60, deadline=None)
def test_no_slice_holds_less_than_its_credit_and_no_part_is_spent_twice(recipe, inputs):
    """Every slice carries 320 bits, slices never overlap, and an image never gives more than its credit."""
    plan = slices_of(inputs, recipe)
    for at, noise in enumerate(inputs):
        lines = len(noise.samples) * recipe.lines_per_region
        mine = sorted((first, end) for position, first, end in plan.tolist() if position == at)
        credit = [noise.credit_bits * (end - first) // lines for first, end in mine]
        assert all(bits >= 320 for bits in credit)
        assert sum(credit) <= noise.credit_bits
        assert all(left[1] <= right[0] for left, right in pairwise(mine))
        assert all(0 <= first < end <= lines for first, end in mine)
        if mine:  # one part fewer would not carry the credit
            assert noise.credit_bits * (mine[0][1] - mine[0][0] - 1) < 320 * lines


@pytest.mark.parametrize("claim", [dict(STANDARD.claims)["raw-ccd"], 3.72, 3.01, 2.0, 1.21, 0.25])
def test_slices_use_nine_tenths_of_the_credit_of_an_ordinary_image(claim):
    """At any credit per sample; slices of whole regions of 256 pixels used .54 to .95."""
    regions, pairs = 32 * 32, STANDARD.region_size**2 // 2
    noise = noise_of("ordinary", regions, 1, 0)
    noise = replace(noise, samples=np.zeros((regions, 132), np.uint8), credit_bits=int(0.75 * claim * regions * pairs))
    assert 320 * len(slices_of([noise], STANDARD)) > 0.9 * noise.credit_bits


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
@settings(max_examples=60, deadline=None)
def test_blocks_take_the_slices_in_their_order_and_what_fills_no_block_is_left(inputs):
    """So every slice has one place, which follows from the credit alone."""
    slices, plans = slices_of(inputs, STANDARD), block_plans(inputs, STANDARD)
    assert plans.shape == (len(slices) // STANDARD.digests_per_block, STANDARD.digests_per_block, 3)
    assert plans.reshape(-1, 3).tolist() == slices[: plans.shape[0] * STANDARD.digests_per_block].tolist()


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
