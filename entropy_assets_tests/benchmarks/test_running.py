"""A benchmark that nobody runs for a while still fits what it measures. Its figures are nobody's business here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from entropy_assets_tests.untraced import untraced

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_benchmark_of_streams_runs() -> None:
    command = [sys.executable, "-m", "benchmarks.streaming", "--rounds", "1", "--json"]
    said = subprocess.run(command, cwd=ROOT, env=untraced(), capture_output=True, text=True, timeout=120, check=False)
    rows = json.loads(said.stdout)
    assert {"WebSocket, public", "WebSocket, private", "HTTP download, private"} < rows.keys()
    assert all(row["mb_per_s"] > 0 for row in rows.values())


@pytest.mark.slow
def test_the_benchmark_of_stores_runs() -> None:
    command = [sys.executable, "-m", "benchmarks.stores", "--repeats", "1", "--json"]
    said = subprocess.run(command, cwd=ROOT, env=untraced(), capture_output=True, text=True, timeout=120, check=False)
    rows = json.loads(said.stdout)
    assert all(rows[what].keys() == {"folder", "objects"} for what in ("batch", "calls"))


@pytest.mark.slow
def test_the_benchmark_of_growth_runs() -> None:
    command = [sys.executable, "-m", "benchmarks.growth", "10"]
    said = subprocess.run(command, cwd=ROOT, env=untraced(), capture_output=True, text=True, timeout=300, check=False)
    lines = said.stdout.splitlines()
    assert [line[:5] for line in lines if line.startswith("| 10 |")] == ["| 10 "], said.stderr[-2000:]
    assert len([line for line in lines if line.startswith("- A batch of")]) == 4
    assert len([line for line in lines if line.startswith(("| 1 |", "| 100 |"))]) == 5


@pytest.mark.slow
def test_the_benchmark_of_credit_runs() -> None:
    """And says of each scenario what it holds and what each source is credited."""
    command = [sys.executable, "-m", "benchmarks.credit", "--match", "64 x 64 tile, turned", "--json"]
    said = subprocess.run(command, cwd=ROOT, env=untraced(), capture_output=True, text=True, timeout=120, check=False)
    rows = json.loads(said.stdout)["scenarios"]
    assert len(rows) == 3
    assert all(row["holds"] > 0 and row["credit"].keys() == {"drop", "raw-ccd"} for row in rows)


@pytest.mark.slow
def test_the_benchmark_of_a_card_runs_without_one() -> None:
    """And says that there was none, or which."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--sides", "64", "--budget", "0.1", "--json"]
    said = subprocess.run(command, cwd=ROOT, env=untraced(), capture_output=True, text=True, timeout=120, check=False)
    told = json.loads(said.stdout)
    assert told["computed_by"].keys() == ({"processor"} if "No card was had" in told["card"] else {"processor", "card"})
    assert all(column["sides"]["64"]["single_mpixel_s"] > 0 for column in told["computed_by"].values())
