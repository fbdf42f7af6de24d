"""One picture per asset, as WebP inside Markdown: the only way to show a picture in Dagster's UI.

A picture lives in the event log for as long as the run, so each is kept small, and none shows a block's bytes.
Names of files are shown as they are: matplotlib would read a formula between two dollars, and fail at half of one.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#1b2a41"
ACCENT: Final = "#2a9d8f"
BAD: Final = "#c8553d"
_DPI: Final = 80
_QUALITY: Final = 12
"""Of WebP, for pictures of images: their noise is what can't be compressed, and nothing is read off it here."""
MAX_PICTURES: Final = 8


def new_figure(columns: int = 1, rows: int = 1, *, width: float = 7.2, height: float = 3.0) -> "tuple[Figure, Any]":
    """Return a figure with its axes, ``[rows, columns]``; sizes in inches."""
    # pyplot keeps figures in module state; a Figure of its own is freed with the step.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def as_markdown(figure: "Figure", alternative: str, **encoding: Any) -> dg.MarkdownMetadataValue:
    """Return `figure` as Markdown with an inline picture; `alternative` is its text for those who don't see it.

    Without another `encoding` of Pillow's WebP no pixel is changed beyond its 32 colours.
    """
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    picture = Image.open(drawn).convert("RGB")
    if not encoding:
        # Few colours are enough for these pictures, and a quarter of the size.
        picture, encoding = picture.quantize(32).convert("RGB"), {"lossless": True}
    picture.save(small, format="webp", method=6, **encoding)
    encoded = base64.b64encode(small.getvalue()).decode("ascii")
    return dg.MetadataValue.md(f"![{alternative}](data:image/webp;base64,{encoded})")


def means_of(pixels: NDArray[Any], step: int) -> NDArray[Any]:
    """Return the means of `step` x `step` pixels each, without what is left over at two edges; the noise goes first."""
    ny, nx = max(1, pixels.shape[0] // step), max(1, pixels.shape[1] // step)
    cut = pixels[: ny * step, : nx * step]
    return cut.reshape(ny, cut.shape[0] // ny, nx, cut.shape[1] // nx).mean(axis=(1, 3))


def thumbnails(pictures: Sequence[tuple[str, NDArray[Any] | None]]) -> dg.MarkdownMetadataValue:
    """Show each image small, stretched between its 1st and 99th percentile; a grey field where none could be read."""
    shown = pictures[:MAX_PICTURES]
    columns = max(1, min(4, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    figure, axes = new_figure(columns, rows, height=1.9 * rows)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, pixels) in zip(axes.flat, shown, strict=False):
        axis.set_title(title, fontsize=7, color=BAD if pixels is None else INK, parse_math=False)
        if pixels is None:
            axis.imshow(np.full((2, 3), 0.8), cmap="gray", vmin=0, vmax=1)
        else:
            low, high = np.percentile(pixels, (1, 99))
            axis.imshow(pixels, cmap="gray", vmin=low, vmax=max(high, low + 1), interpolation="nearest")
    return as_markdown(figure, f"{len(shown)} images of the batch", quality=_QUALITY)


def live_areas(maps: Sequence[tuple[str, NDArray[np.uint8]]], names: Sequence[str]) -> dg.MarkdownMetadataValue:
    """Show which squares of each image were used, and why the others were not.

    Parameters
    ----------
    maps
        Title and map of each image; a map holds indices into `names`.
    names
        Meaning of each value; the first is the live one.
    """
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    shown = maps[:MAX_PICTURES]
    colours: list[Any] = [
        ACCENT,
        *(colormaps["tab20b"](i / max(1, len(names) - 1)) for i in range(1, len(names))),
    ]
    columns = max(1, min(4, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    figure, axes = new_figure(columns, rows, height=1.9 * rows + 0.6)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, area) in zip(axes.flat, shown, strict=False):
        axis.set_title(title, fontsize=7, color=INK, parse_math=False)
        axis.imshow(area, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(names) - 0.5, interpolation="nearest")
    present = sorted({int(value) for _, area in shown for value in np.unique(area)})
    handles = [Patch(color=colours[value], label=names[value]) for value in present]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=7)
    return as_markdown(figure, "map of the live area of each image")


def credit_by_image(credits: Mapping[str, int]) -> dg.MarkdownMetadataValue:
    """Show how many bits of credit each image puts into the blocks."""
    figure, axes = new_figure(height=0.6 + 0.3 * max(1, len(credits)))
    axis: Axes = axes[0, 0]
    places = range(len(credits))
    axis.barh(places, [bits / 1000 for bits in credits.values()], color=ACCENT)
    axis.set_yticks(places, list(credits), parse_math=False)
    axis.invert_yaxis()
    axis.set_xlabel("credit, thousands of bits")
    axis.tick_params(labelsize=7)
    return as_markdown(figure, "credit of each image")


def p_values(by_test: Mapping[str, NDArray[np.float64]], reject_below: float) -> dg.MarkdownMetadataValue:
    """Show the P-values of each test against the straight line that good blocks follow."""
    figure, axes = new_figure(max(1, len(by_test)), width=1.8 * max(1, len(by_test)), height=1.8)
    for axis, (test, values) in zip(axes.flat, by_test.items(), strict=False):
        ordered = np.sort(values)
        expected = (np.arange(len(ordered)) + 0.5) / max(1, len(ordered))
        axis.plot([0, 1], [0, 1], color=INK, linewidth=0.8)
        axis.plot(expected, ordered, ".", markersize=3, color=ACCENT)
        low = ordered < reject_below
        axis.plot(expected[low], ordered[low], "x", color=BAD)
        axis.set_title(test.replace("_", " "), fontsize=8, color=INK)
        axis.set_xlabel("expected", fontsize=7)
        axis.set_ylabel("P-value", fontsize=7)
        axis.tick_params(labelsize=6)
    return as_markdown(figure, "P-values against those of good blocks")


def depth_change(before: int, after: int, pushed: int, refused: int) -> dg.MarkdownMetadataValue:
    """Show the depth of the pool before and after a publication, in blocks."""
    figure, axes = new_figure(width=5.0, height=1.6)
    axis: Axes = axes[0, 0]
    axis.barh(["before", "after", "pushed", "refused"], [before, after, pushed, refused], color=[INK, INK, ACCENT, BAD])
    axis.invert_yaxis()
    axis.set_xlabel("blocks")
    axis.tick_params(labelsize=7)
    return as_markdown(figure, f"pool depth {before} before and {after} after")
