"""The text fits 80 columns and hides nothing."""

from entropy_assets.cli.statistics.outcome import suite_outcome
from entropy_assets.cli.statistics.suite_text import WIDTH, lines_of
from entropy_assets.core.sp800_22.second_level.across import Tally
from entropy_assets.core.sp800_22.suite import SUITE, run_suite
from entropy_assets_tests.cli.statistics.conftest import GOOD


def text_of(sequences: list[bytes]) -> list[str]:
    tally = Tally()
    for data in sequences:
        tally.add(run_suite(data))
    outcome = suite_outcome(tally, None, name="bits", layout="packed", sha256="ab" * 32, bytes_read=123_456)
    return list(lines_of(outcome))


def test_every_test_has_its_line():
    """Also those that are not applicable, with the reason below; one sequence or many."""
    for sequences in ([GOOD], [GOOD[:1250], GOOD[1250:2500]]):
        lines = text_of(sequences)
        assert [name for name in SUITE if sum(line.startswith(f"{name} ") for line in lines) != 1] == []
        assert any(line.startswith("  linear_complexity: not applicable: ") for line in lines)
        assert max(map(len, lines)) <= WIDTH


def test_a_p_value_shows_how_small_it_is():
    """1e-9 is not 0.000000."""
    lines = text_of([b"\x0f\x33\x55" * 100])
    [line] = [line for line in lines if line.startswith("spectral")]
    assert "e-" in line
    assert line.endswith("FAILS")


def test_what_is_not_asked_is_said():
    """Few sequences are not asked for uniformity, and templates in few bits are not judged."""
    text = " ".join(" ".join(text_of([GOOD[:1250], GOOD[1250:2500]])).split())
    assert "uniformity: asked from 55 sequences on" in text
    assert "non_overlapping_template: not judged: of so few bits its P-values are small too often" in text
