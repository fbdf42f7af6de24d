"""An outsider makes a served block again from what the service tells and the images, and finds every other story."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entropy_assets.core.conditioning.conditioner import NoiseInput
from entropy_assets.core.credit.assessment import assess_image
from entropy_assets.errors import ChainBroken, EntropyAssetsError, ImageMissing, InputRefused
from entropy_assets.images.decode import decode
from entropy_assets.images.limits import DecodeLimits
from entropy_assets.provenance.image_folder import ImageFolder
from entropy_assets.provenance.outsider import make_again
from entropy_assets.provenance.trail import Trail
from entropy_assets.recipe import STANDARD
from entropy_assets.stages.assessments import noise_inputs
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stores.batches import RECORDS
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.images.image_files import fits
from entropy_assets_tests.provenance.forgeries import FORGERIES, OTHER, extra_image
from entropy_assets_tests.provenance.forging import Told, begins_with_zeros, by_hash, consistent, with_its_manifest
from entropy_assets_tests.stages.batches_made import Place, alter_json, exposure, flat_png, frame, png_of

JUNK = b"no image at all"
HEX = set("0123456789abcdef")


@dataclass(frozen=True)
class Story:
    """What is told of the blocks of a batch, their bytes as they left the pool, and what a forger has."""

    answers: tuple[Told, ...]
    data: dict[str, bytes]
    images: dict[str, bytes]
    noise: dict[str, NoiseInput]

    @property
    def told(self) -> Told:
        """Give the answer for a block that is neither the first nor the last."""
        return self.answers[1]

    def forged(self, change: Callable[[Told], None]) -> Told:
        """Give an answer that was changed, and fits together all the same."""
        told = copy.deepcopy(self.told)
        change(told)
        return consistent(told, self.noise)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, valkey_url: str) -> Story:
    """Publish two images, beside one without noise and a file that is none."""
    root = tmp_path_factory.mktemp("story")
    place = Place(root)
    contents = [("a.fits", frame(1)), ("notes.txt", JUNK), ("b.fits", frame(2)), ("flat.png", flat_png())]
    batch = place.validated(contents)
    pool = PoolClient.from_url(valkey_url, prefix=f"outsider:{root.name}")
    publish_batch(batch, place.ledger(), pool, run_id="the-run", now_us=5)
    blocks = {leased.block.block_id: leased.block.data for leased in pool.lease(100, lane="public").blocks}
    pool.close()
    noise = {noise.image_sha256: noise for noise in noise_inputs(batch)}
    answers = tuple(told_of(place, row["block_id"]) for row in batch.read_json(RECORDS)["rows"])
    assert len(answers) > 2
    return Story(answers, blocks, by_hash(*(data for _, data in contents)), noise)


def told_of(place: Place, block_id: str) -> Told:
    """Give what the service tells of a block, as it comes over the line."""
    told: Told = json.loads(json.dumps(Trail.of(place).find(block_id)))
    assert "problem" not in told, told
    return told


def refused(told: Told, images: dict[str, bytes]) -> str:
    """Give the field in which an answer is found to be another story."""
    with pytest.raises(ChainBroken) as caught:
        make_again(told, images)
    return caught.value.field


# The true story


def test_the_images_and_what_is_told_give_the_bytes_that_were_served(story: Story) -> None:
    for told in story.answers:
        assert make_again(told, story.images).data == story.data[told["block_id"]]


@pytest.mark.slow
def test_every_block_of_a_batch_is_made_again(tmp_path: Path) -> None:
    """Copies, images that were used before, frames of one sensor, and what can't be read."""
    place = Place(tmp_path)
    rng = np.random.default_rng(5)
    pattern = rng.normal(0, 12, (320, 320))
    first, second = exposure(pattern, rng), exposure(pattern, rng)
    place.hashed([("earlier.fits", frame(4))], time_ns=10**18)
    relabelled = frame(1).replace(b"GAIN    =", b"GAJN    =")
    contents = [
        *(("first.png", first), ("second.png", second), ("a.fits", frame(1)), ("copy.fits", frame(1))),
        *(("same pixels.fits", relabelled), ("used.fits", frame(4)), ("flat.png", flat_png()), ("notes.txt", JUNK)),
    ]
    batch = place.validated(contents)
    images = by_hash(*(data for _, data in contents))
    for block_id in place.in_ledger(batch):
        told = told_of(place, block_id)
        made = make_again(told, images)
        assert told["block_sha256"] in by_hash(made.data)
    reasons = [image["reason"] for image in told["images"]]
    assert reasons == [None, None, None, "replayed_file", "replayed_pixels", "replayed_file", "constant"]
    memory = told["images"][1]["memory"]
    assert memory["of"] == told["images"][0]["image_sha256"], "the pattern is credited once"
    assert 0.5 < memory["known_parts"] / 10_000 < 0.56
    assert [image["memory"] is None for image in told["images"]] == [False] * 3 + [True] * 4
    (ledgers_word,) = (each.sentence for each in made.not_checked if each.fields == ("reason",))
    assert [image["image_sha256"] in ledgers_word for image in told["images"]] == [False] * 5 + [True, False]


@pytest.mark.parametrize("with_nonce_column", [True, False])
def test_of_a_recipe_without_block_nonces_the_whole_chain_is_walked(tmp_path: Path, with_nonce_column: bool) -> None:
    place = Place(tmp_path)
    contents = [("a.fits", frame(1)), ("b.fits", frame(2))]
    batch = place.validated(contents, recipe="ea-2026-1")
    if not with_nonce_column:  # as records were kept when there were no block nonces
        alter_json(batch, RECORDS, lambda kept: [row.pop("nonce") for row in kept["rows"]])
    images = by_hash(*(data for _, data in contents))
    told = told_of(place, place.in_ledger(batch)[1])
    made = make_again(told, images)
    assert told["block_nonce"] == ""
    fields = {name for each in made.not_checked for name in each.fields}
    assert not {"previous_link", "chain_head", "block_nonce"} & fields
    for name in ("previous_link", "chain_head", "block_nonce"):
        assert refused({**told, name: OTHER}, images) == name


def test_a_file_that_nobody_could_read_may_be_absent_and_is_named(story: Story) -> None:
    (junk,) = by_hash(JUNK)
    made = make_again(story.told, {name: data for name, data in story.images.items() if name != junk})
    assert made.data == story.data[story.told["block_id"]]
    assert [junk in each.sentence for each in made.not_checked if each.fields == ("manifest",)] == [True]
    assert not [each for each in make_again(story.told, story.images).not_checked if each.fields == ("manifest",)]


def test_what_a_frame_of_an_earlier_batch_shows_is_checked_if_its_file_is_there(tmp_path: Path) -> None:
    """Else it is named as the service's word; and a service that forgets a pattern is found out by its file."""
    place, rng = Place(tmp_path), np.random.default_rng(5)
    pattern = rng.normal(1000, 20, (320, 320))
    files = [png_of(np.rint(pattern + rng.normal(0, 3, pattern.shape)).astype(np.uint16)) for _ in range(2)]
    place.hashed([("earlier.png", files[0])], time_ns=10**18)
    told = told_of(place, place.in_ledger(place.validated([("later.png", files[1])]))[0])
    (earlier, later), images = by_hash(*files), by_hash(*files)
    assert told["images"][0]["memory"]["of"] == earlier
    assert not [each for each in make_again(told, images).not_checked if "known_parts" in each.fields]
    (unseen,) = (each for each in make_again(told, {later: files[1]}).not_checked if "known_parts" in each.fields)
    assert earlier in unseen.sentence
    forgetful = copy.deepcopy(told)
    forgetful["images"][0]["memory"]["known_parts"] -= 5_000
    assert refused(forgetful, {later: files[1]}) == "memory", "the whole is not what its cells are"
    forgetful["images"][0]["memory"].update(cells=[500] * 16, known_parts=500)
    assert refused(forgetful, images) == "memory"
    assert refused(forgetful, {later: files[1]}) == "credit_bits"


def test_a_frame_of_the_same_batch_is_always_there_to_contradict(story: Story) -> None:
    def no_frames(told: Told) -> None:
        told["images"][1]["memory"]["frames"] = 0

    assert refused(story.forged(no_frames), story.images) == "memory"


# Stories that fit together


@pytest.mark.parametrize("change, field", FORGERIES)
def test_another_story_is_found(change: Callable[[Told], None], field: str, story: Story) -> None:
    """The forger makes block, id, credit, link and verdict again, so nothing but the images speaks against it."""
    assert refused(story.forged(change), story.images) == field


def test_an_image_that_nobody_has_is_missing(story: Story) -> None:
    with pytest.raises(ImageMissing):
        make_again(story.forged(extra_image), story.images)


def test_the_first_block_follows_the_manifest_and_the_last_one_ends_the_chain(story: Story) -> None:
    first, last = story.answers[0], story.answers[-1]
    assert refused(consistent({**first, "previous_link": OTHER}, story.noise), story.images) == "previous_link"
    assert refused({**last, "chain_head": OTHER}, story.images) == "chain_head"
    assert refused({**first, "index": -1}, story.images) == "index"


# Grinding


def vary_manifest(told: Told, tries: int) -> Told:
    return {**told, "manifest_sha256": f"{tries:064x}"}


def vary_index(told: Told, tries: int) -> Told:
    return {**told, "index": 1000 + tries}


def vary_slices(told: Told, tries: int) -> Told:
    place = [0, tries % 100, tries % 100 + 1 + tries // 100]
    return {**told, "slices": [*told["slices"][:-1], place]}


@pytest.mark.parametrize(
    "vary, field", [(vary_manifest, "manifest_sha256"), (vary_index, "index"), (vary_slices, "slices")]
)
def test_no_field_can_be_tried_until_the_block_pleases(
    vary: Callable[[Told, int], Told], field: str, story: Story
) -> None:
    """A block that begins with nine zero bits costs a moment of trying. It must not pass for one of the images'."""
    assert refused(begins_with_zeros(story.told, story.noise, vary), story.images) == field


def test_a_nonce_can_still_be_tried_and_that_is_said(story: Story) -> None:
    told = begins_with_zeros(story.told, story.noise, lambda told, tries: {**told, "block_nonce": f"{tries:064x}"})
    made = make_again(told, story.images)
    assert made.data.startswith(b"\0")
    assert [each for each in made.not_checked if "block_nonce" in each.fields and "only one try" in each.sentence]


@pytest.mark.parametrize("nonce", ["", OTHER.upper(), OTHER[:62], "0x" + OTHER[2:]])
def test_a_nonce_has_one_spelling(nonce: str, story: Story) -> None:
    with pytest.raises((ChainBroken, InputRefused)):
        make_again({**story.told, "block_nonce": nonce}, story.images)


@pytest.mark.parametrize("name", ["", "x" * 64, OTHER.upper(), OTHER + " "])
def test_a_file_that_is_not_there_has_the_hash_of_a_file(name: str, story: Story) -> None:
    told = copy.deepcopy(story.told)
    told["manifest"][1]["image_sha256"] = name
    with pytest.raises(InputRefused):
        make_again(consistent(with_its_manifest(told), story.noise), story.images)


def test_copies_of_an_image_are_sampled_alike_and_looked_at_once(tmp_path: Path) -> None:
    """Else each copy in an answer could cost an audit as much as an image, and one of them its own nonce."""
    place = Place(tmp_path)
    batch = place.validated([("a.fits", frame(1)), *((f"copy {number}.fits", frame(1)) for number in range(12))])
    told = told_of(place, place.in_ledger(batch)[0])
    images = CountedReads(by_hash(frame(1)))
    make_again(told, images)
    assert images.reads == 1
    other = assess_image(decode(frame(1), source="raw-ccd"), bytes.fromhex(OTHER), STANDARD, submitter="raw-ccd")
    told["images"][1].update(
        sampling_nonce=OTHER, noise_sha256=other.noise.noise_sha256, min_entropy=other.assessment.min_entropy
    )
    assert refused(told, images) == "sampling_nonce"


class CountedReads(dict[str, bytes]):
    """Files that count how often one is read."""

    reads = 0

    def __getitem__(self, name: str) -> bytes:
        self.reads += 1
        return super().__getitem__(name)


# Every single field


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to each value that is no list and no object; of slices and cells to those of the last one alone."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for at in range(max(0, len(value) - 1) if path[-1:] in (("slices",), ("cells",)) else 0, len(value)):
            yield from leaves(value[at], (*path, at))
    else:
        yield path


def altered(value: Any) -> Any:
    """Give another value of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value + 0.001
        case str() if value and set(value) <= HEX:
            return ("0" if value[0] != "0" else "1") + value[1:]
        case _:
            return f"{value}x"


@pytest.mark.slow
def test_every_field_that_is_told_is_checked_or_named_as_not_checked(story: Story) -> None:
    """Whoever adds a field to the answer and forgets the outsider turns this red."""
    answer = {**story.told, "lane": "public", "revealed": True, "reveals_in_s": 0.0}
    said = {name for each in make_again(answer, story.images).not_checked for name in each.fields}
    free, found = set(), 0
    for path in leaves(answer):
        told = copy.deepcopy(answer)
        *way, last = path
        inner: Any = told
        for step in way:
            inner = inner[step]
        inner[last] = altered(inner[last])
        try:
            make_again(told, story.images)
        except EntropyAssetsError:
            found += 1
        else:
            free.add(next(str(step) for step in reversed(path) if isinstance(step, str)))
    assert found > 60
    assert free - said - {"max_file_bytes", "max_pixels", "reveals_in_s"} == set()
    assert free >= {"run_id", "file"}, "what is named as not checked is not checked"
    assert "limits" in said


def test_a_list_with_an_entry_more_or_less_is_found(story: Story) -> None:
    for name in ("slices", "manifest", "images"):
        for entries in (story.told[name][:-1], [*story.told[name], story.told[name][-1]], []):
            with pytest.raises((ChainBroken, InputRefused)):
                make_again({**story.told, name: entries}, story.images)


# Files and answers


def test_an_exchanged_image_is_found(story: Story) -> None:
    name = story.told["images"][0]["image_sha256"]
    assert refused(story.told, {**story.images, name: frame(3)}) == "image_sha256"


def test_an_origin_is_taken_on_trust_and_that_is_said(story: Story) -> None:
    """Nobody outside can check it; so it is named wherever one is told, and what is none is refused."""
    told = copy.deepcopy(story.told)
    assert not any("origin" in each.fields for each in make_again(told, story.images).not_checked)
    told["images"][0]["origin"] = {"feed": "a", "url": "https://example.org/a", "fetched_at": "2026-11-29T08:33:00Z"}
    [said] = [each for each in make_again(told, story.images).not_checked if "origin" in each.fields]
    assert "not seen from outside" in said.sentence
    del told["images"][1]["origin"]  # a service of an earlier release tells of none
    assert make_again(told, story.images).data == make_again(story.told, story.images).data
    for wrong in ({"feed": "a"}, "https://example.org/a", [1], {**told["images"][0]["origin"], "fetched_at": "now"}):
        told["images"][0]["origin"] = wrong
        with pytest.raises(InputRefused, match="give the answer of"):
            make_again(told, story.images)


def test_all_missing_images_are_named_before_any_is_looked_at(story: Story, tmp_path: Path) -> None:
    with pytest.raises(ImageMissing) as caught:
        make_again(story.told, ImageFolder(tmp_path))
    missing = {image["image_sha256"]: image["file"] for image in story.told["images"]}
    assert caught.value.data["missing"] == missing
    assert all(f"{file} (SHA-256 {name})" in caught.value.message for name, file in missing.items())


def test_wider_limits_than_ones_own_are_refused_with_what_to_set(story: Story) -> None:
    """What the service tells must not decide what decoding may cost here."""
    with pytest.raises(InputRefused, match=f"ENTROPY_MAX_PIXELS={DecodeLimits().max_pixels}"):
        make_again(story.told, story.images, DecodeLimits(max_pixels=1 << 20))


GONE = ["recipe", "images", "manifest", "slices", "previous_link", "index", "verdict", "limits", "declared_source"]


@pytest.mark.parametrize("gone", GONE)
def test_what_is_no_answer_of_the_service_is_refused(gone: str, story: Story) -> None:
    with pytest.raises(InputRefused):
        make_again({name: value for name, value in story.told.items() if name != gone}, story.images)


NONSENSE = ["slices", "images", "manifest", "limits", "index", "timestamp_us", "previous_link", "recipe", "block_nonce"]


@pytest.mark.parametrize("field", NONSENSE)
@pytest.mark.parametrize("value", [None, "x", 1.5, [], {}, [[1]], [None], -1])
def test_nonsense_is_a_typed_error(field: str, value: object, story: Story) -> None:
    with pytest.raises(EntropyAssetsError):
        make_again({**story.told, field: value}, story.images)


@pytest.mark.parametrize("recipe", ["ea-2026-1", "ea-2026-2"])
def test_a_file_of_several_images_is_read_as_its_recipe_reads(tmp_path: Path, valkey_url: str, recipe: str) -> None:
    """Here both images are live, and differ: the first is named a plane of errors, which earlier recipes pass by."""
    error = np.random.default_rng(5).normal(1000, 7, (320, 320)).astype(np.int16)
    both = fits(error, EXTNAME="'ERR     '") + b"XTENSION= 'IMAGE   '".ljust(80) + frame(1)[80:]
    place = Place(tmp_path)
    batch = place.validated([("both.fits", both)], recipe=recipe)
    pool = PoolClient.from_url(valkey_url, prefix=f"outsider:{tmp_path.name}")
    publish_batch(batch, place.ledger(), pool, run_id="the-run", now_us=5)
    block = pool.lease(1, lane="public").blocks[0].block
    pool.close()
    assert make_again(told_of(place, block.block_id), by_hash(both)).data == block.data
