"""The report of SP 800-90B shows every estimate with what it follows from, and marks what decides."""

import re

import numpy as np

from entropy_assets.cli.reports.page import page
from entropy_assets.cli.reports.sp800_90b import Said, section_of, titled
from entropy_assets.core.sp800_90b.iid.permutations import EARLY
from entropy_assets.core.sp800_90b.iid.track import assess_iid
from entropy_assets.core.sp800_90b.non_iid import assess_non_iid

NOISE = np.random.default_rng(10).integers(0, 8, 3000, dtype=np.uint8)
SAID = Said("a verdict", True, [("samples", 3000)], ["a remark"])


def test_every_estimate_stands_with_its_values_and_the_least_of_each_table_is_marked() -> None:
    found = assess_non_iid(NOISE, 3)
    _, parts = section_of("noise", SAID, non_iid={"symbols": found})
    text = "".join(parts)
    for one in (*found.literal.values(), *found.of_bits.values()):
        assert f"{one.min_entropy:.6g}" in text
        assert all(f"{name} {value:.10g}" in text for name, value in one.values.items())
    marked = re.findall(r'<tr class="marked"><td>([^<]*)</td>', text)
    assert len(marked) == 2


def test_the_permutations_of_each_statistic_are_counted_and_failures_marked() -> None:
    """A counter fails; the early rule has its own name."""
    found = assess_iid(np.arange(600).astype(np.uint8) & 7, 3, 1, rule=EARLY)
    _, parts = section_of("counter", SAID, iid=found)
    text = "".join(parts)
    assert EARLY.name in text
    assert text.count('<tr class="marked">') >= len(found.permutations.failed) > 3
    assert "share of the permutations" in text


def test_sections_of_several_files_share_a_page() -> None:
    sections = [section_of(name, SAID, symbols=NOISE, bits_per_symbol=3) for name in ("one", "two")]
    whole = page(titled(2), sections)
    assert "<title>SP 800-90B assessments of 2 files</title>" in whole
    assert whole.count("<svg") == 2
