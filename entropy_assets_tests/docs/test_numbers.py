"""Numbers that a page repeats from the code are those of the code."""

import re
import tomllib
from typing import get_args

from entropy_assets.core.advice import ADVICE
from entropy_assets.core.extraction.survey import REASONS
from entropy_assets.core.frame import StatementKind
from entropy_assets.errors import RejectionReason
from entropy_assets.recipe import DROP, STANDARD
from entropy_assets.settings import Settings
from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.docs.pages import table_rows, text_of

DOCS = PROJECT / "docs"


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_table_of_claims_is_that_of_the_recipe() -> None:
    rows = table_rows(DOCS / "credit.md", "source")
    listed = {source: float(bits) for cell, bits, _ in rows for source in names_in(cell)}
    assert listed == dict(STANDARD.claims)
    others = {cell: float(bits) for cell, bits, _ in rows if not names_in(cell)}
    assert others == {
        "any other name": STANDARD.claim_of(DROP),
        "any other name, a picture": STANDARD.claim_of(DROP, is_picture=True),
        "none": STANDARD.claim_of(""),
    }


def test_the_table_of_statements_is_that_of_the_recipe() -> None:
    """Each row has the words of a header and what becomes of a file that says so, in the order of `StatementKind`."""
    fates = [fate for *_, fate in table_rows(DOCS / "credit.md", "statement")]
    claims = {"simulated": 0.0, **dict(STANDARD.statement_claims)}
    told = [0.0 if fate.startswith("refused") else float(fate.split(" bits")[0]) for fate in fates]
    assert told == [claims[kind] for kind in get_args(StatementKind)]


def test_the_table_of_reasons_has_each_of_them_once_in_their_order_with_what_to_do() -> None:
    rows = table_rows(DOCS / "reasons.md", "reason")
    assert [reason for cell, *_ in rows for reason in names_in(cell)] == list(RejectionReason)
    assert all(len(row) == 3 and all(map(str.strip, row)) for row in rows)
    told = [re.sub(r" \(\[[^]]*\]\([^)]*\)\)|`", "", advice).strip() for *_, advice in rows]
    assert told == list(ADVICE.values()), "what is told beside a refusal stands here too"
    assert len(set(told)) > 20, "the advice is that of the reason, not of all"


def test_the_table_of_squares_is_that_of_the_survey() -> None:
    told = {names_in(square)[0]: names_in(reasons) for square, reasons in table_rows(DOCS / "reasons.md", "square")}
    assert {square: reasons[0] for square, reasons in told.items()} == {
        verdict.name.lower().replace("_", " "): reason for verdict, reason in REASONS.items()
    }
    size = STANDARD.survey_size
    text = " ".join(text_of(DOCS / "reasons.md").split())
    assert f"{size} x {size} pixels of the image" in text
    assert f"under {STANDARD.min_live_share:.0%}".replace("%", " %") in text


def test_the_factor_and_the_bits_of_a_digest_are_those_of_the_recipe() -> None:
    text = " ".join(text_of(DOCS / "credit.md").split())
    numerator, denominator = STANDARD.safety_factor
    assert f"x samples) x {numerator}/{denominator} " in text
    assert f"Less than {STANDARD.min_credit_bits} bits is no credit" in text
    assert f"worth at least {STANDARD.slice_credit_bits} bits" in text
    assert f"at most {STANDARD.assessment_samples:,} samples" in text
    assert f"the predictors {STANDARD.prediction_samples:,}" in text
    assert f"the predictors see {STANDARD.bit_prediction_samples:,} of them" in text
    assert f"at most {STANDARD.raster_samples:,} samples" in text


def test_the_defaults_of_settings_are_those_of_the_code() -> None:
    told = {
        name.removeprefix("ENTROPY_").lower(): default
        for cell, defaults, _ in table_rows(DOCS / "operate.md", "setting")
        for name, default in zip(names_in(cell), defaults.replace("`", "").split(", "), strict=True)
    }
    assert len(told) > 15
    assert {name: text.removeprefix("./") for name, text in told.items()} == {
        name: str(Settings.model_fields[name].default)
        .removesuffix(".0")
        .replace("None", "none")
        .replace("False", "false")
        for name in told
    }


def test_the_table_of_parts_is_that_of_the_package() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parts = project["optional-dependencies"]
    rows = table_rows(DOCS / "parts.md", "part")
    told = {name: set(names_in(needs)) for cell, _, needs in rows for name in names_in(cell)}
    needed = {name: set(re.findall(r"entropy-assets\[([\w,]+)\]", " ".join(lines))) for name, lines in parts.items()}
    assert told == {name: {part for group in groups for part in group.split(",")} for name, groups in needed.items()}
