"""``entropy-assets audit``: blocks that nobody knows. The blocks that are made again are in provenance/ and e2e/."""

import json
from pathlib import Path

from entropy_assets_tests.cli.conftest import Run


def test_a_block_that_was_never_published_is_exit_code_1_in_words_and_in_json(run: Run, tmp_path: Path) -> None:
    unknown = "00000000-0000-0000-0000-000000000000"
    result = run("audit", unknown, "--home", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert unknown in result.stderr
    answer = run("audit", unknown, "--home", tmp_path, "--json")
    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["block_id"] == unknown


def test_looking_makes_no_ledger(run: Run, tmp_path: Path) -> None:
    run("audit", "00000000-0000-0000-0000-000000000000", "--home", tmp_path)
    assert list(tmp_path.iterdir()) == []
