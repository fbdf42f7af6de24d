"""What a drawing says, as a browser reads it."""

import base64
import io
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import dagster as dg
from PIL import Image

START = "](<data:image/svg+xml,"
SVG = "{http://www.w3.org/2000/svg}"


def root_of(shown: dg.MarkdownMetadataValue) -> ET.Element | None:
    """Give the drawing inside of what Dagster shows; None if there is none."""
    _, start, data = str(shown.value).partition(START)
    if not start:
        return None
    assert data.endswith(">)")
    assert not set('\\<&\n"') & set(data[:-2]), "Markdown would read them"
    return ET.fromstring(unquote(data[:-2], errors="strict"))  # noqa: S314 - the project wrote it


def drawn(shown: dg.MarkdownMetadataValue) -> list[str]:
    """Give the texts of a drawing; none if there is no drawing."""
    root = root_of(shown)
    return [] if root is None else ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def pixels_of(shown: dg.MarkdownMetadataValue) -> Image.Image:
    """Give the picture inside a drawing."""
    root = root_of(shown)
    assert root is not None
    image = root.find(f"{SVG}image")
    assert image is not None
    data = base64.b64decode(image.attrib["href"].removeprefix("data:image/webp;base64,"))
    return Image.open(io.BytesIO(data)).convert("RGB")
