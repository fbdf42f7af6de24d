"""``entropy-assets``: the group of all commands, and the script that completes their words in a shell."""

import os
import sys
from contextlib import suppress
from typing import Any, Final

import click

from entropy_assets.cli import assess, audit, draw, keys, ledger, process, serve, up
from entropy_assets.cli.feeds import sources
from entropy_assets.cli.retention import command as retention
from entropy_assets.cli.shell import EXIT_ERROR, EXIT_INTERRUPTED, FULL
from entropy_assets.cli.statistics import suite

PROGRAM: Final = "entropy-assets"
VARIABLE: Final = "_ENTROPY_ASSETS_COMPLETE"
"""What click looks at to tell a run that completes from one that works."""


class Interruptible(click.Group):
    """A group whose commands end with 130 when they are interrupted, and tell when their words can't be written.

    click's own answers are 1, and a traceback.
    """

    def main(self, *arguments: Any, **more: Any) -> Any:
        """Run the command and end the program."""
        try:
            try:
                return super().main(*arguments, **more)
            except SystemExit as ended:
                if not ended.code and sys.stdout is not None:
                    sys.stdout.flush()
                raise
        except BrokenPipeError:
            sys.exit(EXIT_ERROR)
        except OSError as error:
            if error.filename is not None or error.errno not in FULL:
                raise
            with suppress(OSError):
                click.echo(f"error: standard output can't be written: {error.strerror}", err=True)
            sys.exit(EXIT_ERROR)
        finally:
            _forget_unwritten()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)


def _forget_unwritten() -> None:
    """Drop what can't be written: Python would try it once more at the end, where nobody can catch the error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


@click.group(cls=Interruptible, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="entropy-assets")
def main() -> None:
    """Auditable randomness from space images.

    \b
    Exit codes: 0 done; 1 error; 2 wrong usage; 3 'process' made no block, 'assess' found
    nothing of worth, 'test --exit-code' bits that fail; 4 the service has too few bytes;
    130 interrupted.
    """  # noqa: D301 - to click it is a backspace that keeps the lines as they are


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes this command's words in SHELL.

    For bash: eval "$(entropy-assets completion bash)" in ~/.bashrc; for zsh the same with zsh in ~/.zshrc; for fish:
    entropy-assets completion fish > ~/.config/fish/completions/entropy-assets.fish
    """
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    script_of = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}[shell]
    click.echo(script_of(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())


for command in (
    *(up.up, process.process, assess.assess, serve.serve, keys.keys, ledger.ledger, audit.audit),
    *(sources.sources, retention.retention),
    *(draw.draw, draw.stats, draw.feed, suite.test, completion),
):
    main.add_command(command)
