"""Other stories about a block, altered so that they fit together, and which field gives each away."""

from entropy_assets_tests.provenance.forging import Told, with_its_manifest

OTHER = "ab" * 32


def other_manifest(told: Told) -> None:
    told["manifest_sha256"] = OTHER


def beyond_the_plan(told: Told) -> None:
    told["index"] = 1000


def moved_slices(told: Told) -> None:
    told["slices"] = [[place, first - 1, end - 1] for place, first, end in told["slices"]]


def slices_of_the_block_before(told: Told) -> None:
    told["slices"] = told["slices"][1:] + told["slices"][:1]


def lower_credit(told: Told) -> None:
    told["images"][0]["credit_bits"] -= 1


def higher_credit(told: Told) -> None:
    told["images"][0]["credit_bits"] += 1000


def dropped_image(told: Told) -> None:
    dropped = told["images"].pop(0)
    told["slices"] = [[0, first, end] for place, first, end in told["slices"]]
    assert dropped["in_block"]


def image_called_unreadable(told: Told) -> None:
    dropped_image(told)
    told["manifest"][0].update(accepted=False, pixel_sha256=None, source=told["declared_source"])
    told.update(with_its_manifest(told))


def extra_image(told: Told) -> None:
    told["images"].append({**told["images"][-1], "image_sha256": OTHER})
    told["manifest"].append({**told["manifest"][-1], "image_sha256": OTHER})
    told.update(with_its_manifest(told))


def other_source(told: Told) -> None:
    for row in (told["images"][0], told["manifest"][0]):
        row["source"] = "samples"
    told.update(with_its_manifest(told))


def other_source_of_what_was_refused(told: Told) -> None:
    told["manifest"][1]["source"] = "0"
    told.update(with_its_manifest(told))


def pixels_of_what_was_refused(told: Told) -> None:
    told["manifest"][1]["pixel_sha256"] = OTHER
    told.update(with_its_manifest(told))


def readable_junk(told: Told) -> None:
    told["manifest"][1].update(accepted=True, pixel_sha256=OTHER)
    told["images"].insert(1, {**told["images"][-1], **told["manifest"][1], "file": "notes.txt"})
    del told["images"][1]["accepted"]
    told.update(with_its_manifest(told))


def other_pixels(told: Told) -> None:
    for row in (told["images"][0], told["manifest"][0]):
        row["pixel_sha256"] = OTHER
    told.update(with_its_manifest(told))


def spelled_otherwise(told: Told) -> None:
    """What counts as true in a program is no true in JSON: with each spelling the manifest has another hash."""
    told["manifest"][0]["accepted"] = 7
    told.update(with_its_manifest(told))


def source_that_no_recipe_lists(told: Told) -> None:
    """Its claim is that of the plain inbox, so any word would do."""
    told["declared_source"] = "tried-17"
    for row in (told["manifest"][1], told["manifest"][3], told["images"][2]):
        row["source"] = "tried-17"
    told.update(with_its_manifest(told))


def hidden_behind_the_dead(told: Told) -> None:
    told["images"][0].update(credit_bits=0, reason="constant", in_block=False)
    told["slices"] = [[0, first, end] for place, first, end in told["slices"]]


FORGERIES = [
    *((other_manifest, "manifest_sha256"), (beyond_the_plan, "index")),
    *((moved_slices, "slices"), (slices_of_the_block_before, "slices")),
    *((lower_credit, "credit_bits"), (higher_credit, "credit_bits"), (hidden_behind_the_dead, "credit_bits")),
    *((dropped_image, "images"), (image_called_unreadable, "manifest"), (readable_junk, "manifest")),
    *((other_source, "source"), (other_source_of_what_was_refused, "manifest"), (other_pixels, "pixel_sha256")),
    *((pixels_of_what_was_refused, "manifest"), (spelled_otherwise, "manifest")),
    (source_that_no_recipe_lists, "declared_source"),
]
"""Each with the field that the outsider's check names."""
