"""A link of the ledger covers all that its row says, and everything before it."""

import pytest

from entropy_assets.stores.ledger.rows import NO_LINK, LedgerBlock, SpentImage, publication_link, spending_link
from entropy_assets_tests.core.second_hashing import CLAIMS, PUBLICATIONS, kept_vectors, published_blocks

HEAD = "aa" * 32
TIME_US = 1_790_000_000_000_000
BLOCKS = [LedgerBlock(f"id-{index}", index, f"sha-{index}", f"link-{index}") for index in range(3)]


def test_the_chain_of_claims_gives_the_vectors() -> None:
    """With pixels and without, and with a name that is not ASCII."""
    links = [NO_LINK]
    for claim in CLAIMS:
        links.append(spending_link(links[-1], SpentImage(*claim)))
    assert links[1:] == kept_vectors()["ledger"]["claims"]


def test_the_chain_of_publications_gives_the_vectors() -> None:
    """With blocks and without, outside Dagster and inside."""
    links = [NO_LINK]
    for batch, head, run, time_us, count in PUBLICATIONS:
        blocks = [LedgerBlock(*block) for block in published_blocks(batch, count)]
        links.append(publication_link(links[-1], batch, head, run, time_us, blocks))
    assert links[1:] == kept_vectors()["ledger"]["publications"]


def test_no_two_lists_of_fields_have_one_link() -> None:
    assert publication_link(NO_LINK, "ab", "c", "", 1, []) != publication_link(NO_LINK, "a", "bc", "", 1, [])
    assert spending_link(NO_LINK, SpentImage("ab", "c", "x", 1)) != spending_link(
        NO_LINK, SpentImage("a", "bc", "x", 1)
    )


@pytest.mark.parametrize("changed", range(6))
def test_a_publications_link_depends_on_each_thing_it_covers(changed: int) -> None:
    facts = [NO_LINK, "batch", HEAD, "run", TIME_US, BLOCKS]
    others = ["11" * 32, "other", "bb" * 32, "other", TIME_US + 1, BLOCKS[:2]]
    altered = [others[at] if at == changed else fact for at, fact in enumerate(facts)]
    assert publication_link(*altered) != publication_link(*facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("changed", range(5))
def test_a_claims_link_depends_on_each_thing_it_covers(changed: int) -> None:
    facts = [NO_LINK, "file", "pixels", "batch", TIME_US]
    altered = [f"{fact}1" if at == changed else fact for at, fact in enumerate(facts)]
    links = {spending_link(str(previous), SpentImage(*claim)) for previous, *claim in (facts, altered)}  # type: ignore[arg-type]
    assert len(links) == 2
