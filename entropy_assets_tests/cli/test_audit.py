"""``entropy-assets audit``: what it prints. All that it checks is in provenance/, the audit of what runs in e2e/."""

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from entropy_assets.cli.audit import web_reader_of
from entropy_assets.provenance.refetching import fetched_again
from entropy_assets.provenance.trail import Trail
from entropy_assets.recipe import STANDARD
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.settings import Settings
from entropy_assets.sources.feeds.configuration import Configuration, parsed
from entropy_assets.stages.retention.limits import KeepLimits
from entropy_assets.stages.retention.plan import plan_removal
from entropy_assets.stages.retention.removing import remove
from entropy_assets.stores.batches import BLOCKS, NOISE, RECEIPT, RECORDS, Batch
from entropy_assets.stores.inboxes.origins import Origin
from entropy_assets.stores.lanes import Fate
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.client.scripted import ScriptedServer, status
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.sources.feeds.fault_server import Certificates, FaultServer, answer
from entropy_assets_tests.stages.batches_made import Place, flat_png, frame

BLOCK_LEN = STANDARD.block_len
TITLE = "not checked, so take it on trust or leave it:"


@pytest.fixture
def published(tmp_path: Path) -> tuple[Place, Batch, str]:
    """Give an installation, its batch of two images, and the id of a block that both are in."""
    place = Place(tmp_path / "home")
    batch = place.validated([("a.fits", frame(1)), ("\x1b]0;b.fits", frame(2)), ("notes.txt", b"no image")])
    return place, batch, place.in_ledger(batch)[1]


def test_a_block_that_was_never_published_is_exit_code_1_in_words_and_in_json(run: Run, tmp_path: Path) -> None:
    unknown = "00000000-0000-0000-0000-000000000000"
    result = run("audit", unknown, "--home", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert unknown in result.stderr
    answer = run("audit", unknown, "--home", tmp_path, "--json")
    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["block_id"] == unknown


def test_looking_makes_no_ledger(run: Run, tmp_path: Path) -> None:
    run("audit", "00000000-0000-0000-0000-000000000000", "--home", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_by_the_ledger_it_says_what_stays_open_and_never_the_seed(
    run: Run, published: tuple[Place, Batch, str]
) -> None:
    place, batch, block_id = published
    home = place.ledger().path.parent
    words, document = run("audit", block_id, "--home", home), run("audit", block_id, "--home", home, "--json")
    assert f"block {block_id} was made again from 2 images" in words.stdout
    facts = json.loads(document.stdout)
    assert facts["reproduced"] is True
    assert words.stdout.split(f"{TITLE}\n")[1] == "".join(f"  - {row['sentence']}\n" for row in facts["not_checked"])
    assert batch.intake.os_bytes not in words.stdout + document.stdout


def test_a_block_of_one_image_is_told_of_in_good_english(run: Run, tmp_path: Path) -> None:
    place = Place(tmp_path / "home")
    block_id = place.in_ledger(place.validated([("a.fits", frame(1))]))[0]
    assert "was made again from 1 image in " in run("audit", block_id, "--home", tmp_path / "home").stdout


def test_an_outsider_reads_beside_the_result_what_nobody_could_check(
    run: Run, service_config: ServiceConfig, published: tuple[Place, Batch, str]
) -> None:
    place, batch, block_id = published
    with RunningService(service_config, Trail.of(place)) as service:
        command = ("audit", block_id, "--images", place.images().root, "--url", str(service.client.base_url))
        words, document = run(*command), run(*command, "--json")
    assert words.exit_code == 0, words.output
    assert "was made again from 2 images" in words.stdout
    assert "\x1b" not in words.stdout
    facts = json.loads(document.stdout)
    assert words.stdout.split(f"{TITLE}\n")[1] == "".join(f"  - {row['sentence']}\n" for row in facts["not_checked"])
    assert "only one try" in words.stdout
    assert {"timestamp_us", "previous_link", "block_nonce"} <= {
        name for row in facts["not_checked"] for name in row["fields"]
    }
    assert batch.intake.os_bytes not in document.stdout


def test_where_an_image_was_fetched_is_printed_in_short_lines_whatever_its_server_says(
    run: Run, service_config: ServiceConfig, tmp_path: Path
) -> None:
    """By the ledger and by an outsider; it decides nothing, and is named among what is not checked."""
    place = Place(tmp_path / "home")
    origin = Origin(
        feed="sdo",
        url="javascript:alert(1)//\u202egpj.moc",
        fetched_at="2026-11-29T08:33:00Z",
        credit="<script>\x1b[2J" + "x" * 5000,
    )
    place.origins().keep(hashlib.sha256(frame(1)).hexdigest(), origin)
    batch = place.validated([("a.fits", frame(1))])
    [block_id, *_] = place.in_ledger(batch)
    with RunningService(service_config, Trail.of(place)) as service:
        outside = run("audit", block_id, "--images", place.images().root, "--url", str(service.client.base_url))
    by_ledger = ("audit", block_id, "--home", place.root, "--refetch")
    refetched = json.loads(run(*by_ledger, "--json").stdout)["refetched"]
    assert [(row["outcome"], row["url"]) for row in refetched] == [("not asked", origin.url)]
    for words in (run(*by_ledger), outside):
        assert words.exit_code == 0, words.output
        lines = words.stdout.splitlines()
        assert r"    fetched from: javascript:alert(1)//\u202egpj.moc" in lines
        assert "    fetched at: 2026-11-29T08:33:00Z" in lines
        [credit] = [line for line in lines if line.startswith("    credit: ")]
        assert credit.startswith(r"    credit: <script>\x1b[2Jxx")
        assert len(credit) < 320
        assert "Where an image was fetched" in words.stdout
        assert ("fetched again, which decides nothing:" in lines) is (words is not outside)
        assert all(line.isprintable() for line in lines)


def fetched_from(url: str, image_sha256: str = "ab" * 32) -> dict[str, Any]:
    """Give what is told of an image that was fetched there."""
    return {"image_sha256": image_sha256, "origin": {"feed": "a", "url": url, "fetched_at": "2026-11-29T08:33:00Z"}}


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "ftp://example.org/a.png",
        "https://user:secret@example.org/a.png",
        "camera v4l2 2026-11-29T08:33:00Z",
        "https://",
        "https://[::1/a.png",
        "https://exa\u202emple.org/",
        "http://example.org:8080/plain.png",
        "",
    ],
)
def test_an_address_that_is_none_of_a_server_is_not_asked(url: str) -> None:
    [found] = fetched_again([fetched_from(url)], web_reader_of(Settings()))
    assert (found.outcome, found.url) == ("not asked", url)
    assert found.reason


def test_an_audit_is_led_to_no_private_address() -> None:
    """Who tells an outsider of a block could else have him ask the servers of his own network."""
    with FaultServer() as server:
        here = [
            f"{scheme}://{name}:{server.port}/a" for scheme in ("http", "https") for name in ("127.0.0.1", "localhost")
        ]
        urls = [*here, "https://10.0.0.1/", "https://[::1]/a.png", "https://169.254.169.254/latest/meta-data"]
        images = [fetched_from(url, f"{place:064x}") for place, url in enumerate(urls)]
        outcomes = {found.url: found.outcome for found in fetched_again(images, web_reader_of(Settings()))}
        assert outcomes == dict.fromkeys(urls, "not asked")
        assert server.connections == 0


def test_an_outsider_who_lacks_images_is_told_which(
    run: Run, service_config: ServiceConfig, published: tuple[Place, Batch, str], tmp_path: Path
) -> None:
    place, batch, block_id = published
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a picture").write_bytes(frame(1))
    with RunningService(service_config, Trail.of(place)) as service:
        command = ("audit", block_id, "--images", tmp_path / "mine", "--url", str(service.client.base_url))
        words, document = run(*command), run(*command, "--json")
    assert (words.exit_code, document.exit_code) == (1, 1)
    lacking = batch.intake.files[1]
    assert lacking.image_sha256 in words.stderr
    assert "\x1b" not in words.stderr
    assert json.loads(document.stdout)["missing"] == {lacking.image_sha256: lacking.file}


def answer_of(block: bytes, block_id: str, cuts: list[tuple[int, int]], **other: object) -> str:
    """Return what the service answers in JSON to a public draw of these ranges of a block."""
    data = b"".join(block[start:end] for start, end in cuts)
    blocks = [{"block_id": block_id, "start": start, "end": end} for start, end in cuts]
    kept = {"n": len(data), "encoding": "base64", "data": base64.b64encode(data).decode(), "class": "public"}
    return json.dumps({**kept, "simulated": False, "blocks": blocks, **other})


@pytest.mark.parametrize("by", ["ledger", "images"])
def test_the_bytes_that_were_drawn_are_compared_with_those_that_the_images_give(
    run: Run, service_config: ServiceConfig, published: tuple[Place, Batch, str], tmp_path: Path, by: str
) -> None:
    """An audit of a block alone says nothing of the answer that named it: a service may give other bytes."""
    place, batch, block_id = published
    block = batch.read_array(BLOCKS)[1].tobytes()
    kept = tmp_path / "answer.json"
    with RunningService(service_config, Trail.of(place)) as service:
        whose = {
            "ledger": ("--home", place.ledger().path.parent),
            "images": ("--images", place.images().root, "--url", str(service.client.base_url)),
        }
        command = ("audit", block_id, "--answer", kept, *whose[by])
        kept.write_text(answer_of(block, block_id, [(0, 16), (BLOCK_LEN - 2, BLOCK_LEN)]))
        words, document = run(*command), run(*command, "--json")
        kept.write_text(answer_of(block[:-1] + bytes([block[-1] ^ 1]), block_id, [(0, 16), (BLOCK_LEN - 2, BLOCK_LEN)]))
        altered = run(*command)
        kept.write_text(answer_of(block + b"x", block_id, [(BLOCK_LEN - 1, BLOCK_LEN + 1)]))
        longer = run(*command)
    assert "bytes 0 to 15 of the answer are its bytes 0 to 15" in words.stdout
    assert "bytes 16 to 17 of the answer are its bytes 4094 to 4095" in words.stdout
    assert json.loads(document.stdout)["answer"] == [
        {"at": 0, "start": 0, "end": 16},
        {"at": 16, "start": BLOCK_LEN - 2, "end": BLOCK_LEN},
    ]
    assert (altered.exit_code, altered.stdout) == (1, "")
    assert f"byte 17 of the answer is not byte {BLOCK_LEN - 1} of block {block_id}" in altered.stderr
    assert (longer.exit_code, longer.stdout) == (1, "")
    assert f"byte 1 of the answer is not byte {BLOCK_LEN} of block {block_id}" in longer.stderr


def test_who_kept_what_was_told_needs_no_service(
    run: Run, service_config: ServiceConfig, published: tuple[Place, Batch, str], tmp_path: Path
) -> None:
    """The service may be gone by then, or may tell otherwise."""
    place, _, block_id = published
    with RunningService(service_config, Trail.of(place)) as service:
        told = service.client.get(f"/blocks/{block_id}").json()
    kept = tmp_path / "told.json"
    command = ("audit", block_id, "--told", kept, "--url", "http://127.0.0.1:1")
    as_outsider = (*command, "--images", place.images().root)
    kept.write_text(json.dumps(told))
    assert "was made again from 2 images" in run(*as_outsider).stdout
    assert run(*command).exit_code == 2
    for other, why in (
        (json.dumps({**told, "credit_bits": told["credit_bits"] + 1}), "another credit_bits than was told"),
        (json.dumps({**told, "block_id": "another"}), "does not tell of block"),
        (json.dumps([told]), "does not tell of block"),
        ("no JSON", "is no JSON"),
    ):
        kept.write_text(other)
        refused = run(*as_outsider)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert why in refused.stderr


class Slowly(Trail):
    """A trail that tells of a block first that it reveals in so many seconds; None: never."""

    waits_s: list[float | None]

    def tell(self, block_id: str, fate: Fate | None) -> Mapping[str, object] | None:
        told = super().tell(block_id, Fate(state="gone"))
        if told is None or not self.waits_s:
            return told
        unrevealed = {"revealed": False, "reveals_in_s": self.waits_s.pop(0), "problem": "somebody may draw from it"}
        return {name: told[name] for name in ("block_id", "batch")} | unrevealed


def audit_of(
    run: Run, config: ServiceConfig, published: tuple[Place, Batch, str], waits_s: list[float | None], *more: object
) -> Result:
    place, _, block_id = published
    trail = Slowly.of(place)
    trail.waits_s = waits_s
    with RunningService(config, trail) as service:
        return run("audit", block_id, "--images", place.images().root, "--url", str(service.client.base_url), *more)


def test_an_outsider_waits_for_a_block_to_reveal(
    run: Run, service_config: ServiceConfig, published: tuple[Place, Batch, str]
) -> None:
    """Also when its worker tells the pool of it only a moment later: until then it could take an hour."""
    result = audit_of(run, service_config, published, [3600.0, 0.2, 0.1])
    assert result.exit_code == 0, result.output
    assert "was made again from 2 images" in result.stdout


@pytest.mark.parametrize("wait_s", [None, 3600.0], ids=["never", "in an hour"])
def test_a_block_that_does_not_reveal_in_time_is_an_error_that_says_why(
    run: Run, service_config: ServiceConfig, published: tuple[Place, Batch, str], wait_s: float | None
) -> None:
    result = audit_of(run, service_config, published, [wait_s] * 20, "--wait", "0.5")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "somebody may draw from it" in result.stderr
    document = json.loads(audit_of(run, service_config, published, [wait_s] * 20, "--wait", "0.5", "--json").stdout)
    assert (document["error"], document["reveals_in_s"]) == ("not-revealed", wait_s)


@pytest.mark.parametrize(
    "left",
    ['"soon"', "-5", "-0.001", "NaN", "Infinity", "1e999", f"1{'0' * 400}", "true", "[]"],
    ids=lambda left: left[:8],
)
def test_a_time_that_is_none_is_an_error_and_not_waited_for(run: Run, tmp_path: Path, left: str) -> None:
    """A service that reveals in -5 s is asked without a pause, and one that does in NaN s for ever."""
    block_id = str(uuid.UUID(int=1))
    body = f'{{"block_id": "{block_id}", "revealed": false, "reveals_in_s": {left}}}'
    with ScriptedServer(status("200 OK", "content-type: application/json", body=body)) as server:
        result = run("audit", block_id, "--images", tmp_path, "--wait", "2", "--url", server.url, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["error"], document["block_id"], len(server.requests)) == ("answer-malformed", block_id, 1)


def test_the_audit_by_the_ledger_prints_nothing_that_gives_a_waiting_block_away(
    run: Run, published: tuple[Place, Batch, str]
) -> None:
    place, batch, block_id = published
    document = run("audit", block_id, "--home", place.ledger().path.parent, "--json").stdout
    record = batch.read_json(RECORDS)["rows"][json.loads(document)["index"]]
    assert record["nonce"] not in document
    assert json.dumps(record["slices"]) not in document
    assert not any(row["nonce"] in document for row in batch.read_json(NOISE)["rows"] if row["nonce"])


def test_of_a_removed_batch_it_says_when_and_why(run: Run, published: tuple[Place, Batch, str]) -> None:
    place, batch, block_id = published
    later = place.validated([("c.fits", frame(3))], time_ns=2 * 10**18)
    place.in_ledger(later)
    later.create_json(RECEIPT, {"ledger_link": place.ledger().head()})
    keep = KeepLimits(batches_days=30)
    remove(place, plan_removal(place, keep, now_s=4e9, inboxes={}), inboxes={})
    result = run("audit", block_id, "--home", place.root, "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["error"], answer["batch"]) == (1, "batch-removed", batch.key)
    assert answer["message"].endswith("by retention: 30 days are kept (ENTROPY_KEEP_BATCHES_DAYS)")


OWN = """[feed.a]
kind = "http-directory"
url = "http://127.0.0.1:{port}/"
own_network = {own}
claim = "drop"
"""


def own_feeds(port: int, own: str) -> Configuration:
    text = OWN.format(port=port, own=own)
    return parsed((text if own == "true" else text.replace("http://", "https://")).encode(), STANDARD)


def test_an_installation_asks_the_server_of_its_own_network_that_its_table_allows() -> None:
    """And no other: neither another port, nor for an image of another feed, nor where the table doesn't say so."""
    image = flat_png()
    with FaultServer() as server:
        server.give("/a.png", answer(image, headers={"Content-Type": "image/png"}))
        name = hashlib.sha256(image).hexdigest()
        told = fetched_from(f"{server.origin}/a.png", name)

        def outcome(image: dict[str, Any], feeds: Configuration | None) -> str:
            [found] = fetched_again([image], web_reader_of(Settings(), feeds))
            return found.outcome

        own = own_feeds(server.port, "true")
        assert outcome(told, own) == "same"
        asked = len(server.asked)
        of_another = {**told, "origin": {**told["origin"], "feed": "b"}}
        elsewhere = fetched_from(f"http://127.0.0.1:{server.port + 1}/a.png", name)
        assert [outcome(each, own) for each in (of_another, elsewhere)] == ["not asked"] * 2
        assert outcome(told, own_feeds(server.port, "false")) == "not asked"
        assert outcome(told, None) == "not asked"
        assert len(server.asked) == asked == 1


def test_a_server_of_the_own_network_is_known_by_the_file_that_its_table_names(tmp_path: Path) -> None:
    image, certificates = flat_png(), Certificates()
    certificates.authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with FaultServer(certificates.serving("127.0.0.1")) as server:
        server.give("/a.png", answer(image, headers={"Content-Type": "image/png"}))
        told = fetched_from(f"https://127.0.0.1:{server.port}/a.png", hashlib.sha256(image).hexdigest())
        text = OWN.format(port=server.port, own="true").replace("http://", "https://")
        outcomes = []
        for more in ("", f'ca_file = "{tmp_path}/ca.pem"\n'):
            [found] = fetched_again([told], web_reader_of(Settings(), parsed((text + more).encode(), STANDARD)))
            outcomes.append(found.outcome)
        assert outcomes == ["no answer", "same"]


def test_the_feeds_of_the_installation_are_read_for_it_and_not_for_an_outsider(
    run: Run, published: tuple[Place, Batch, str], service_config: ServiceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, _, block_id = published
    monkeypatch.setenv("ENTROPY_HOME", str(place.root))
    (place.root / "sources.toml").write_text("[feed.a]\n")
    with RunningService(service_config, Trail.of(place)) as service:
        told = ("--images", place.images().root, "--url", str(service.client.base_url), "--refetch")
        outside = run("audit", block_id, *told)
    assert outside.exit_code == 0, outside.output
    refused = run("audit", block_id, "--home", place.root, "--refetch")
    assert refused.exit_code == 1
    assert "line 1: feed a, kind is missing: it must be one of" in refused.stderr
    assert run("audit", block_id, "--home", place.root).exit_code == 0
