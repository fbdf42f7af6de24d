"""``entropy-assets``: the group of all commands."""

from typing import Any

import click

from entropy_assets.cli import audit, completion, draw, keys, process, serve, up
from entropy_assets.cli.shell import EXIT_INTERRUPTED


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
    Exit codes: 0 done; 1 error; 2 wrong usage; 3 'process' made no block;
    4 the service has too few bytes; 130 interrupted.
    """  # noqa: D301 - to click it is a backspace that keeps the lines as they are


for command in (
    *(up.up, process.process, serve.serve, keys.keys, audit.audit),
    *(draw.draw, draw.stats, draw.feed, completion.completion),
):
    main.add_command(command)
