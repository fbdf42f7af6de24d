"""What every command has in common: the help, the version, the settings, and what completes them in a shell."""

from entropy_assets_tests.cli.conftest import Run


def test_the_help_lists_every_command_and_exit_code(run: Run) -> None:
    text = run("--help").stdout
    for word in ("up", "process", "serve", "draw", "stats", "audit", "130 interrupted"):
        assert word in text
