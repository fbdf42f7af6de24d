"""What holds of the README alone; what holds of every page is in ``docs/test_pages``."""

import re
from pathlib import Path

from entropy_assets_tests.conftest import PROJECT
from entropy_assets_tests.docs.pages import PAGES, blocks, text_of

README = PROJECT / "README.md"


def test_the_commands_of_its_first_screen_are_targets_of_make() -> None:
    first_commands = next(text for _, text in blocks("sh", README) if text.startswith("make"))
    targets = re.findall(r"^make (\w+)$", first_commands, re.MULTILINE)
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert targets == ["run", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    assert "make test" in (PROJECT / ".ci" / "run").read_text(encoding="utf-8")


def test_it_is_short_and_leads_to_every_page() -> None:
    text = text_of(README)
    assert len(text.splitlines()) < 200
    pages = [page.relative_to(PROJECT).as_posix() for page in PAGES if page.parent == PROJECT / "docs"]
    assert [page for page in pages if f"]({page})" not in text] == []


def test_every_sample_image_has_its_credit(samples: Path) -> None:
    sources = (samples / "SOURCES.csv").read_text(encoding="utf-8")
    images = [path.name for path in samples.iterdir() if path.suffix != ".csv"]
    assert len(images) > 10
    assert all(name in sources for name in images)
    assert "CC BY 4.0" in text_of(README)
