"""``entropy-assets draw`` and ``stats``: what they print, and what happens to bytes before they are printed."""

import base64
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from entropy_assets.cli.draw import flattened
from entropy_assets.serving.config import ServiceConfig
from entropy_assets.stores.pool.client import PoolClient
from entropy_assets_tests.cli.conftest import Run
from entropy_assets_tests.client.scripted import ScriptedServer, answering, good, status
from entropy_assets_tests.pool_blocks import blocks_for_both, pool_blocks
from entropy_assets_tests.serving.running import RunningService

BLOCK = "0badcafe-0000-8000-8000-000000000000"
DATA = {block.block_id: block.data for block in pool_blocks(8)}


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_nothing_is_drawn_that_could_not_be_printed(zeros: ScriptedServer, options: list[str]) -> None:
    draw = [sys.executable, "-m", "entropy_assets.cli", "draw", "8", "--url", zeros.url, *options]
    shell = ["sh", "-c", 'exec "$@" >&-', "sh"]
    done = subprocess.run([*shell, *draw], capture_output=True, text=True, check=False)
    assert (done.returncode, zeros.requests) == (1, [])
    assert done.stderr == "error: standard output is closed, so nothing could be printed\n"


def test_who_does_not_read_what_is_drawn_is_told_nothing(zeros: ScriptedServer) -> None:
    """As of any program in front of ``head``."""
    reader, writer = os.pipe()
    os.close(reader)
    draw = [sys.executable, "-m", "entropy_assets.cli", "draw", "8", "--url", zeros.url]
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(draw, stdout=writer, stderr=subprocess.PIPE, env=environment, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


class TestMixing:
    @pytest.mark.parametrize("form", ["raw", "hex", "base64", "json"])
    def test_private_bytes_never_reach_the_user_as_they_came_over_the_network(
        self, run: Run, zeros: ScriptedServer, form: str
    ) -> None:
        """Who reads along, or answers in the service's place, would know them."""
        result = run("draw", 300, "--format", form, "--url", zeros.url)
        assert result.exit_code == 0, result.output
        decoded = {
            "raw": lambda: result.stdout_bytes,
            "hex": lambda: bytes.fromhex(result.stdout),
            "base64": lambda: base64.b64decode(result.stdout),
            "json": lambda: base64.b64decode(json.loads(result.stdout)["data"]),
        }[form]()
        assert len(decoded) == 300
        assert len(set(decoded)) > 100
        assert "class=private" in zeros.requests[0]

    def test_public_bytes_are_those_of_the_blocks(self, run: Run, service: RunningService) -> None:
        answer = json.loads(run("draw", 5000, "--class", "public", "--json", "--url", service.url).stdout)
        assert base64.b64decode(answer["data"]) == b"".join(
            DATA[cut["block_id"]][cut["start"] : cut["end"]] for cut in answer["blocks"]
        )


class TestFormats:
    @pytest.mark.parametrize("answer_class", ["private", "public"])
    def test_it_prints_what_was_asked_for(self, run: Run, service: RunningService, answer_class: str) -> None:
        common = ("draw", 20, "--class", answer_class, "--url", service.url)
        assert len(run(*common, "--format", "raw").stdout_bytes) == 20
        text = run(*common).stdout
        assert (len(bytes.fromhex(text)), text[-1]) == (20, "\n")
        text = run(*common, "--format", "base64").stdout
        assert (len(base64.b64decode(text)), text[-1]) == (20, "\n")

    def test_json_has_the_fields_of_the_services_own_answer(self, run: Run, service: RunningService) -> None:
        for answer_class in ("private", "public"):
            own = service.client.get(f"/random/20?class={answer_class}&format=json").json()
            result = run("draw", 20, "--class", answer_class, "--format", "json", "--url", service.url)
            answer = json.loads(result.stdout)
            assert list(answer) == list(own)
            varying = ("data", "blocks", "reveals_at")
            assert {name: answer[name] for name in answer if name not in varying} == {
                name: own[name] for name in own if name not in varying
            }
            assert [set(cut) for cut in answer.get("blocks", [])] == [set(cut) for cut in own.get("blocks", [])]
            assert result.stdout == json.dumps(answer, separators=(",", ":")) + "\n"

    def test_a_simulated_camera_is_named(self, run: Run) -> None:
        simulated = good(16, x_entropy_simulated="true")
        with ScriptedServer(answering(simulated)) as server:
            answer = json.loads(run("draw", 16, "--json", "--url", server.url).stdout)
        assert answer["simulated"] is True

    def test_all_is_asked_for_at_once(self, run: Run, zeros: ScriptedServer) -> None:
        assert len(run("draw", 150_000, "--format", "raw", "--url", zeros.url).stdout_bytes) == 150_000
        assert len(zeros.requests) == 1

    @pytest.mark.parametrize("n", [3001, 10**7, 10**20])
    def test_more_than_the_service_gives_at_once_is_refused_and_none_is_lost(
        self, run: Run, service_config: ServiceConfig, pool: PoolClient, n: int
    ) -> None:
        """A zero too many must not empty a pool, part by part."""
        pool.push(blocks_for_both(8))
        with RunningService(replace(service_config, max_request_bytes=3000)) as service:
            result = run("draw", n, "--class", "public", "--url", service.url)
            served = service.client.get("/stats").json()["service"]["served_bytes"]
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("error: ")
        assert served == {"private": 0, "public": 0}

    @pytest.mark.parametrize("n", [2 * 10**14, 10**20])
    def test_an_endless_wish_does_not_fill_the_memory(self, run: Run, n: int) -> None:
        """The answer here has no length that would bound what is read of it."""

        def without_length(connection: socket.socket, _: int) -> None:
            connection.sendall(good(5, content_length=None))
            connection.shutdown(socket.SHUT_WR)

        with ScriptedServer(without_length) as server:
            result = run("draw", n, "--url", server.url)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("error: ")

    def test_where_the_service_has_too_few_none_is_lost(self, run: Run, service: RunningService) -> None:
        """Eight blocks are 32,768 bytes."""
        assert run("draw", 32_769, "--url", service.url).exit_code == 4
        assert run("draw", 32_768, "--url", service.url).exit_code == 0


class TestFailover:
    def test_the_next_address_is_asked_where_one_has_no_bytes(
        self, run: Run, zeros: ScriptedServer, closed_port: int
    ) -> None:
        with ScriptedServer(status("503 Service Unavailable")) as dry:
            addresses = (f"http://127.0.0.1:{closed_port}", dry.url, zeros.url)
            urls = [option for address in addresses for option in ("--url", address)]
            assert len(bytes.fromhex(run("draw", 8, *urls).stdout)) == 8
        assert (len(dry.requests), len(zeros.requests)) == (1, 1)

    def test_bytes_are_drawn_from_the_first_alone_as_long_as_it_gives_some(
        self, run: Run, service: RunningService, zeros: ScriptedServer
    ) -> None:
        assert run("draw", 8, "--url", service.url, "--url", zeros.url).exit_code == 0
        assert zeros.requests == []


class TestExitCodes:
    def test_too_few_bytes_is_4_and_the_services_own_sentence(self, run: Run, empty: RunningService) -> None:
        result = run("draw", 16, "--url", empty.url)
        assert (result.exit_code, result.stdout) == (4, "")
        own = empty.client.get("/random/16").json()["detail"]
        assert result.stderr == f"error: {own}\n"

    def test_for_machines_it_is_one_object_with_what_the_service_said(self, run: Run, empty: RunningService) -> None:
        own = empty.client.get("/random/16").json()
        result = run("draw", 16, "--json", "--url", empty.url)
        assert (result.exit_code, result.stderr) == (4, "")
        problem = json.loads(result.stdout)
        assert {name: problem[name] for name in ("type", "title", "status", "detail")} == {
            name: own[name] for name in ("type", "title", "status", "detail")
        }
        assert problem["retry_after_s"] >= 1

    @pytest.mark.parametrize(
        "line, code",
        [
            ("503 Service Unavailable", 4),
            ("429 Too Many Requests", 1),
            ("401 Unauthorized", 1),
            ("422 Unprocessable Content", 1),
            ("500 Internal Server Error", 1),
        ],
    )
    @pytest.mark.parametrize("command", [("draw", "8"), ("stats",), ("audit", BLOCK, "--images", ".")], ids=" ".join)
    def test_a_problem_of_the_service_is_shown_by_its_own_sentence(
        self, run: Run, command: tuple[str, ...], line: str, code: int
    ) -> None:
        body = '{"type": "/problems/odd", "detail": "not today"}'
        with ScriptedServer(status(line, "content-type: application/problem+json", body=body)) as server:
            result = run(*command, "--url", server.url)
            for_machines = run(*command, "--json", "--url", server.url)
        assert (result.exit_code, result.stdout, result.stderr) == (code, "", "error: not today\n")
        assert (for_machines.exit_code, for_machines.stderr) == (code, "")
        assert json.loads(for_machines.stdout)["detail"] == "not today"
        assert json.loads(for_machines.stdout)["status"] == int(line[:3])

    def test_where_a_key_is_needed_the_commands_own_way_to_give_one_is_told(
        self, run: Run, pool: PoolClient, service_config: ServiceConfig
    ) -> None:
        with RunningService(replace(service_config, anonymous_scopes=())) as service:
            result = run("draw", 8, "--url", service.url)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.endswith("; name the file of a key with --key-file, or set ENTROPY_API_KEY\n")

    def test_a_block_that_the_service_does_not_know_is_1(self, run: Run) -> None:
        body = '{"type": "/problems/unknown-block", "detail": "no such block"}'
        problem = status("404 Not Found", "content-type: application/problem+json", body=body)
        with ScriptedServer(problem) as server:
            result = run("audit", BLOCK, "--images", ".", "--url", server.url)
        assert (result.exit_code, result.stdout, result.stderr) == (1, "", "error: no such block\n")

    def test_an_answer_that_is_none_is_1_and_not_printed(self, run: Run) -> None:
        with ScriptedServer(answering(good(4, b"<htm", content_type="text/html"))) as server:
            result = run("draw", 4, "--format", "raw", "--url", server.url)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "text/html" in result.stderr

    @pytest.mark.parametrize("command", [("draw", "0"), ("draw", "many"), ("draw", "8", "--url", "file:///etc/passwd")])
    def test_wrong_usage_is_2(self, run: Run, command: tuple[str, ...]) -> None:
        assert run(*command).exit_code == 2


class TestStats:
    def test_they_are_one_object_or_a_table(self, run: Run, service: RunningService, pool: PoolClient) -> None:
        counted = json.loads(run("stats", "--url", service.url, "--json").stdout)
        assert counted["pool"]["pushed_blocks"] == 16
        assert "pool.pushed_blocks" in run("stats", "--url", service.url).stdout

    def test_a_services_words_can_not_steer_the_terminal(self, run: Run) -> None:
        document = json.dumps({"a\x1b[2J": "\x1b]0;title\x07", "b": "[/nope]", "c": "one\r\ntwo"})
        with ScriptedServer(status("200 OK", "content-type: application/json", body=document)) as server:
            result = run("stats", "--url", server.url)
        assert result.exit_code == 0, result.output
        assert result.stdout.replace("\n", "").isprintable()
        assert "[/nope]" in result.stdout

    def test_nested_numbers_are_listed_under_dotted_names(self) -> None:
        assert list(flattened({"a": {"b": 1, "c": {}}, "d": [2]})) == [("a.b", 1), ("d", [2])]
        assert list(flattened({"shards": [{"place": 1}, {"place": 2}], "e": []})) == [
            ("shards.1.place", 1),
            ("shards.2.place", 2),
            ("e", []),
        ]
