"""``entropy-assets assess``: what images are worth and why, and what SP 800-90B says of raw samples of any source."""

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from entropy_assets.cli.shell import (
    EXIT_NO_BLOCK,
    interruptibly,
    json_option,
    progress_bars,
    recipe_for,
    settings_of,
    source_option,
    typed_errors,
)
from entropy_assets.stores.durable import private_files

if TYPE_CHECKING:
    from entropy_assets.cli.reports.sp800_90b import Section
    from entropy_assets.images.limits import DecodeLimits
    from entropy_assets.settings import Settings

Progress = Callable[[str, int, int], None]
OF_SAMPLES: Final = ("iid", "early", "seed", "first", "column_dataset")
"""Options that mean nothing without the width of a symbol."""
OF_IMAGES: Final = ("source", "export")
"""Options that mean nothing with it."""


@click.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
)
@source_option
@click.option(
    "--export",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the assessed samples of images into this folder, one byte each, as the NIST tool reads them.",
)
@click.option(
    "--bits-per-symbol",
    "bits",
    type=click.IntRange(1, 16),
    help="The files are raw samples: 1 to 8 bits in a byte each, 9 to 16 in two, the lower first.",
)
@click.option("--iid", is_flag=True, help="Samples: take the IID track, with chi-square and permutation tests.")
@click.option("--early", is_flag=True, help="With --iid: decide early, which is not the standard's test and says so.")
@click.option("--seed", type=click.IntRange(0), help="With --iid: of the permutations, 0 by default. It is printed.")
@click.option("--first", type=click.IntRange(1), help="Samples: read so many, not all.")
@click.option("--submitter", type=click.FloatRange(0), help="H_submitter: what your model says, bits per sample.")
@click.option(
    "--restart",
    is_flag=True,
    help="Restart tests: on 1000 x 1000 samples, or on frames of one sensor, a row each.",
)
@click.option("--h-initial", type=click.FloatRange(0, min_open=True), help="With --restart: H_I, bits per sample.")
@click.option("--column-dataset", is_flag=True, help="With --restart: the file holds one column after the other.")
@json_option
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a report to open in a browser.")
@click.pass_context
@typed_errors
def assess(
    context: click.Context, /, paths: tuple[Path, ...], as_json: bool, html: Path | None, **options: Any
) -> None:
    """Tell what each image is worth, or what the SP 800-90B estimators say of raw samples. Nothing is spent or kept.

    Without --bits-per-symbol the files are images, and a folder stands for all that are in it: each stands alone, and
    what frames of one batch share is not taken off. With it they are raw samples, of any noise source; '-' reads them
    from a pipe. With --restart the frames of one sensor, or 1000 x 1000 samples, are searched for what stays.

    Exit code 3 says that nothing has any worth: no image has credit, samples have no min-entropy or are not IID, or
    restart tests fail.
    """
    _require_sense(context, options, html)
    paths = tuple(_without_folders(paths, samples=options["bits"] is not None))
    if options["bits"] is None and not options["restart"]:
        worth, told = _images(paths, options, as_json), None
    else:
        with progress_bars(quiet=as_json) as progress:
            worth, told, sections = _standard(paths, options, progress, with_sections=html is not None)
        if html is not None:
            _write_report(html, sections)
    if told is not None:
        click.echo(json.dumps(told[0]) if as_json else "\n".join(told[1]))
    if not worth:
        sys.exit(EXIT_NO_BLOCK)


def _require_sense(context: click.Context, options: dict[str, Any], html: Path | None) -> None:
    """Raise a usage error where options were given that mean nothing together."""
    given = {
        name
        for name in context.params
        if context.get_parameter_source(name) not in (click.core.ParameterSource.DEFAULT, None)
    }
    for name in ("submitter", "h_initial"):
        if options[name] is not None and not math.isfinite(options[name]):
            raise click.UsageError(f"{_flags([name])} is a number of bits per sample, not {options[name]}")
    samples, restart = options["bits"] is not None, options["restart"]
    wants_samples = [name for name in OF_SAMPLES if name in given]
    if wants_samples and not samples:
        raise click.UsageError(f"{_flags(wants_samples)}: say how wide a symbol is with --bits-per-symbol")
    if any(str(path) == "-" for path in context.params["paths"]) and not samples:
        raise click.UsageError("'-' is raw samples from a pipe: say how wide a symbol is with --bits-per-symbol")
    if samples and (of_images := [name for name in OF_IMAGES if name in given]):
        raise click.UsageError(f"{_flags(of_images)} is of images; with --bits-per-symbol the files are raw samples")
    if {"early", "seed"} & given and not options["iid"]:
        raise click.UsageError("--early and --seed are of the permutation tests: add --iid")
    if {"h_initial", "column_dataset"} & given and not restart:
        raise click.UsageError("--h-initial and --column-dataset are of the restart tests: add --restart")
    if restart and samples and "h_initial" not in given:
        raise click.UsageError("the restart tests need what was assessed before: --h-initial H_I, bits per sample")
    if not samples and not restart and (html is not None or "submitter" in given):
        raise click.UsageError("--html and --submitter are of raw samples: add --bits-per-symbol, or --restart")


def _without_folders(paths: Iterable[Path], *, samples: bool) -> Iterator[Path]:
    """Yield the files, and in the place of a folder its images.

    Raises
    ------
    click.UsageError
        If there is none in one, or the files are raw samples.
    """
    from entropy_assets.stages.pipeline import images_in

    for path in paths:
        if not path.is_dir():
            yield path
            continue
        if samples:
            raise click.UsageError(f"{path} is a folder: name the files of raw samples in it")
        if not (images := images_in(path)):
            raise click.UsageError(f"{path} is a folder without an image; name files, or a folder of them")
        yield from images


def _flags(names: Iterable[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def _limits(settings: "Settings") -> "DecodeLimits":
    from entropy_assets.images.limits import DecodeLimits

    return DecodeLimits(max_file_bytes=settings.max_file_bytes, max_pixels=settings.max_pixels)


def _images(paths: tuple[Path, ...], options: dict[str, Any], as_json: bool) -> bool:
    """Tell what each image is worth, one after the other; return whether any has credit."""
    from entropy_assets.cli.assessing.images import assessed_image, lines_about_image

    settings, source = settings_of(), options["source"]
    recipe, limits = recipe_for(source, settings), _limits(settings)
    rows = []
    for path in paths:
        with private_files():
            row = assessed_image(path, source, recipe, limits, options["export"])
        rows.append(row)
        if not as_json:
            click.echo("\n".join(lines_about_image(row)) + "\n")
    if as_json:
        click.echo(json.dumps({"recipe": recipe.name, "source": source, "images": rows}))
    return any(row["credit_bits"] for row in rows)


def _standard(
    paths: tuple[Path, ...], options: dict[str, Any], progress: Progress, *, with_sections: bool
) -> tuple[bool, tuple[dict[str, Any], list[str]], list["Section"]]:
    """Return whether anything is left, what is told to machines and in lines, and the sections of a report."""
    if options["bits"] is None:
        return _sensor(paths, options, progress, with_sections=with_sections)
    if options["restart"]:
        return _matrices(paths, options, with_sections=with_sections)
    return _samples(paths, options, progress, with_sections=with_sections)


def _samples(
    paths: tuple[Path, ...], options: dict[str, Any], progress: Progress, *, with_sections: bool
) -> tuple[bool, tuple[dict[str, Any], list[str]], list["Section"]]:
    from entropy_assets.cli.assessing.samples import assessed_samples, read_samples
    from entropy_assets.cli.assessing.words import lines_about_samples

    rows, lines, sections, worth = [], [], [], False
    for path in paths:
        file = read_samples(path, options["bits"], options["first"])
        asked = {"iid": options["iid"], "early": options["early"], "seed": options["seed"] or 0}
        asked |= {"h_submitter": options["submitter"], "progress": progress}
        found = interruptibly(partial(assessed_samples, file, **asked))
        rows.append(found.to_row())
        lines += [*lines_about_samples(found), ""]
        if with_sections:
            from entropy_assets.cli.assessing.sections import section_of_samples

            sections.append(section_of_samples(found))
        worth = worth or bool(found.min_entropy)
    return worth, ({"files": rows}, lines), sections


def _matrices(
    paths: tuple[Path, ...], options: dict[str, Any], *, with_sections: bool
) -> tuple[bool, tuple[dict[str, Any], list[str]], list["Section"]]:
    from entropy_assets.cli.assessing.restarts import assessed_matrix
    from entropy_assets.cli.assessing.samples import read_samples
    from entropy_assets.cli.assessing.words import lines_about_matrix

    rows, lines, sections, worth = [], [], [], False
    h_i = min(options["h_initial"], options["submitter"] if options["submitter"] is not None else options["h_initial"])
    for path in paths:
        file = read_samples(path, options["bits"], options["first"])
        asked = {"column_dataset": options["column_dataset"], "iid": options["iid"]}
        found = interruptibly(partial(assessed_matrix, file, h_i, **asked))
        rows.append(file.to_row() | {"min_entropy": found.h, "restart": found.to_row()})
        lines += [*lines_about_matrix(file, found), ""]
        if with_sections:
            from entropy_assets.cli.assessing.sections import section_of_matrix

            sections.append(section_of_matrix(file, found))
        worth = worth or found.passed
    return worth, ({"files": rows}, lines), sections


def _sensor(
    paths: tuple[Path, ...], options: dict[str, Any], progress: Progress, *, with_sections: bool
) -> tuple[bool, tuple[dict[str, Any], list[str]], list["Section"]]:
    from entropy_assets.cli.assessing.restarts import assessed_sensor
    from entropy_assets.cli.assessing.words import lines_about_sensor

    settings, source = settings_of(), options["source"]
    recipe = recipe_for(source, settings)
    with private_files():
        sensor = interruptibly(
            lambda: assessed_sensor(
                paths,
                source,
                recipe,
                _limits(settings),
                h_i=options["h_initial"],
                h_submitter=options["submitter"],
                export=options["export"],
                progress=progress,
            )
        )
    sections = []
    if with_sections:
        from entropy_assets.cli.assessing.sections import section_of_sensor

        sections.append(section_of_sensor(sensor))
    told = {"recipe": recipe.name, "source": source, **sensor.to_row()}
    return sensor.restarts.passed, (told, list(lines_about_sensor(sensor))), sections


def _write_report(path: Path, sections: list["Section"]) -> None:
    from entropy_assets.cli.reports.page import page
    from entropy_assets.cli.reports.sp800_90b import titled

    path.write_text(page(titled(len(sections)), sections), encoding="utf-8")
