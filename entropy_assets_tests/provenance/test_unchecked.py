"""What an audit can't check is said in sentences, and names what is told."""

from entropy_assets.core.credit.elsewhere.recollection import Recollection
from entropy_assets.provenance.reveal import Reveal
from entropy_assets.provenance.trail import BlockProvenance, ImageOfBatch
from entropy_assets.provenance.unchecked import SHOWN, Unchecked, after_outsiders_check, after_rewalk
from entropy_assets.stages.manifest import HashedRow

HASHES = [f"{number:064x}" for number in range(SHOWN + 3)]
TOLD = BlockProvenance.__required_keys__ | ImageOfBatch.__required_keys__ | HashedRow.__required_keys__
TOLD |= Reveal.__required_keys__ | set(Recollection._fields)


def all_of_it(**changes: object) -> list[Unchecked]:
    worst = {"has_memory": True, "has_block_nonces": True, "chain_is_whole": False, "is_last": False}
    worst["of_origins"] = True
    lists = {"unseen": HASHES, "called_spent": HASHES, "refused": HASHES, "not_there": HASHES}
    return list(after_outsiders_check(**{**worst, **lists, **changes}))  # type: ignore[arg-type]


def test_each_sentence_is_whole_and_names_fields_that_are_told() -> None:
    for each in [*all_of_it(), *after_rewalk(True, HASHES, of_origins=True, is_bound=True)]:
        assert set(each.fields) <= TOLD
        assert each.sentence[0].isupper()
        assert each.sentence.endswith(".")
        assert each.to_row() == {"fields": list(each.fields), "sentence": each.sentence}


def test_time_nonces_and_source_stay_open_for_everybody() -> None:
    for said in (all_of_it(), list(after_rewalk(has_block_nonces=True))):
        fields = {name for each in said for name in each.fields}
        assert {"timestamp_us", "sampling_nonce", "block_nonce", "declared_source"} <= fields
        assert any("only one try" in each.sentence for each in said)


def test_what_was_checked_is_not_called_open() -> None:
    said = all_of_it(
        has_block_nonces=False,
        has_memory=False,
        chain_is_whole=True,
        is_last=True,
        unseen=[],
        called_spent=[],
        refused=[],
        not_there=[],
        of_origins=False,
    )
    fields = {name for each in said for name in each.fields}
    checked = {"previous_link", "chain_head", "block_nonce", "limits", "manifest", "frames", "known_parts", "origin"}
    assert not fields & checked
    assert not any(name in each.sentence for each in said for name in HASHES)


def test_a_long_list_is_counted_and_not_printed() -> None:
    (of_missing,) = (each.sentence for each in all_of_it() if each.fields == ("manifest",))
    assert sum(name in of_missing for name in HASHES) == SHOWN
    assert "and 3 more" in of_missing
