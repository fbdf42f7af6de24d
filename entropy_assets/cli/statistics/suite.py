"""``entropy-assets test``: the fifteen tests of SP 800-22 on a file or a pipe."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click
from click.shell_completion import CompletionItem

from entropy_assets.cli.shell import EXIT_NO_BLOCK, interruptibly, json_option, typed_errors
from entropy_assets.errors import InputRefused, InputTooShort, require_extra
from entropy_assets.stores.file_names import printable

if TYPE_CHECKING:
    from entropy_assets.cli.statistics.outcome import SuiteOutcome
    from entropy_assets.core.sp800_22.findings import Compat, Parameters
    from entropy_assets.core.sp800_22.suite import SuiteReport

EXIT_FAILED: Final = EXIT_NO_BLOCK
STANDARD_INPUT: Final = "-"
MOST_DIGITS: Final = 18
"""Digits of a parameter; more than some thousands are none to Python."""
GROUP_OF_STS: Final = 4
"""Bytes that sts-2.1.2 reads at once."""


class _TestName(click.ParamType):
    """The name of a test of the suite, or several with commas between them."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the names, in the order of their sections."""
        from entropy_assets.core.sp800_22.suite import names_of

        try:
            return names_of(value.split(","))
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin so."""
        from entropy_assets.core.sp800_22.suite import SUITE

        return [CompletionItem(name) for name in SUITE if name.startswith(incomplete)]


class _Parameter(click.ParamType):
    """NAME=NUMBER: a parameter of the tests."""

    name = "name=number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Return name and number."""
        names = _parameter_names()
        name, _, number = value.partition("=")
        if name not in names:
            self.fail(f"{name!r} is no parameter; there are {', '.join(names)}", param, ctx)
        if not number.isdecimal() or len(number) > MOST_DIGITS:
            self.fail(f"{name} is a whole number, as in {name}=10", param, ctx)
        return name, int(number)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin so."""
        return [CompletionItem(f"{name}=") for name in _parameter_names() if name.startswith(incomplete)]


def _parameter_names() -> tuple[str, ...]:
    from entropy_assets.core.sp800_22.findings import Parameters

    return tuple(Parameters.__dataclass_fields__)


@click.command("test")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--bits", type=click.IntRange(min=1), help="Bits of a sequence; by default all bits are one.")
@click.option(
    "--sequences",
    type=click.IntRange(min=1),
    help="How many sequences; by default all that are whole with --bits, else one.",
)
@click.option(
    "--compat",
    type=click.Choice(["strict", "sts"]),
    default="strict",
    show_default=True,
    help="strict: the constants and least sizes that the standard means. sts: the numbers of NIST's sts-2.1.2.",
)
@click.option("--tests", type=_TestName(), multiple=True, help="Only these tests; repeat it, or use commas.")
@click.option("--parameter", "parameters", type=_Parameter(), multiple=True, help="As in serial=14; repeat it.")
@click.option(
    "--layout",
    type=click.Choice(["auto", "packed", "ascii", "bytes"]),
    default="auto",
    show_default=True,
    help="Eight bits to a byte, characters 0 and 1, or a byte of 0 or 1 for each bit.",
)
@json_option
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with plots into this file.")
@click.option("--exit-code", is_flag=True, help="End with 3 if the bits are not consistent with random ones.")
@typed_errors
def test(
    file: str,
    bits: int | None,
    sequences: int | None,
    compat: "Compat",
    tests: tuple[tuple[str, ...], ...],
    parameters: tuple[tuple[str, int], ...],
    layout: str,
    as_json: bool,
    html: Path | None,
    exit_code: bool,
) -> None:
    """Run the fifteen tests of SP 800-22 on the bits of FILE, or of a pipe (-).

    Bits that fail are a result, not an error: the exit code is 0 then too, unless --exit-code asks for 3. One in a
    thousand reports on good bits fails. With --bits any length is read in the memory of one sequence.
    """
    if html is not None:
        require_extra("sp800", "matplotlib")
        if not html.absolute().parent.is_dir():
            raise click.UsageError(f"--html: there is no folder {printable(str(html.absolute().parent))}")
    from entropy_assets.core.sp800_22.findings import Parameters

    try:
        settled = Parameters(**dict(parameters))
    except ValueError as error:
        raise click.UsageError(f"--parameter: {error}") from error
    names = tuple(dict.fromkeys(name for some in tests for name in some)) or None
    with _opened(file) as stream, _progress() as progress:
        run = _Run(stream, layout, compat, settled, names, progress)
        interrupted = None
        try:
            run.sequences(bits, sequences)
        except KeyboardInterrupt as stopped:
            interrupted = stopped
    if interrupted and not run.tally.sequences:
        click.echo("no sequence was done", err=True)
        raise interrupted
    outcome = run.outcome(printable(file), interrupted=interrupted is not None)
    _tell(outcome, as_json, html)
    if interrupted:
        click.echo(f"after {run.tally.sequences:,} sequences; the report is of these", err=True)
        raise interrupted
    if exit_code and outcome.second_level.failed:
        sys.exit(EXIT_FAILED)


class _Run:
    """The suite on one sequence after the other; what is done stays done when it is interrupted."""

    def __init__(
        self,
        stream: BinaryIO,
        layout: str,
        compat: "Compat",
        parameters: "Parameters",
        tests: tuple[str, ...] | None,
        progress: Callable[[int, int | None], None],
    ) -> None:
        from entropy_assets.cli.statistics.sequences import Layout, Sequences
        from entropy_assets.core.sp800_22.second_level.across import Tally

        group = GROUP_OF_STS if compat == "sts" else 1
        self._sequences = Sequences(stream, None if layout == "auto" else Layout(layout), group)
        self._asked: dict[str, Any] = {"compat": compat, "parameters": parameters, "tests": tests}
        self._progress = progress
        self._group = group
        self.tally = Tally()
        self._first: SuiteReport | None = None

    def sequences(self, bits: int | None, wanted: int | None) -> None:
        """Test so many sequences of so many bits.

        Raises
        ------
        InputTooShort
            If there are fewer.
        """
        if bits is None:
            return self._parts(wanted or 1)
        while (wanted is None or self.tally.sequences < wanted) and (data := self._sequences.take(bits)) is not None:
            self._suite(data, bits, wanted)
        if not self.tally.sequences or (wanted and self.tally.sequences < wanted):
            self._too_few(bits, wanted or 1)
        return None

    def _parts(self, parts: int) -> None:
        """Test all bits as so many sequences of one length."""
        data, n = self._sequences.rest()
        if parts == 1:
            return self._suite(data, n, 1)
        size = n // parts // (8 * self._group) * self._group
        if not size:
            raise InputTooShort(f"{n:,} bits are too few for {parts:,} sequences", length=n, sequences=parts)
        for i in range(parts):
            self._suite(data[i * size : (i + 1) * size], 8 * size, parts)
        return None

    def _suite(self, data: bytes, n: int, wanted: int | None) -> None:
        from entropy_assets.core.sp800_22.suite import run_suite

        self._progress(self.tally.sequences, wanted)
        report = interruptibly(lambda: run_suite(data, n, **self._asked))
        self._first = self._first or report
        self.tally.add(report)
        self._progress(self.tally.sequences, wanted)

    def _too_few(self, bits: int, wanted: int) -> None:
        done, left = self.tally.sequences, self._sequences.left
        there = bits * done + left
        hint = f"say --sequences {done:,}" if done else f"say --bits {left}" if left else "there are no bits"
        raise InputTooShort(
            f"{there:,} bits are too few for {wanted:,} x {bits:,}: {hint}",
            length=there,
            bits=bits,
            sequences=wanted,
            whole=done,
        )

    def outcome(self, name: str, *, interrupted: bool) -> "SuiteOutcome":
        """Return what was found in the sequences that are done."""
        from entropy_assets.cli.statistics.outcome import suite_outcome

        return suite_outcome(
            self.tally,
            self._first if self.tally.sequences == 1 else None,
            name=name,
            layout=str(self._sequences.layout),
            sha256=self._sequences.sha256,
            bytes_read=self._sequences.bytes_read,
            interrupted=interrupted,
        )


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise InputRefused(f"{printable(file)} can't be read: {error.strerror}") from error
        yield stream


@contextmanager
def _progress() -> Iterator[Callable[[int, int | None], None]]:
    """Yield what is told how many sequences of how many are done; it shows them if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, wanted: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("sequences"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("sequences", total=None)
        yield lambda done, wanted: bars.update(bar, completed=done, total=wanted)


def _tell(outcome: "SuiteOutcome", as_json: bool, html: Path | None) -> None:
    if html is not None:
        from entropy_assets.cli.statistics.suite_page import page_of

        html.write_text(page_of(outcome), encoding="utf-8")
    if as_json:
        click.echo(json.dumps(outcome.to_row()))
        return
    from entropy_assets.cli.statistics.suite_text import lines_of

    click.echo("\n".join(lines_of(outcome)))
    if html is not None:
        click.echo(f"\nthe page is in {printable(str(html))}")
