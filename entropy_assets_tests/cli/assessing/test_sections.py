"""A report says what the terminal says, and shows more."""

from pathlib import Path

import numpy as np
import pytest

from entropy_assets.cli.assessing.samples import assessed_samples, read_samples
from entropy_assets.cli.assessing.sections import section_of_matrix, section_of_samples
from entropy_assets.cli.assessing.words import verdict_of
from entropy_assets.core.sp800_90b.restarts import RestartAssessment, SanityCheck


@pytest.mark.parametrize("iid", [False, True])
def test_a_section_of_samples_has_the_verdict_the_inputs_and_the_tables(tmp_path: Path, iid: bool) -> None:
    (tmp_path / "noise.bin").write_bytes(np.random.default_rng(9).integers(0, 8, 3000, dtype=np.uint8).tobytes())
    found = assessed_samples(read_samples(tmp_path / "noise.bin", 3), iid=iid, h_submitter=2.5)
    heading, parts = section_of_samples(found)
    text = "".join(parts)
    assert heading == "noise.bin"
    assert verdict_of(found) in text
    assert found.file.sha256 in text
    assert "fewer than the 1,000,000" in text
    assert ("seed of the permutations" in text) == iid
    assert text.count("<svg") == 2


def test_a_section_of_a_failed_matrix_is_marked(tmp_path: Path) -> None:
    (tmp_path / "rows.bin").write_bytes(bytes(range(100)))
    failed = RestartAssessment(7.2, SanityCheck(40, 25, 5e-6))
    _, parts = section_of_matrix(read_samples(tmp_path / "rows.bin", 8), failed)
    assert 'class="verdict bad"' in parts[0]
    assert "40 times, more than 25 fail" in "".join(parts)
