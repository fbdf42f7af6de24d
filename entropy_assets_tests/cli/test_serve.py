"""``entropy-assets serve``: what it refuses before it serves. What it serves is tested in serving/."""

import pytest

from entropy_assets_tests.cli.conftest import Run


def test_serve_at_an_address_that_is_none_repeats_nothing_of_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTROPY_REDIS_URL", "redis://:se/cret@h")
    result = run("serve", "--port", 0)
    assert result.exit_code == 1
    assert "ENTROPY_REDIS_URL is not a valid address" in result.stderr
    assert "cret" not in result.output


def test_serve_without_a_pool_says_where_to_get_one(run: Run) -> None:
    result = run("serve")
    assert result.exit_code == 2
    assert "ENTROPY_REDIS_URL" in result.stderr
