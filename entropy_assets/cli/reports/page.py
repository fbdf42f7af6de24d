"""One HTML page that stands alone: no script, no font and no file from elsewhere, light and dark.

The same input gives the same page: no clock and no chance enter. Every text is escaped, once, here: a file may have any
name. Whoever opens the page is told nothing by it over the network (the policy in its head forbids that).
"""

from collections.abc import Collection, Iterable, Sequence
from html import escape
from typing import Final, NewType

from entropy_assets.stores.file_names import printable

Markup = NewType("Markup", str)
"""HTML that was made by this package; any other text is escaped before it becomes one."""
Cell = str | int | float | None
"""What a table shows: text, a whole number, a number of six digits, or nothing."""

NOTHING: Final = "\N{EN DASH}"
STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b2a41; --dim: #5b6778; --paper: #fdfdfb; --line: #d5dae1;
  --accent: #1f7a70; --bad: #b3412a; --wash: #f8e9e5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ef; --dim: #9aa7b8; --paper: #14191f; --line: #343d49;
  --accent: #5cc4b6; --bad: #f0907a; --wash: #3a2420; } }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
figure { margin: 1.5rem 0; overflow-x: auto; } figcaption, caption { color: var(--dim); font-size: .9rem;
  text-align: left; padding: .3rem 0; } svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .2rem .7rem .2rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th.number, td.number { text-align: right; white-space: nowrap; } tr.marked td { background: var(--wash); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem 1rem; } dt { color: var(--dim); }
dd { margin: 0; } .verdict { font-size: 1.15rem; border-left: .3rem solid var(--accent); padding-left: .8rem; }
.verdict.bad { border-color: var(--bad); }
@media print { body { max-width: none; margin: 0; } }
"""
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def page(title: str, sections: Iterable[tuple[str, Sequence[Markup]]], *, lead: Sequence[Markup] = ()) -> str:
    """Return a whole HTML document.

    Parameters
    ----------
    title
        Of the page; text, escaped here.
    sections
        Heading and parts of each; a heading is text, parts come from `paragraph`, `verdict`, `facts`, `table` and
        `figures.figure`.
    lead
        What stands before the first section.
    """
    body = [f"<h1>{_text(title)}</h1>", *lead]
    for heading, parts in sections:
        body += ["<section>", f"<h2>{_text(heading)}</h2>", *parts, "</section>"]
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
    return head + "\n".join(body) + "\n</body>\n</html>\n"


def paragraph(text: str) -> Markup:
    """Return text as a paragraph."""
    return Markup(f"<p>{_text(text)}</p>")


def verdict(text: str, *, good: bool) -> Markup:
    """Return the sentence for which the page is read, marked by colour beside its words."""
    return Markup(f'<p class="verdict{"" if good else " bad"}">{_text(text)}</p>')


def facts(pairs: Iterable[tuple[str, Cell]]) -> Markup:
    """Return names and values, a line each."""
    lines = "\n".join(f"<dt>{_text(name)}</dt><dd>{_shown(value)}</dd>" for name, value in pairs)
    return Markup(f"<dl>\n{lines}\n</dl>")


def table(
    headers: Sequence[str], rows: Iterable[Sequence[Cell]], *, caption: str = "", marked: Collection[int] = ()
) -> Markup:
    """Return a table.

    Parameters
    ----------
    headers
        Of the columns.
    rows
        A cell a column. Columns without text are set to the right; a number of six digits hides none of its size.
    caption
        What the table shows; none if empty.
    marked
        Indices of the rows to look at.

    Raises
    ------
    ValueError
        If a row has another number of cells than there are headers.
    """
    lines = [tuple(row) for row in rows]
    for row in lines:
        if len(row) != len(headers):
            raise ValueError(f"{len(row)} cells under {len(headers)} headers")
    numeric = [bool(lines) and not any(isinstance(row[i], str) for row in lines) for i in range(len(headers))]
    kinds = [' class="number"' if number else "" for number in numeric]
    top = "".join(f'<th scope="col"{kind}>{_text(name)}</th>' for name, kind in zip(headers, kinds, strict=True))
    body = "\n".join(
        ('<tr class="marked">' if i in marked else "<tr>")
        + "".join(f"<td{kind}>{_shown(cell)}</td>" for cell, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for i, row in enumerate(lines)
    )
    told = f"<caption>{_text(caption)}</caption>\n" if caption else ""
    return Markup(
        f'<div class="wide"><table>\n{told}<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
    )


def illustration(drawing: Markup, *, alternative: str, caption: str = "") -> Markup:
    """Return an inline SVG with its caption, and with `alternative` for those who don't see it."""
    told = f"\n<figcaption>{_text(caption)}</figcaption>" if caption else ""
    return Markup(f'<figure role="img" aria-label="{_text(alternative)}">\n{drawing}{told}\n</figure>')


def _text(text: str) -> str:
    return escape(printable(text))


def _shown(cell: Cell) -> str:
    if cell is None:
        return NOTHING
    if isinstance(cell, str):
        return _text(cell)
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.6g}"
