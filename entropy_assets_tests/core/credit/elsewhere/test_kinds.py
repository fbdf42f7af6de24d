"""Every way of making one frame of another has a rule of its own, also turned, and words."""

from entropy_assets.core.credit.elsewhere.kinds import RULES, TOLD, Made, made_of


def test_every_kind_has_words_and_a_rule_of_its_own() -> None:
    assert set(TOLD) == set(RULES) == set(Made)
    assert len(set(RULES.values())) == len(Made)


def test_every_rule_has_one_for_frames_whose_rows_are_its_columns() -> None:
    turned = {made: made_of(rule.transposed) for made, rule in RULES.items()}
    assert turned[Made.ROW_SIGNS] is Made.COLUMN_SIGNS
    assert turned[Made.MORE_ROWS] is Made.MORE_COLUMNS
    assert all(turned[turned[made]] is made for made in Made)
