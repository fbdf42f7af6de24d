"""The page ``benchmarks/SERVING.md``: sections that are written anew, and tables that get a row for each machine."""

import os
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).with_name("SERVING.md")


def processor() -> str:
    """Return the name of this machine's processor, and how many cores there are."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    name = fields.get("model name", "an unknown processor")
    if name == "AMD EPYC":  # some virtual machines don't tell which
        name += f" (family {fields['cpu family']}, model {fields['model']})"
    return f"{name}, {os.cpu_count()} cores"


def put_section(title: str, text: str) -> None:
    """Write the section of this title anew; a new one comes last."""
    head, *sections = PAGE.read_text().split("\n## ")
    titles = [section.partition("\n")[0] for section in sections]
    section = f"{title}\n\n{text.strip()}\n"
    if title in titles:
        sections[titles.index(title)] = section
    else:
        sections.append(section)
    PAGE.write_text("\n## ".join([head, *sections]))


def add_row(title: str, row: str) -> None:
    """Add a row to the table of a section, in place of one that begins with the same cell."""
    _, _, rest = PAGE.read_text().partition(f"\n## {title}\n\n")
    text = rest.partition("\n## ")[0].strip()
    cell = row.split(" | ", maxsplit=1)[0]
    kept = [line for line in text.splitlines() if not line.startswith(f"{cell} | ")]
    last = max(at for at, line in enumerate(kept) if line.startswith("|"))
    put_section(title, "\n".join([*kept[: last + 1], row, *kept[last + 1 :]]))
