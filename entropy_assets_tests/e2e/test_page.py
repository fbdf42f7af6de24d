"""The page at ``/`` as a person uses it: bytes, blocks, images, and what is wrong.

With ``--keep-screenshots`` two pictures of it go to docs/.
"""

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from entropy_assets.provenance.trail import Trail
from entropy_assets.scopes import SCOPES
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.stages.assessments import noise_inputs
from entropy_assets.stages.publication import publish_batch
from entropy_assets.stores.api_keys import FileKeys, create
from entropy_assets.stores.batches import BLOCKS, RECEIPT, Batch
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets.stores.lanes import LANES
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.e2e.browser import Browser
from entropy_assets_tests.e2e.running import Installation, eventually
from entropy_assets_tests.pool_blocks import blocks_for_both, pool_blocks
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.stages.batches_made import Place, simulated_frame

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>.fits"
TURNED = "gpj.\u202estif.fits"
ORIGIN = {"feed": "sdo", "fetched_at": "2026-11-29T08:33:00Z"}
FETCHED = "https://sdo.example/a b/\u202egpj.<b>"
OPEN_S = 8.0  # longer than a browser on a busy machine takes from a draw to its block
DESKTOP, PHONE = (1280, 900), (360, 740)
MARKS = ("good", "bad")
"""What the page calls an image that was accepted, and one that was rejected."""
SMALL = 300_000
"""Bytes of the largest screenshot that the repository keeps."""

# The contrast (WCAG 2.2, 1.4.3) of every text that is seen with the colour behind it; the header's is a picture.
CONTRAST = """(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parts(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility() && !e.closest('.sky') &&
    [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return texts.map((e) => {
    const [one, other] = [light(parts(getComputedStyle(e).color)), light(behind(e))].sort((a, b) => b - a);
    return [(one + .05) / (other + .05), e.textContent.trim().slice(0, 40), e.className];
  }).filter(([ratio]) => ratio < 4.5);
})()"""


@dataclass
class Open:
    """A service on blocks that came from images, and the page of it in a browser."""

    service: RunningService
    browser: Browser
    pool: PoolClient

    def visit(self, fragment: str = "") -> None:
        self.browser.open("about:blank")
        self.browser.open(f"{self.service.url}/{fragment}")
        self.browser.wait_until("document.readyState === 'complete' && !!document.getElementById('state')")
        self.browser.wait_until("document.getElementById('state').dataset.state !== 'asking'")

    def draw(self, n: int, answer_class: str, answer_format: str) -> str:
        """Draw as a person does, and give the bytes as they stand on the page."""
        self.browser.evaluate(
            f"document.getElementById('n').value = '{n}';"
            f"document.getElementById('format').value = '{answer_format}';"
            f"document.querySelector('[name=class][value={answer_class}]').click();"
            "document.getElementById('draw-status').textContent = ''"
        )
        self.browser.click("Draw")
        self.browser.wait_until("document.getElementById('draw-status').textContent !== ''")
        return self.shown("bytes")

    def shown(self, element: str) -> str:
        return str(self.browser.evaluate(f"document.getElementById('{element}').textContent"))

    def use_key(self, key: str) -> None:
        self.browser.evaluate(f"document.getElementById('key-text').value = {json.dumps(key)}")
        self.browser.click("Use it")

    def polls(self) -> int:
        return sum(address.endswith("/health") for address in self.browser.asked_for())


@pytest.fixture
def pool(valkey_url: str, pool_prefix: str) -> Iterator[PoolClient]:
    """Give an empty pool of the test's own; the installation's is another."""
    client = PoolClient.from_url(valkey_url, prefix=pool_prefix)
    yield client
    client.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def batch(place: Place) -> Batch:
    """Give a batch of a live, a hostile and a dead image, as far as its verdicts."""
    live, hostile = (simulated_frame(seed, 480) for seed in (1, 2))
    for image, credit in ((live, "NASA/SDO"), (hostile, HOSTILE)):
        origin = Origin(**ORIGIN, credit=credit, url="javascript:alert(1)" if image is hostile else FETCHED)
        place.origins().keep(hashlib.sha256(image).hexdigest(), origin)
    images = [("live.fits", live), (HOSTILE, hostile), (TURNED, b"SIMPLE  = no image")]
    return place.validated(images, time_ns=time.time_ns(), source="simulated")


@pytest.fixture
def page(
    batch: Batch, place: Place, pool: PoolClient, valkey_url: str, pool_prefix: str, browser: Browser
) -> Iterator[Open]:
    # The ledger lets a batch into one pool; what is published again here is a copy of its blocks for this test's own.
    ledger = Place(place.batches().root.parent / pool_prefix).ledger()
    batch.path(RECEIPT).unlink(missing_ok=True)  # by which that ledger would be known for another one
    for image in noise_inputs(batch):
        assert ledger.spend_image(image.image_sha256, None, batch.key) is None
    publish_batch(batch, ledger, pool, run_id="the-run", now_us=time.time_ns() // 1000)
    pool.push(pool_blocks(2, first=10**7, simulated=True))  # that batch is public; these are for private draws
    config = ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix, low_water_bytes=4096, open_s=OPEN_S)
    with RunningService(config, Trail(ledger, place.batches(), place.images())) as service:
        browser.watch()
        opened = Open(service, browser, pool)
        opened.visit()
        yield opened


@pytest.mark.parametrize("answer_class", ["private", "public"])
def test_a_draw_gives_as_many_bytes_as_were_asked_for_in_every_format(answer_class: str, page: Open) -> None:
    assert len(bytes.fromhex(page.draw(100, answer_class, "hex"))) == 100
    assert len(base64.b64decode(page.draw(101, answer_class, "base64"), validate=True)) == 101
    assert json.loads(page.draw(102, answer_class, "json"))["n"] == 102
    assert len(bytes.fromhex(page.draw(1, answer_class, "raw"))) == 1
    assert page.shown("draw-status") == f"1 byte drawn, class {answer_class}, simulated."
    assert "simulated camera" in page.shown("drawn-note")
    assert "A simulated camera is behind this batch" in page.shown("batches")
    assert page.browser.complaints() == []


def test_a_public_draw_leads_to_its_block_and_the_block_to_its_images(page: Open, batch: Batch) -> None:
    drawn = bytes.fromhex(page.draw(48, "public", "hex"))
    block_id = str(page.browser.evaluate("document.querySelector('#used-blocks a').textContent"))
    index = page.service.client.get(f"/blocks/{block_id}").json()["index"]
    assert drawn == batch.read_array(BLOCKS)[index].tobytes()[:48]
    page.browser.click(block_id)
    page.browser.wait_for("a worker holds it and may still serve from it", "A simulated camera is behind this block")
    text = page.browser.wait_for("The images behind it", "Verdict", f"entropy-assets audit {block_id}")
    assert f"entropy-assets audit {block_id} --images FOLDER --url {page.service.client.base_url}".rstrip("/") in text
    for told in ("live.fits", "Lane\npublic", "A simulated camera is behind this block", "credit", batch.key):
        assert told in text
    assert page.browser.evaluate("document.activeElement.id") == "block-title", "a screen reader goes on there"
    page.browser.click("← back to the overview")
    page.browser.wait_for("Draw bytes")
    assert bytes.fromhex(page.shown("bytes")) == drawn, "what was drawn is still there"
    assert page.browser.complaints() == []


def test_an_unknown_block_and_no_block_are_told_apart(page: Open) -> None:
    page.visit("#block=00000000-0000-8000-8000-000000000000")
    page.browser.wait_for("No such block")
    page.visit("#block=<b>")
    page.browser.wait_for("That is not the id of a block.")


def test_depth_and_rate_follow_the_service(page: Open) -> None:
    before = page.shown("depth")
    page.pool.push(pool_blocks(1000, first=5000))
    page.browser.wait_until(f"document.getElementById('depth').textContent !== {json.dumps(before)}")
    assert page.shown("depth").startswith("3."), "MiB, less what the service holds ahead"
    for _ in range(8):
        page.service.client.get("/random/65536")
    page.browser.wait_until("document.getElementById('rate').textContent.includes('KiB/s')")
    page.browser.wait_until("document.querySelectorAll('#depth-line .stroke').length > 0")


def test_a_page_that_nobody_sees_asks_nothing(page: Open) -> None:
    hide = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => %s});"
    hide += "document.dispatchEvent(new Event('visibilitychange'))"
    page.browser.evaluate(hide % "true")
    time.sleep(2.5)
    hidden = page.polls()
    time.sleep(4.5)
    assert page.polls() == hidden
    page.browser.evaluate(hide % "false")
    eventually("it asks again", lambda: page.polls() > hidden)


def test_a_failing_pool_is_plain_to_see_and_so_is_its_end(
    valkey_url: str, pool_prefix: str, pool: PoolClient, browser: Browser
) -> None:
    with RunningService(ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix)) as service:
        opened = Open(service, browser, pool)
        opened.visit()
        browser.wait_for("Failing: no bytes can be had.", "pool empty", "pool never filled")
        browser.wait_for("started without a ledger")
        opened.draw(8, "private", "hex")
        assert opened.shown("draw-status").startswith("Nothing was drawn. Not enough bytes are ready")
        assert browser.evaluate("document.getElementById('drawn').hidden")
        pool.push(blocks_for_both(3))
        browser.wait_for("Degraded.", "pool empty")
        pool.push(blocks_for_both(300, first=10))
        browser.wait_for("Serving. Bytes can be had.")
    browser.wait_for("The service does not answer.")


def test_a_service_that_asks_for_a_key_gets_it_from_the_page(
    valkey_url: str, pool_prefix: str, pool: PoolClient, place: Place, batch: Batch, browser: Browser, tmp_path: Path
) -> None:
    """Nothing works without one but the state, everything with one, and the page keeps it in its memory alone."""
    pool.push(blocks_for_both(3))
    key, _ = create(FileKeys(tmp_path / "keys.json"), "a reader", random_bytes=os.urandom, scopes=SCOPES)
    config = ServiceConfig(
        pool_url=valkey_url, pool_prefix=pool_prefix, keys=str(tmp_path / "keys.json"), anonymous_scopes=()
    )
    with RunningService(config, Trail.of(place)) as service:
        browser.watch()
        opened = Open(service, browser, pool)
        opened.visit()
        browser.wait_for("asks for an API key", "counts are for holders", "batches are for holders", "Degraded.")
        opened.use_key(f"{key[:-1]}{'0' if key[-1] != '0' else '1'}")
        browser.wait_for("The key was not accepted")
        opened.use_key(key)
        browser.wait_for(HOSTILE)
        assert len(bytes.fromhex(opened.draw(16, "private", "hex"))) == 16
        kept = "localStorage.length + sessionStorage.length + document.cookie.length"
        assert browser.evaluate(kept) == 0
        assert key not in str(browser.evaluate("document.documentElement.outerHTML + document.URL"))
        assert all(key not in address for address in browser.asked_for())


def test_a_hostile_name_stays_text(page: Open) -> None:
    """It is in the manifest, so it is in ``/batches`` and in ``/blocks``."""
    page.browser.wait_for(HOSTILE)
    page.draw(48, "public", "hex")
    block_id = str(page.browser.evaluate("document.querySelector('#used-blocks a').textContent"))
    assert "\u202e" not in page.browser.text(), "a name that turns the text around it shows a replacement"
    page.visit(f"#block={block_id}")
    page.browser.wait_for(HOSTILE)
    assert "Credit: NASA/SDO" in page.browser.text()
    assert f"Credit: {HOSTILE}" in page.browser.text()
    assert page.browser.evaluate("document.querySelectorAll('main img[onerror], main script').length") == 0
    links = "[...document.querySelectorAll('.behind a')].map((link) => [link.href, link.rel])"
    assert page.browser.evaluate(links) == [["https://sdo.example/a%20b//u202egpj.%3Cb%3E", "noopener noreferrer"]]
    page.browser.wait_until("document.querySelectorAll('.behind img').length === 2")
    drawn = "[...document.querySelectorAll('.behind img')].map((image) => [image.src.slice(0, 15), image.naturalWidth])"
    page.browser.wait_until("[...document.querySelectorAll('.behind img')].every((image) => image.complete)")
    assert page.browser.evaluate(drawn) == [["data:image/png;", 120]] * 2
    assert "owned" not in str(page.browser.evaluate("document.title"))
    assert page.browser.complaints() == []


SHOWN = "[...document.querySelectorAll('#batches .thumbnail img')]"


def test_the_overview_shows_whose_images_are_and_their_pictures_once_a_block_reveals(page: Open) -> None:
    page.browser.wait_for(HOSTILE, "Credit: NASA/SDO", f"Credit: {HOSTILE}", "What to do: copy it again")
    assert page.browser.evaluate(f"{SHOWN}.length") == 0, "no block that is behind them was used up"
    page.draw(48, "public", "hex")
    page.browser.wait_until(f"{SHOWN}.length === 2 && {SHOWN}.every((image) => image.complete)")
    drawn = f"{SHOWN}.map((image) => [image.src.slice(0, 15), image.naturalWidth, image.alt.slice(0, 18)])"
    assert page.browser.evaluate(drawn) == [["data:image/png;", 120, "A small picture of"]] * 2
    page.browser.evaluate("document.querySelector('#used-blocks a').click()")
    page.browser.wait_until("document.querySelectorAll('.behind img').length === 2")
    page.browser.click("← back to the overview")
    asked = [address for address in page.browser.asked_for() if "/thumbnails/" in address]
    assert len(asked) == len(set(asked)) == 2, "each is had once"
    for size in (DESKTOP, PHONE):
        page.browser.resize(*size, mobile=size == PHONE)
        assert page.browser.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.browser.evaluate(CONTRAST) == []
    assert page.browser.complaints() == []


def test_another_key_leaves_no_picture_of_the_reader_before(page: Open) -> None:
    """Neither in the list, nor behind a block that was looked at, nor in the page's memory."""
    page.browser.wait_for(HOSTILE)
    page.draw(48, "public", "hex")
    page.browser.wait_until(f"{SHOWN}.length === 2")
    page.browser.evaluate("document.querySelector('#used-blocks a').click()")
    page.browser.wait_until("document.querySelectorAll('.behind img').length === 2")
    page.browser.click("← back to the overview")
    left = "document.querySelectorAll('main img, .batch, .behind').length"
    assert page.browser.evaluate(left) > 4
    page.browser.evaluate("document.getElementById('key-text').value = 'mine'")
    at_once = f"(document.getElementById('key-form').requestSubmit(), {left})"
    assert page.browser.evaluate(at_once) == 0, "before any answer to the new key"
    page.browser.wait_until(f"{SHOWN}.length === 2")
    assert sum("/thumbnails/" in address for address in page.browser.asked_for()) == 4, "each is asked for again"


def test_the_browser_refuses_what_the_page_does_not_do(page: Open) -> None:
    """The second wall behind the first: HTML from text, a picture from elsewhere."""
    made = "(() => {try {document.body.innerHTML = '<b>x</b>'; return 'made'} catch (error) {return error.name}})()"
    assert page.browser.evaluate(made) == "TypeError"
    elsewhere = "http://127.0.0.1:1/x.png"
    page.browser.evaluate(f"document.body.append(Object.assign(new Image(), {{src: '{elsewhere}'}}))")

    def refused() -> bool:
        return any(elsewhere in line and "img-src" in line for line in page.browser.complaints())

    assert eventually("a complaint", refused)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_fits_and_reads_well(size: tuple[int, int], scheme: str, page: Open) -> None:
    """Nothing leaves the host, nothing is logged, nothing scrolls sideways, and every text stands out (WCAG AA)."""
    page.browser.resize(*size, mobile=size == PHONE)
    page.browser.prefer(prefers_color_scheme=scheme)
    fragment = ""
    for _ in range(2):
        page.visit(fragment)
        page.browser.wait_for(HOSTILE)
        if not fragment:
            page.draw(5000, "public", "hex")
            used = page.browser.evaluate("document.querySelector('#used-blocks a').textContent")
            fragment = f"#block={used}"
        assert page.browser.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.browser.evaluate(CONTRAST) == []
    assert all(address.startswith(page.service.url) for address in page.browser.asked_for() if address != "about:blank")
    assert page.browser.complaints() == []


def test_every_control_has_a_name_and_the_keyboard_reaches_it(page: Open) -> None:
    roles = {"button", "link", "textbox", "spinbutton", "combobox", "radio", "DisclosureTriangle"}
    page.browser.call("Accessibility.enable")
    nodes = page.browser.call("Accessibility.getFullAXTree")["nodes"]
    controls = [node for node in nodes if node.get("role", {}).get("value") in roles]
    assert len(controls) > 10
    assert [node for node in controls if not node["name"]["value"].strip()] == []
    reached = set()
    for _ in range(12):
        for kind in ("keyDown", "keyUp"):
            page.browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.add(page.browser.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert {"Skip to drawing bytes", "n", "format", "Draw", "API key"} <= reached


def test_the_first_page_of_make_run_shows_real_images_most_of_them_accepted(
    tmp_path: Path, browser: Browser, screenshots: Path
) -> None:
    """The bundled images and nothing else: the pictures that docs/ keeps.

    The low mark is lower than usual, so that a few blocks less, by luck of the nonces, don't ask the camera.
    """
    home, mark = tmp_path / "home", str(64 * 1024)
    with Installation.running(home, "--samples", "--camera", ENTROPY_LOW_WATER_BYTES=mark) as installation:
        _see_first_page(installation, browser, screenshots)


def _see_first_page(installation: Installation, browser: Browser, screenshots: Path) -> None:
    eventually("both batches", lambda: len(list(installation.batches)) == len(LANES))
    batches = list(installation.batches)
    for batch in batches:
        eventually("its publication", lambda batch=batch: installation.published(batch))
    browser.watch()
    browser.resize(*DESKTOP)
    browser.open(f"{installation.http}/")
    browser.wait_for("Serving.", "startracker", "cassini", "galileo", *(batch.key for batch in batches))
    for n in range(60):  # half a minute of a line
        installation.get(f"/random/{100 + 37 * n % 400}")
        time.sleep(0.5)
    browser.evaluate("document.querySelector('[name=class][value=public]').click()")
    browser.click("Draw")
    browser.wait_for("Blocks used")
    for name, size in (("page-desktop", DESKTOP), ("page-phone", PHONE)):
        browser.resize(*size, mobile=size == PHONE)
        time.sleep(1)
        assert browser.whole_page(screenshots / f"{name}.png").stat().st_size < SMALL
    assert browser.complaints() == []
    accepted, rejected = (browser.evaluate(f"document.querySelectorAll('.mark-{kind}').length") for kind in MARKS)
    assert accepted > 2 * rejected > 0
    assert len(list(installation.batches)) == len(batches), "the simulated camera waits until they are used up"
    assert "simulated" not in browser.text()
    link = str(
        browser.evaluate("[...document.querySelectorAll('#batches a')].find((a) => a.rel === 'noreferrer').href")
    )
    assert link.startswith(f"{installation.dagster}/assets/")
    browser.open(link)
    browser.wait_for("raw_images", batches[0].key)
