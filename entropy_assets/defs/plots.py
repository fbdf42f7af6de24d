"""One picture per asset, inside Markdown: the only way to show a picture in Dagster's UI.

A picture lives in the event log for as long as the run, so each is kept small, and none shows a block's bytes. Those of
a batch are drawings (SVG) around the few pixels that they need; under 1000 characters the UI shows one without a click.
Those of reports and feeds are plots (WebP), for which alone matplotlib is loaded.
"""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import dagster as dg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from entropy_assets.stores.file_names import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK: Final = "#1b2a41"
ACCENT: Final = "#2a9d8f"
BAD: Final = "#c8553d"
MAX_PICTURES: Final = 6
_LEFT_OUT: Final = "..."
"""Stands for the middle of a text that is too long: an ellipsis of its own is six bytes of JSON."""
_DPI: Final = 80
_QUALITY: Final = 2
"""Of WebP, for pictures of images: their noise is what can't be compressed, and nothing is read off it here."""
_WIDTH: Final = 440
"""Of a drawing, pixels on the screen."""
_ACROSS: Final = 4
_LETTER: Final = 5
"""Width of a letter of a title, pixels."""
LONGEST_SIDE: Final = 96
"""Of the picture of an image, pixels."""
_SIDES: Final = {1: LONGEST_SIDE, 2: 72, 3: 48, 4: 48}
"""Of an image among so many, pixels: with the room for its title a whole number of the squares that WebP codes."""
_SIDE: Final = 32
"""The same among more."""
_SQUARES: Final = 48
"""The most squares along a side of a map."""
_NAME_LETTERS: Final = 24
"""Of the name of a file beside a bar: those of feeds end with a part of their hash."""
_BAR: Final = 12
"""Height of a bar with what parts it from the next, pixels."""
_DOTS: Final = 8
"""The most P-values of a test that are drawn one by one."""
_POINTS: Final = 16
"""P-values that a curve goes through: of more blocks, so many of the sorted ones, evenly spread."""
_COLOURS: Final = (
    *(ACCENT, "#d9d9d9", "#8c2d04", "#5b6b8a", "#b5a642", "#7b4173"),
    *("#e0a458", "#00a6d6", "#ad494a", "#637939", "#d6a5c9", "#969696"),
)
"""Of the squares of a map, by what is said of them; the first are the live ones."""
_PLAIN: Final = " !$'()*+,-./:;=?@_~"
"""What neither an address nor Markdown reads anything into."""


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


def drawing(height: int, parts: str, alternative: str, width: int = _WIDTH) -> dg.MarkdownMetadataValue:
    """Return elements of SVG as Markdown with an inline picture; `alternative` is its text for those who don't see it.

    Parameters
    ----------
    width, height
        Pixels on the screen, which are the units of `parts`.
    parts
        The elements. Text of others comes through `_text` alone.
    """
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}'"
        f" style='font:9px sans-serif;background:#fff'>{parts}</svg>"
    )
    return dg.MetadataValue.md(f"![{alternative}](<data:image/svg+xml,{quote(svg, safe=_PLAIN)}>)")


def shortened(text: str, longest: int) -> str:
    """Return `text` with no more characters than `longest`, without its middle: what tells names apart is their end."""
    if len(text) <= longest:
        return text
    kept = longest - len(_LEFT_OUT)
    return text[: kept // 2] + _LEFT_OUT + text[-(kept - kept // 2) :]


def _text(x: int, y: int, text: str) -> str:
    beside = f" x='{x}'" if x else ""
    return f"<text{beside} y='{y}'>{escape(printable(text), quote=False)}</text>"


def _path(steps: str, colour: str, width: int, more: str = "") -> str:
    return f"<path d='{steps}' stroke='{colour}' stroke-width='{width}'{more}/>" if steps else ""


def means_of(pixels: NDArray[Any], step: int) -> NDArray[Any]:
    """Return the means of `step` x `step` pixels each, without what is left over at two edges; the noise goes first."""
    ny, nx = max(1, pixels.shape[0] // step), max(1, pixels.shape[1] // step)
    cut = pixels[: ny * step, : nx * step]
    return cut.reshape(ny, cut.shape[0] // ny, nx, cut.shape[1] // nx).mean(axis=(1, 3))


def _fitted(pixels: NDArray[np.uint8], side: int, around: int) -> NDArray[np.uint8]:
    """Return `pixels` enlarged or thinned out to ``[side, side]``; what they leave of it is `around`."""
    longest = max(pixels.shape)
    ny, nx = (max(1, side * length // longest) for length in pixels.shape)
    cell = np.full((side, side), around, np.uint8)
    rows, columns = (np.arange(n) * length // n for n, length in zip((ny, nx), pixels.shape, strict=True))
    cell[:ny, :nx] = pixels[np.ix_(rows, columns)]
    return cell


class _Sheet:
    """Square pictures of one size, four across, and above each room for its title."""

    def __init__(self, cells: Sequence[NDArray[np.uint8]], around: int) -> None:
        side = len(cells[0])
        room = side // 8
        self.columns = min(_ACROSS, len(cells))
        self.rows = -(-len(cells) // _ACROSS)
        self.pixels = np.full((self.rows * (side + room), self.columns * (side + room)), around, np.uint8)
        for place, cell in enumerate(cells):
            y, x = ((side + room) * at for at in divmod(place, _ACROSS))
            self.pixels[y + room : y + room + side, x : x + side] = cell
        self.cell = min(_WIDTH // 2, _WIDTH // self.columns)
        self.height = self.cell * self.rows

    def drawn(self, titles: Sequence[str], picture: Image.Image, style: str = "", **encoding: Any) -> str:
        """Return the elements of `picture`, which is what `pixels` stand for, and of the titles."""
        webp = io.BytesIO()
        picture.save(webp, format="webp", method=6, **encoding)
        longest = self.cell // _LETTER
        texts = (
            _text(self.cell * (place % _ACROSS), self.cell * (place // _ACROSS) + self.cell // 12, title)
            for place, title in enumerate(shortened(title, longest) for title in titles)
        )
        data = base64.b64encode(webp.getvalue()).decode("ascii")
        return (
            f"<image width='{self.cell * self.columns}' height='{self.height}'{style}"
            f" href='data:image/webp;base64,{data}'/>{''.join(texts)}"
        )


def thumbnails(pictures: Sequence[tuple[str, NDArray[Any] | None]]) -> dg.MarkdownMetadataValue:
    """Show each image small, stretched between its 1st and 99th percentile; a grey field where none could be read."""
    shown = pictures[:MAX_PICTURES]
    if not shown:
        return dg.MetadataValue.md("no image")
    sheet = _Sheet([_stretched(pixels, _SIDES.get(len(shown), _SIDE)) for _, pixels in shown], 255)
    parts = sheet.drawn([title for title, _ in shown], Image.fromarray(sheet.pixels), quality=_QUALITY)
    return drawing(sheet.height, parts, f"{len(shown)} images of the batch")


def _stretched(pixels: NDArray[Any] | None, side: int) -> NDArray[np.uint8]:
    if pixels is None:
        return _fitted(np.full((2, 3), 204, np.uint8), side, 255)
    means = means_of(pixels, -(-max(pixels.shape) // side))
    low, high = np.percentile(means, (1, 99))
    grey = np.clip((means - low) / max(high - low, 1) * 255, 0, 255)
    return _fitted(grey.astype(np.uint8), side, 255)


def live_areas(maps: Sequence[tuple[str, NDArray[np.uint8]]], names: Sequence[str]) -> dg.MarkdownMetadataValue:
    """Show which squares of each image were used, and why the others were not.

    Parameters
    ----------
    maps
        Title and map of each image; a map holds indices into `names`. Of a large one not every square is shown.
    names
        Meaning of each value; the first is the live one.
    """
    shown = maps[:MAX_PICTURES]
    if not shown:
        return dg.MetadataValue.md("no image")
    side = min(_SQUARES, max(max(area.shape) for _, area in shown))
    sheet = _Sheet([_fitted(area, side, len(names)) for _, area in shown], len(names))
    colours = [bytes.fromhex(colour[1:]) for colour in _COLOURS[: len(names)]] + [b"\xff\xff\xff"]
    picture = Image.fromarray(np.array([list(colour) for colour in colours], np.uint8)[sheet.pixels])
    parts = sheet.drawn(
        [title for title, _ in shown], picture, " style='image-rendering:pixelated'", lossless=True, quality=100
    )
    said = [
        f"<tspan fill='{_COLOURS[value]}'>\u25a0</tspan> {names[value]} "
        for value in sorted({int(value) for _, area in shown for value in np.unique(area)})
    ]
    legend = f"<text y='{sheet.height + 12}'>{''.join(said)}</text>"
    return drawing(sheet.height + 16, parts + legend, "map of the live area of each image")


def credit_by_image(credits: Mapping[str, int]) -> dg.MarkdownMetadataValue:
    """Show how many bits of credit each image puts into the blocks: the first of them."""
    shown = dict(islice(credits.items(), MAX_PICTURES))
    most = max(shown.values(), default=0) or 1
    bars = "".join(f"M260 {_BAR * place + 6}h{180 * bits // most}" for place, bits in enumerate(shown.values()))
    texts = "".join(
        _text(0, _BAR * place + 9, f"{shortened(name, _NAME_LETTERS)}: {bits / 1000:.0f} kbit")
        for place, (name, bits) in enumerate(shown.items())
    )
    return drawing(_BAR * max(1, len(shown)), _path(bars, ACCENT, 8) + texts, "credit of each image")


def p_values(by_test: Mapping[str, NDArray[np.float64]], reject_below: float) -> dg.MarkdownMetadataValue:
    """Show the P-values of each test, sorted, against the straight line that good blocks follow.

    Those of few blocks are dots, those of many a curve; what is under `reject_below` is a cross.
    """
    lines, good, bad, texts = "", "", "", ""
    for place, (test, values) in enumerate(by_test.items()):
        left = 110 * place + 2
        lines += f"M{left} 14v90h90M{left} 104l90-90"
        texts += _text(left, 9, test.replace("_", " "))
        before = None
        for across, up, is_rejected in _points(values, reject_below):
            x, y = left + across, 104 - up
            if is_rejected:
                bad += f"M{x - 3} {y - 3}l6 6m0-6l-6 6"
            elif before is None or len(values) <= _DOTS:
                good += f"M{x} {y}v0"
                before = x, y
            else:
                good += f"l{x - before[0]}" + f"{y - before[1]:+}".replace("+", " ")
                before = x, y
    parts = (
        _path(lines, INK, 1, " fill='none'")
        + _path(good, ACCENT, 3, " fill='none' stroke-linecap='round'")
        + _path(bad, BAD, 1)
        + _text(2, 115, "P-values, over those expected")
    )
    return drawing(118, parts + texts, "P-values against those of good blocks")


def _points(values: NDArray[np.float64], reject_below: float) -> Iterator[tuple[int, int, bool]]:
    """Yield the place and the height of sorted P-values, in 90ths, and whether each is rejected."""
    ordered = np.sort(values)
    count = len(ordered)
    for number in np.unique(np.linspace(0, count - 1, min(count, _POINTS)).round().astype(int)):
        value = float(ordered[number])
        yield round(90 * (int(number) + 0.5) / count), round(90 * value), value < reject_below
