"""The command line: what it prints, where, and with which exit code it ends."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from entropy_assets.cli import main
from entropy_assets.cli.draw import flattened
from entropy_assets.errors import StartFailed
from entropy_assets.stores.home import Home
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.pool_blocks import pool_blocks
from entropy_assets_tests.serving.running import RunningService
from entropy_assets_tests.stages.batches_made import frame


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run ``entropy-assets`` as a user who set nothing, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("ENTROPY_HOME", "ENTROPY_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Give a folder with one live image, one file that is none, and one that is still being written."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "live.fits").write_bytes(frame(1, side=512))
    (folder / "text.fits").write_bytes(b"SIMPLE  = no image")
    (folder / "half.fits.part").write_bytes(b"SIMPLE")
    return folder


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processed(run, *arguments: object) -> dict:
    result: Result = run("process", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@contextmanager
def _redirecting_to(other: socket.socket) -> Iterator[str]:
    """Answer one request by sending it elsewhere."""
    place = f"http://127.0.0.1:{other.getsockname()[1]}/"

    def answer() -> None:
        with server.accept()[0] as link:
            link.recv(4096)
            link.sendall(b"HTTP/1.1 307 X\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % place.encode())

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(5)


class TestProcess:
    def test_json_has_the_promised_names(self, run, images: Path) -> None:
        report = processed(run, images)
        assert set(report) == {"images", "skipped", "batches", "timings"}
        promised = {"file", "image_sha256", "accepted", "reason", "credit_bits", "samples", "min_entropy"}
        assert all(promised <= set(row) for row in report["images"])
        [batch] = report["batches"]
        assert {"key", "blocks", "passed", "rejected", "chain_head", "checks"} <= set(batch)
        assert set(report["timings"]) >= {"intake", "read", "extract", "hash", "validate"}
        assert all(seconds >= 0 for seconds in report["timings"].values())

    def test_every_file_is_accepted_or_has_one_reason(self, run, images: Path) -> None:
        report = processed(run, images)
        rows = {row["file"]: row for row in report["images"]}
        assert (rows["live.fits"]["accepted"], rows["live.fits"]["reason"]) == (True, None)
        assert rows["live.fits"]["credit_bits"] > 0
        assert (rows["text.fits"]["accepted"], rows["text.fits"]["credit_bits"]) == (False, 0)
        assert rows["text.fits"]["reason"]
        assert [item["file"] for item in report["skipped"]] == ["half.fits.part"]

    def test_deterministic_gives_the_same_chain_head_twice_and_without_it_never(self, run, images: Path) -> None:
        heads = [
            processed(run, images, *options)["batches"][0]["chain_head"]
            for options in (["--deterministic"], ["--deterministic"], [], [])
        ]
        assert heads[0] == heads[1]
        assert len(set(heads)) == 3

    def test_out_keeps_images_batches_and_ledger_and_knows_the_image_the_next_time(
        self, run, images: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "kept"
        processed(run, images / "live.fits", "--out", out)
        assert {path.name for path in out.iterdir()} >= {"images", "batches", "ledger.sqlite"}
        (images / "copy.fits").write_bytes((images / "live.fits").read_bytes())
        again = run("process", images / "copy.fits", "--out", out, "--json")
        assert again.exit_code == 3
        assert json.loads(again.stdout)["images"][0]["reason"] == "replayed_file"

    def test_no_block_is_exit_code_3_and_still_a_report(self, run, images: Path) -> None:
        result = run("process", images / "text.fits", "--json")
        assert result.exit_code == 3
        assert json.loads(result.stdout)["batches"][0]["blocks"] == 0

    def test_an_empty_folder_is_exit_code_3(self, run, tmp_path: Path) -> None:
        (tmp_path / "nothing").mkdir()
        assert run("process", tmp_path / "nothing").exit_code == 3

    def test_for_people_it_prints_a_table_and_the_chain_head(self, run, images: Path) -> None:
        text = run("process", images).stdout
        for word in ("live.fits", "text.fits", "half.fits.part", "chain head", "passed"):
            assert word in text

    def test_a_name_that_is_not_utf8_or_looks_like_markup_is_printed(self, run, images: Path) -> None:
        (images / "[bold]x.fits").write_bytes(b"no image")
        (images / "\udcff.fits").write_bytes(b"no image either")
        result = run("process", images)
        assert result.exit_code == 0, result.output
        assert "[bold]x.fits" in result.stdout
        assert "\\xff.fits" in result.stdout

    def test_what_lies_beside_images_in_a_folder_is_skipped_unless_it_is_named_like_an_image(
        self, run, images: Path
    ) -> None:
        """A note is no rejected image; text under the name of an image is, and so is a file that is named itself."""
        for name in ("README", "SOURCES.csv", "make.sh", "notes.md"):
            (images / name).write_text("no image")
        (images / "empty.txt").touch()
        (images / "text_as_image.JPG").write_text("<html>429</html>")
        (images / "no_suffix").write_bytes(frame(2))
        report = processed(run, images)
        reasons = {row["file"]: row["reason"] for row in report["images"]}
        assert reasons["text_as_image.JPG"] == "unknown_format"
        assert reasons["no_suffix"] is None
        skipped = {item["file"]: item["reason"] for item in report["skipped"]}
        notes = ("README", "SOURCES.csv", "make.sh", "notes.md", "empty.txt")
        assert skipped == {"half.fits.part": "partial", **dict.fromkeys(notes, "not_an_image")}
        named = json.loads(run("process", images / "notes.md", "--json").stdout)
        assert [row["reason"] for row in named["images"]] == ["unknown_format"]

    def test_every_stage_reports_progress_to_its_end(self, images: Path, tmp_path: Path) -> None:
        from entropy_assets.settings import Settings
        from entropy_assets.stages import pipeline

        told: list[tuple[str, int, int]] = []
        pipeline.process(
            [images],
            Home(tmp_path / "out"),
            Settings(),
            deterministic=True,
            os_bytes=bytes,
            progress=lambda *step: told.append(step),
        )
        assert told == [
            *(("read", 1, 2), ("read", 2, 2), ("extract", 1, 1)),
            *(("hash", 1, 1), ("validate", 1, 1)),
        ]

    def test_an_interrupt_is_exit_code_130(self, run, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("entropy_assets.stages.pipeline.process", interrupted)
        result = run("process", images)
        assert result.exit_code == 130
        assert result.stdout == ""

    def test_a_path_that_is_not_there_is_wrong_usage(self, run) -> None:
        result = run("process", "absent.fits")
        assert result.exit_code == 2
        assert "absent.fits" in result.stderr


class TestDrawAndStats:
    @pytest.fixture
    def service(self, pool: PoolClient, service_config) -> Iterator[RunningService]:
        pool.push(pool_blocks(8))
        with RunningService(service_config) as running:
            yield running

    @pytest.fixture
    def service_config(self, valkey_url: str, pool_prefix: str):
        from entropy_assets.serving.config import ServiceConfig

        return ServiceConfig(pool_url=valkey_url, pool_prefix=pool_prefix)

    @pytest.mark.parametrize("answer_class", ["private", "public"])
    def test_draw_prints_what_was_asked_for(self, run, service: RunningService, answer_class: str) -> None:
        common = ("draw", 20, "--class", answer_class, "--url", service.url)
        assert len(bytes.fromhex(run(*common).stdout)) == 20
        assert len(run(*common, "--format", "raw").stdout_bytes) == 20
        answer = json.loads(run(*common, "--json").stdout)
        assert answer["class"] == answer_class

    def test_stats_prints_one_object_or_a_table(self, run, service: RunningService) -> None:
        counted = json.loads(run("stats", "--url", service.url, "--json").stdout)
        assert counted["pool"]["pushed_blocks"] == 8
        assert "pool.pushed_blocks" in run("stats", "--url", service.url).stdout

    def test_too_few_bytes_is_exit_code_4(self, run, valkey_url: str, pool_prefix: str, service_config) -> None:
        with RunningService(service_config) as empty:
            result = run("draw", 16, "--url", empty.url)
        assert result.exit_code == 4
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")

    @pytest.mark.parametrize(
        "words", [("draw", "8"), ("stats",), ("audit", f"{0:032x}", "--images", ".")], ids=" ".join
    )
    def test_a_proxy_of_the_environment_gets_neither_bytes_nor_key(
        self, run, service: RunningService, words, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The address is loopback, so the key goes there in clear, and nowhere else."""
        monkeypatch.setenv("ENTROPY_API_KEY", "eak_secret")
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
            monkeypatch.delenv("no_proxy", raising=False)
            threading.Thread(target=run, args=(*words, "--url", service.url), daemon=True).start()
            proxy.settimeout(2)
            with pytest.raises(TimeoutError):
                proxy.accept()

    def test_a_redirect_is_not_followed(self, run) -> None:
        """It could lead from TLS into the clear."""
        with socket.create_server(("127.0.0.1", 0)) as other, _redirecting_to(other) as url:
            other.settimeout(1)
            result = run("draw", 8, "--url", url)
            assert (result.exit_code, result.stdout) == (1, "")
            with pytest.raises(TimeoutError):
                other.accept()

    def test_a_wish_that_can_not_be_granted_is_exit_code_1(self, run, service: RunningService) -> None:
        result = run("draw", 10**7, "--url", service.url)
        assert (result.exit_code, result.stdout) == (1, "")

    @pytest.mark.parametrize("words", [("draw", "8"), ("stats",)], ids=" ".join)
    def test_without_a_service_the_error_names_the_next_step(self, run, closed_port: int, words) -> None:
        result = run(*words, "--url", f"http://127.0.0.1:{closed_port}")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "entropy-assets up" in result.stderr

    def test_without_a_service_json_is_an_object_too(self, run, closed_port: int) -> None:
        result = run("stats", "--json", "--url", f"http://127.0.0.1:{closed_port}")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["error"] == "service-unreachable"

    @pytest.mark.parametrize("words", [("draw", "0"), ("draw", "many"), ("draw", 8, "--url", "file:///etc/passwd")])
    def test_wrong_usage_is_exit_code_2(self, run, words) -> None:
        assert run(*words).exit_code == 2


class TestAudit:
    def test_a_block_that_was_never_published_is_exit_code_1_in_words_and_in_json(self, run, tmp_path: Path) -> None:
        unknown = "00000000-0000-0000-0000-000000000000"
        result = run("audit", unknown, "--home", tmp_path)
        assert (result.exit_code, result.stdout) == (1, "")
        assert unknown in result.stderr
        answer = run("audit", unknown, "--home", tmp_path, "--json")
        assert answer.exit_code == 1
        assert json.loads(answer.stdout)["block_id"] == unknown

    def test_looking_makes_no_ledger(self, run, tmp_path: Path) -> None:
        run("audit", "00000000-0000-0000-0000-000000000000", "--home", tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_up_tells_machines_one_object_a_line(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is started here: what it says and an error that ends it are JSON."""

    @contextmanager
    def installation(_settings: object, say: Callable[[str], None], _began: float) -> Iterator[None]:
        say("pool     embedded server")
        raise StartFailed("the http service did not start", child="http")
        yield

    monkeypatch.setattr("entropy_assets.supervisor.installation.Installation.running", installation)
    result = run("up", "--home", tmp_path, "--json")
    said, failed = (json.loads(line) for line in result.stdout.splitlines())
    assert said["line"] == "pool     embedded server"
    assert datetime.fromisoformat(said["time"]).tzinfo is not None
    assert (result.exit_code, failed["error"], failed["child"]) == (1, "start-failed", "http")


def test_serve_at_an_address_that_is_none_repeats_nothing_of_it(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTROPY_REDIS_URL", "redis://:se/cret@h")
    result = run("serve", "--port", 0)
    assert result.exit_code == 1
    assert "ENTROPY_REDIS_URL is not a valid address" in result.stderr
    assert "cret" not in result.output


def test_serve_without_a_pool_says_where_to_get_one(run) -> None:
    result = run("serve")
    assert result.exit_code == 2
    assert "ENTROPY_REDIS_URL" in result.stderr


def test_a_setting_out_of_range_is_named(run, monkeypatch: pytest.MonkeyPatch, images: Path) -> None:
    monkeypatch.setenv("ENTROPY_WORKERS", "0")
    result = run("process", images)
    assert result.exit_code == 2
    assert "workers" in result.stderr


def test_the_help_lists_every_command_and_exit_code(run) -> None:
    text = run("--help").stdout
    for word in ("up", "process", "serve", "draw", "stats", "audit", "130 interrupted"):
        assert word in text


def test_nested_numbers_are_listed_under_dotted_names() -> None:
    assert list(flattened({"a": {"b": 1, "c": {}}, "d": [2]})) == [("a.b", 1), ("d", [2])]
