"""``entropy-assets``: the group of all commands, and the script that completes their words in a shell."""

from typing import Any, Final

import click

from entropy_assets.cli import assess, audit, draw, keys, ledger, process, serve, up
from entropy_assets.cli.feeds import sources
from entropy_assets.cli.retention import command as retention
from entropy_assets.cli.shell import EXIT_INTERRUPTED
from entropy_assets.cli.statistics import suite

PROGRAM: Final = "entropy-assets"
VARIABLE: Final = "_ENTROPY_ASSETS_COMPLETE"
"""What click looks at to tell a run that completes from one that works."""


class Interruptible(click.Group):
    """A group whose commands end with 130 when they are interrupted; click's own answer is 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)


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
