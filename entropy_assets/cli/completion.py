"""``entropy-assets completion``: the script that completes its words in a shell, as click makes it."""

from typing import Final

import click

PROGRAM: Final = "entropy-assets"
VARIABLE: Final = "_ENTROPY_ASSETS_COMPLETE"
"""What click looks at to tell a run that completes from one that works."""


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
