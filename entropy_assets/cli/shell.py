"""What every command has in common: exit codes, errors as sentences, settings."""

import errno
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

from entropy_assets.errors import ClientDry, EntropyAssetsError, InputRefused, StartFailed
from entropy_assets.recipe import DROP, Recipe, recipe_named
from entropy_assets.stores.file_names import printable

if TYPE_CHECKING:
    from rich.console import Console

    from entropy_assets.provenance.waiting import Waiting
    from entropy_assets.settings import Settings

EXIT_ERROR: Final = 1
EXIT_NO_BLOCK: Final = 3
EXIT_TOO_FEW: Final = 4
EXIT_INTERRUPTED: Final = 130
WIDEST: Final = 1000
"""Width of a table that goes into no terminal, characters: it takes what its longest cells need."""
_HEARD_S: Final = 1.0
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a write says that names no file."""
P = ParamSpec("P")
R = TypeVar("R")


class FiniteRange(click.FloatRange):
    """A number in a range. click's own ranges hold what is no number at all, and infinity where they are open."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number", param, ctx)
        return number


def typed_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Print this project's errors as one sentence and leave with exit code 1; so too where a place can't be used."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except EntropyAssetsError as error:
            complain(error.code, error.message, error.data, as_json=bool(kwargs.get("as_json")))
            sys.exit(EXIT_TOO_FEW if isinstance(error, ClientDry) else EXIT_ERROR)
        except OSError as error:
            if error.filename is None and error.errno not in FULL:
                raise
            place = None if error.filename is None else os.fsdecode(error.filename)
            what = f"{error.strerror}; make room there, let this user write there, or name another place"
            message = what if place is None else f"{place} can't be used: {what}"
            complain("place-unusable", message, {"path": place}, as_json=bool(kwargs.get("as_json")))
            sys.exit(EXIT_ERROR)

    return run


def require_output() -> None:
    """Raise `InputRefused` if nothing can be printed: what would be spent or made could be seen by nobody."""
    if sys.stdout is None:
        raise InputRefused("standard output is closed, so nothing could be printed")


def complain(code: str, message: str, facts: Mapping[str, Any], as_json: bool) -> None:
    """Print an error: one object on standard output for machines, one sentence on standard error for people.

    And for all where standard output is closed.
    """
    if as_json and sys.stdout is not None:
        click.echo(json.dumps({"error": code, "message": message, **facts}, default=str))
    else:
        # the end of a log has lines; what else came from elsewhere must not make one that looks like the command's own
        lines = message.rstrip("\n").split("\n") if code == StartFailed.code else [message]
        click.echo("error: " + "\n".join(map(printable, lines)), err=True)


def settings_of(**changes: Any) -> "Settings":
    """Return the settings of the environment with `changes` that are not None.

    Raises
    ------
    click.UsageError
        If one is out of its range; the message names it.
    """
    from pydantic import ValidationError

    from entropy_assets.settings import Settings

    try:
        return Settings(**{name: value for name, value in changes.items() if value is not None})
    except ValidationError as error:
        problems = (
            _setting(item["loc"], changes) + item["msg"].removeprefix("Value error, ") for item in error.errors()
        )
        raise click.UsageError("; ".join(problems)) from error


def _setting(place: tuple[int | str, ...], given: Mapping[str, Any]) -> str:
    """Return the name by which whoever gave a setting knows it: of the command's option, if that did, or variable."""
    name = ".".join(map(str, place))
    if not name:
        return ""
    if given.get(name) is None:
        return f"ENTROPY_{name.upper()}: "
    context = click.get_current_context(silent=True)
    options = [] if context is None else [each.opts[0] for each in context.command.params if each.name == name]
    return f"{options[0] if options else name}: "


def waiting_in(settings: "Settings") -> "Waiting":
    """Return what waits in the inboxes of the installation."""
    from entropy_assets.provenance.waiting import Waiting
    from entropy_assets.stores.home import Home

    return Waiting(
        Home.of(settings),
        settings.recipe,
        batch_files=settings.batch_max_files,
        max_file_bytes=settings.max_file_bytes,
        settle_seconds=settings.settle_seconds,
    )


def keys_place(settings: "Settings") -> str:
    """Return where the API keys are kept: the place that the settings name, or the file in the home. Secret."""
    from entropy_assets.stores.home import Home

    return str(Home.of(settings).keys_file) if settings.keys is None else settings.keys.get_secret_value()


def recipe_for(source: str, settings: "Settings") -> Recipe:
    """Return the recipe of the settings.

    Raises
    ------
    click.UsageError
        If it lists no such source.
    """
    recipe = recipe_named(settings.recipe)
    if source not in (DROP, *recipe.sources):
        listed = ", ".join(recipe.sources)
        raise click.UsageError(f"no source is called {source!r}; recipe {recipe.name} lists {listed}")
    return recipe


def known_dagsters(of_the_home: Path) -> list[Path]:
    """Return where there is a Dagster: in the home, which is that of ``up``, and in DAGSTER_HOME. Say if there is none.

    Both where there are both: an installation that left ``up`` has the old one still.
    """
    from entropy_assets.settings import dagster_home

    places = dict.fromkeys(place for place in (of_the_home, dagster_home()) if place is not None)
    found = [place for place in places if (place / "dagster.yaml").is_file()]
    if not found:
        looked = " and ".join(map(str, places))
        click.echo(f"no Dagster was asked: no dagster.yaml in {looked}; set DAGSTER_HOME if it is elsewhere", err=True)
    return found


def table_console() -> "Console":
    """Return where tables are printed: as wide as the terminal; into a pipe or a file no cell is folded or cut off."""
    from rich.console import Console

    console = Console(emoji=False)  # a name may hold :x:
    if not console.is_terminal:
        console.width = WIDEST
    return console


@contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that moves the bar of a name on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True, quiet=quiet)
    bars = Progress(
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, Any] = {}

    def move(name: str, done: int, total: int) -> None:
        if name not in tasks:
            tasks[name] = bars.add_task(name, total=total)
        bars.update(tasks[name], completed=done, total=total)

    with bars:
        yield move


def interruptibly(work: Callable[[], R]) -> R:
    """Return what `work` returns or raises; Ctrl-C is heard at once, inside of a compiled loop too.

    Such a loop may take a minute, and until it ends the thread that runs it hears of no signal. So `work` runs beside
    the main thread; what is left of it ends with the process. It must not read from standard input.
    """
    ended: Future[R] = Future()

    def run() -> None:
        try:
            ended.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
            ended.set_exception(error)

    Thread(target=run, daemon=True).start()
    while not wait([ended], timeout=_HEARD_S).done:  # a signal that comes just as a wait begins is heard when it ends
        pass
    return ended.result()


def sources_known(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the recipe's sources whose name begins so, for who completes words."""
    try:
        return [name for name in recipe_named(settings_of().recipe).sources if name.startswith(begun)]
    except (click.UsageError, EntropyAssetsError):
        return []  # the command itself says what is wrong with the settings


source_option = click.option(
    "--source",
    default=DROP,
    shell_complete=sources_known,
    help="Where the files come from, if you vouch for it: one of the recipe's sources. By default nobody does.",
)
home_option = click.option(
    "--home", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Folder of the installation."
)
any_home_option = click.option(
    "--home", type=click.Path(path_type=Path, file_okay=False), help="Folder of the installation, or of a new one."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")
