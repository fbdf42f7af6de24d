"""The table of the run, and what each phase is made of."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropy_assets_tests.chaos.arena import Arena, Server
from entropy_assets_tests.chaos.draws import Known
from entropy_assets_tests.chaos.report import Table

TABLE = pytest.StashKey[Table]()

ArenaOf = Callable[..., Arena]


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Table:
    """Give the table that the run fills."""
    return pytestconfig.stash.setdefault(TABLE, Table())


@pytest.fixture(scope="session")
def known() -> Known:
    """Give all blocks of the run: what one phase gave out may not come in another."""
    return Known()


@pytest.fixture
def arena_of(tmp_path: Path, known: Known) -> ArenaOf:
    """Give a function that makes the arena of one fault."""

    def make(server: Server | None = None, **more: Any) -> Arena:
        return Arena(tmp_path, known, server or Server(), **more)

    return make


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode, config: pytest.Config
) -> None:
    table = config.stash.get(TABLE, None)
    if table is None or not table.rows:
        return
    terminalreporter.section("chaos")
    terminalreporter.write_line(table.text())
    if (path := os.environ.get("CHAOS_REPORT")) and exitstatus == pytest.ExitCode.OK:
        Path(path).write_text(table.page())
